"""The dead letters of a command: those that `--dead-letters` names, or the store's own."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.event import wire_time
from tenaudit.backends.sqlite.dead_letters import SqliteDeadLetters

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit.audit.consumer import DeadLetterBounds, DeadLetterStore

__all__ = ["any_store_option", "dead_letters_at", "dead_letters_option", "no_letter", "seen_at"]

_F = TypeVar("_F", bound="Callable[..., Any]")
_KNOWN = "known are sqlite:///FILE (a path from here), sqlite:////FILE (a path from the root) and postgresql://..."
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_POSTGRES = ("postgresql://", "postgres://")


def dead_letters_option(command: _F) -> _F:
    """Give a command the option `--dead-letters`."""
    return click.option(
        "--dead-letters",
        "dead_letters_url",
        envvar="TENAUDIT_DEAD_LETTERS",
        show_envvar=True,
        metavar="URL",
        help="Where the dead letters are, sqlite:///FILE or postgresql://...; by default in the store.",
    )(command)


def any_store_option(command: _F) -> _F:
    """Give a command the option `--store` where `--dead-letters` may stand instead."""
    return click.option(
        "--store",
        "store_url",
        envvar="TENAUDIT_STORE",
        show_envvar=True,
        metavar="URL",
        help="The store, when the dead letters are in it: sqlite:///FILE for a path from here, sqlite:////FILE for one "
        "from the root, or postgresql://... (rather in the variable: others can read a command line).",
    )(command)


def dead_letters_at(
    store_url: str | None, dead_letters_url: str | None, *, must_exist: bool, bounds: DeadLetterBounds | None = None
) -> DeadLetterStore:
    """Return the dead letters of a URL; they are opened when they are entered.

    Args:
        store_url: the store, which has them when no other place is named.
        dead_letters_url: `sqlite:///FILE` or a DSN of PostgreSQL.
        must_exist: whether a file that is not there is an error, or made.
        bounds: how many are kept.

    Raises:
        ConfigurationError: no place is named, or no file is there.
        MissingExtra: it is PostgreSQL, and asyncpg is not installed.
    """
    url = dead_letters_url or store_url
    if url is None:
        raise ConfigurationError("nothing is named; add --store URL or --dead-letters URL")
    if url.startswith(_POSTGRES):
        from tenaudit.backends.postgres import PostgresDeadLetters  # noqa: PLC0415 - needs an extra, so only on use

        return PostgresDeadLetters(url, bounds=bounds)
    path = _path(url, "--dead-letters" if dead_letters_url else "--store")
    if must_exist and not path.is_file():
        raise ConfigurationError(f"there is no file {path}; check --{'dead-letters' if dead_letters_url else 'store'}")
    return SqliteDeadLetters(path, bounds=bounds)


def _path(url: str, option: str) -> Path:
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ConfigurationError(f"{option} is no URL; {_KNOWN}")
    if scheme[1].lower() != "sqlite":
        # The rest of the URL may hold a password, so it is not repeated.
        raise ConfigurationError(f"dead letters cannot be kept in {scheme[1]}:; {_KNOWN}")
    rest = url[scheme.end() :]
    name = rest.removeprefix("///")
    if name == rest or name in ("", ":memory:") or "\0" in name:
        raise ConfigurationError(f"{option} needs three slashes and a path of a file; {_KNOWN}")
    return Path(name)


def no_letter(letter_id: int) -> ConfigurationError:
    """Return what is said of an id that no dead letter has."""
    return ConfigurationError(f"there is no dead letter {letter_id}; see tenaudit audit dlq list")


def seen_at(seconds: float) -> str:
    """Return a time in Unix seconds as people and programs read it.

    >>> seen_at(0.0)
    '1970-01-01T00:00:00.000000Z'
    """
    return wire_time(datetime.fromtimestamp(seconds, UTC))
