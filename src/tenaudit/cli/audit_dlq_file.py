"""The file of dead letters: the one that `--dead-letters` names, or the store's own."""

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

__all__ = ["any_store_option", "dead_letters_at", "dead_letters_option", "no_letter", "seen_at"]

_F = TypeVar("_F", bound="Callable[..., Any]")
_KNOWN = "known are sqlite:///FILE (a path from here) and sqlite:////FILE (a path from the root)"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_POSTGRES = ("postgresql", "postgres")


def dead_letters_option(command: _F) -> _F:
    """Give a command the option `--dead-letters`."""
    return click.option(
        "--dead-letters",
        "dead_letters_url",
        envvar="TENAUDIT_DEAD_LETTERS",
        show_envvar=True,
        metavar="URL",
        help="File of the dead letters, sqlite:///FILE; by default the store's, when that is a file.",
    )(command)


def any_store_option(command: _F) -> _F:
    """Give a command the option `--store` where `--dead-letters` may stand instead."""
    return click.option(
        "--store",
        "store_url",
        envvar="TENAUDIT_STORE",
        show_envvar=True,
        metavar="URL",
        help="sqlite:///FILE for a path from here, sqlite:////FILE for one from the root.",
    )(command)


def dead_letters_at(store_url: str | None, dead_letters_url: str | None, *, must_exist: bool) -> SqliteDeadLetters:
    """Return the dead letters of a file; it is opened when it is entered.

    Args:
        store_url: the store, whose file is taken when no other is named.
        dead_letters_url: `sqlite:///FILE`.
        must_exist: whether a file that is not there is an error, or made.

    Raises:
        ConfigurationError: no file is named, or none is there.
    """
    url = dead_letters_url or store_url
    if url is None:
        raise ConfigurationError("no file is named; add --store URL or --dead-letters URL")
    path = _path(url, "--dead-letters" if dead_letters_url else "--store")
    if must_exist and not path.is_file():
        raise ConfigurationError(f"there is no file {path}; check --{'dead-letters' if dead_letters_url else 'store'}")
    return SqliteDeadLetters(path)


def _path(url: str, option: str) -> Path:
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ConfigurationError(f"{option} is no URL; {_KNOWN}")
    if scheme[1].lower() in _POSTGRES:
        raise ConfigurationError("dead letters are kept in a file; name it with --dead-letters sqlite:///FILE")
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
