"""Results on standard output: JSON for programs, tables for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tenaudit.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["json_option", "write_json", "write_line", "write_table"]

_F = TypeVar("_F", bound="Callable[..., Any]")
# Without a terminal there is no width to fit: this one keeps ids and times in one piece.
_PIPED_WIDTH = 240


def json_option(command: _F) -> _F:
    """Give a command the option `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object for a program to read.")(command)


def write_json(value: Any) -> None:
    """Print one JSON object on one line, in ASCII so that no terminal or pipe changes it."""
    sys.stdout.write(f"{json.dumps(value)}\n")


def write_line(text: str) -> None:
    """Print one line."""
    sys.stdout.write(f"{printable(text)}\n")


def write_table(headings: Sequence[str], rows: Iterable[Sequence[str | None]]) -> None:
    """Print a table; no cell is cut, and nothing in a cell is markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell or "-")) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False).print(table)
