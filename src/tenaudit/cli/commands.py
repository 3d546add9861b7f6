"""Commands by name, imported when they are called: a missing extra breaks its own command and no other."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click

from tenaudit._kernel.extras import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CommandEntry", "LazyGroup"]


class CommandEntry(NamedTuple):
    """Where a command is.

    Args:
        module: imported when the command is called.
        attribute: the click command in it.
        help: the line in the list of commands.
        extra: what to install when something that the module imports is missing.
    """

    module: str
    attribute: str
    help: str
    extra: str


class LazyGroup(click.Group):
    """A click group whose commands come from a table.

    Args:
        entries: the commands by name.
    """

    def __init__(self, *args: object, entries: Mapping[str, CommandEntry], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in alphabetical order."""
        del ctx
        return sorted(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None when there is none of that name.

        Raises:
            MissingExtra: a package that it needs is not installed.
        """
        del ctx
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        try:
            module = import_module(entry.module)
        except MissingExtra:
            raise
        except ImportError as error:
            raise MissingExtra(entry.extra, (error.name or "").partition(".")[0]) from error
        command = getattr(module, entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, importing none of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._entries[name].help) for name in sorted(self._entries)])
