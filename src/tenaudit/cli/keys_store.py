"""The store of API keys that `--store` names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.backends.sqlite import SqliteApiKeyStore
from tenaudit.security.api_key_secret import is_prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit.backends.postgres import PostgresApiKeyStore

__all__ = ["keys_store_option", "open_keys_store", "prefix_argument"]

_F = TypeVar("_F", bound="Callable[..., Any]")
_KNOWN = "known are sqlite:///FILE, sqlite:////FILE (from the root) and postgresql://USER:PASSWORD@HOST/DATABASE"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def keys_store_option(command: _F) -> _F:
    """Give a command the option `--store`, which the variable `TENAUDIT_KEYS_STORE` stands in for."""
    return click.option(
        "--store",
        "store_url",
        required=True,
        envvar="TENAUDIT_KEYS_STORE",
        show_envvar=True,
        metavar="URL",
        help="sqlite:///FILE, or postgresql://... (rather in the variable: others can read a command line).",
    )(command)


def prefix_argument(command: _F) -> _F:
    """Give a command the argument `PREFIX`."""
    return click.argument("prefix", metavar="PREFIX", callback=_prefix)(command)


def _prefix(_ctx: click.Context, _parameter: click.Parameter, text: str) -> str:
    if not is_prefix(text):
        # A whole key may have been pasted, so it is not repeated.
        raise click.BadParameter("it must be the visible part of a key: ta_ and 12 hex digits")
    return text


def open_keys_store(url: str, *, must_exist: bool) -> SqliteApiKeyStore | PostgresApiKeyStore:
    """Return the store of a URL; it is opened when it is entered.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or a DSN of PostgreSQL.
        must_exist: whether a file that is not there is an error, or made.

    Raises:
        ConfigurationError: the URL names no store that is known, or no store is there.
        MissingExtra: it is PostgreSQL's, and asyncpg is not installed.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ConfigurationError(f"the store is no URL; {_KNOWN}")
    match scheme[1].lower():
        case "postgresql" | "postgres":
            from tenaudit.backends.postgres import PostgresApiKeyStore  # noqa: PLC0415 - needs an extra, so only on use

            return PostgresApiKeyStore.connect(url)
        case "sqlite":
            return SqliteApiKeyStore.open(_file(url[scheme.end() :], must_exist=must_exist))
        case other:
            # The rest of the URL may hold a password, so it is not repeated.
            raise ConfigurationError(f"no store of API keys is known for {other}:; {_KNOWN}")


def _file(rest: str, *, must_exist: bool) -> Path:
    name = rest.removeprefix("///")
    if name == rest or not name or "\0" in name:
        raise ConfigurationError(f"a store needs three slashes and a path; {_KNOWN}")
    if name == ":memory:":
        raise ConfigurationError("a store in memory is gone when the command ends; name a file: sqlite:///keys.db")
    path = Path(name)
    if path.exists():
        # SQLite would make a store of an empty file, and would try its journal beside a folder or a device.
        if not path.is_file() or (must_exist and not path.stat().st_size):
            raise ConfigurationError(f"{path} is no SQLite file; check --store")
    elif must_exist:
        raise ConfigurationError(f"there is no store at {path}; check --store, or make one with tenaudit keys create")
    elif not path.parent.is_dir():
        raise ConfigurationError(f"the store's folder {path.parent} does not exist; make it first")
    return path
