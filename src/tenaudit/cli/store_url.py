"""The store that `--store` names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.backends.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit.audit.personal import PersonalFields
    from tenaudit.backends.postgres import PostgresStore

__all__ = ["maybe_store_option", "open_file_store", "open_store", "store_option"]

_F = TypeVar("_F", bound="Callable[..., Any]")
_KNOWN = "known are sqlite:///FILE (a path from here), sqlite:////FILE (a path from the root) and postgresql://..."
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_POSTGRES = ("postgresql://", "postgres://")
_MAGIC = b"SQLite format 3\0"


def store_option(command: _F) -> _F:
    """Give a command the option `--store`, which the variable `TENAUDIT_STORE` stands in for."""
    return _store_option(required=True)(command)


def maybe_store_option(command: _F) -> _F:
    """Give a command the option `--store` where it can do without a store; it gets None then."""
    return _store_option(required=False)(command)


def _store_option(*, required: bool) -> Callable[[_F], _F]:
    return click.option(
        "--store",
        "store_url",
        required=required,
        envvar="TENAUDIT_STORE",
        show_envvar=True,
        metavar="URL",
        help="sqlite:///FILE for a path from here, sqlite:////FILE for one from the root, or postgresql://... (rather "
        "in the variable: others can read a command line).",
    )


def open_store(url: str, *, must_exist: bool, personal: PersonalFields | None = None) -> SqliteStore | PostgresStore:
    """Return the store of a URL; it is opened when it is entered.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or a DSN of PostgreSQL.
        must_exist: whether a file that is not there is an error, or made.
        personal: what can be erased one day of the events that are written.

    Raises:
        ConfigurationError: the URL names no store that is known, or no store is there.
        MissingExtra: it is PostgreSQL's, and asyncpg is not installed.
    """
    if url.startswith(_POSTGRES):
        from tenaudit.backends.postgres import PostgresStore  # noqa: PLC0415 - needs an extra, so only on use

        return PostgresStore.connect(url, personal=personal)
    return open_file_store(url, must_exist=must_exist, personal=personal)


def open_file_store(url: str, *, must_exist: bool, personal: PersonalFields | None = None) -> SqliteStore:
    """Return the store of a URL when it is a file.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`.
        must_exist: whether a file that is not there is an error, or made.
        personal: as for `open_store`.

    Raises:
        ConfigurationError: the URL names no file, or no store is there.
    """
    path = _path(url)
    if path.exists():
        # SQLite would try its journal beside a folder or a device, and would make a store of an empty file.
        if not path.is_file() or (must_exist and not _is_sqlite(path)):
            raise ConfigurationError(f"{path} is no SQLite file; check --store")
    elif must_exist:
        raise ConfigurationError(f"there is no store at {path}; check --store, or make one with tenaudit import")
    elif not path.parent.is_dir():
        raise ConfigurationError(f"the store's folder {path.parent} does not exist; make it first")
    return SqliteStore.open(path, personal=personal)


def _path(url: str) -> Path:
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ConfigurationError(f"the store is no URL; {_KNOWN}, so put sqlite:/// before a path")
    if scheme[1].lower() != "sqlite":
        # The rest of the URL may hold a password, so it is not repeated.
        raise ConfigurationError(f"no store is known for {scheme[1]}:; {_KNOWN}")
    rest = url[scheme.end() :]
    name = rest.removeprefix("///")
    if name == rest or not name or "\0" in name:
        raise ConfigurationError(f"a store needs three slashes and a path; {_KNOWN}")
    if name == ":memory:":
        raise ConfigurationError("a store in memory is gone when the command ends; name a file: sqlite:///audit.db")
    return Path(name)


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
