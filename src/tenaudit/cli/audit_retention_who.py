"""Who asks for a purge, a period or a hold: the log of the tenant tells it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["by_option"]

_F = TypeVar("_F", bound="Callable[..., Any]")


def by_option(command: _F) -> _F:
    """Give a command the option `--by`, by default the user of this process."""
    return click.option("--by", default=_user, metavar="NAME", help="Who asks for it; by default the user here.")(
        command
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container with a user that has no name
        return "unknown"
