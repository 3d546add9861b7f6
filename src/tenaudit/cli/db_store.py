"""The database that `--store` names, and what is shown of its migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.event import wire_time
from tenaudit.cli.output import write_json, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenaudit.backends.postgres import MigrationState

__all__ = ["check_dsn", "database_option", "write_states"]

_F = TypeVar("_F", bound="Callable[..., Any]")
_SCHEMES = ("postgresql://", "postgres://")
_HEADINGS = ("version", "name", "state", "applied")


def database_option(command: _F) -> _F:
    """Give a command the option `--store`, or `--dsn`, which the variable `TENAUDIT_STORE` stands in for."""
    return click.option(
        "--store",
        "--dsn",
        "dsn",
        required=True,
        envvar="TENAUDIT_STORE",
        show_envvar=True,
        metavar="URL",
        help="postgresql://USER:PASSWORD@HOST/DATABASE (rather in the variable: others can read a command line).",
    )(command)


def check_dsn(url: str) -> str:
    """Return the URL when it is one of PostgreSQL.

    Raises:
        ConfigurationError: it is none; only its scheme is repeated, as the rest may hold a password.
    """
    if url.startswith(_SCHEMES):
        return url
    if url.lower().startswith("sqlite:"):
        raise ConfigurationError("a SQLite store makes its own tables; name one of PostgreSQL: postgresql://...")
    raise ConfigurationError("the store must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE; check --store")


def write_states(states: Sequence[MigrationState], *, as_json: bool) -> None:
    """Print what became of each migration."""
    shown = [(one, None if one.applied_at is None else wire_time(one.applied_at)) for one in states]
    if as_json:
        rows = [{"version": one.version, "name": one.name, "state": one.state, "applied_at": at} for one, at in shown]
        write_json({"migrations": rows})
    else:
        write_table(_HEADINGS, [(str(one.version), one.name, one.state, at) for one, at in shown])
