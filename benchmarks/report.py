"""Two ways to show results: a table to read, JSON lines for a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.result import Result

__all__ = ["json_line", "table", "verdicts"]

_HEAD = ("case", "side", "median", "quartiles", "ours is better by")


def json_line(result: Result) -> str:
    """Return the one-line JSON object of a result; a ratio that cannot be told is null."""
    return json.dumps(
        {
            "case": result.case,
            "unit": result.unit,
            "better": result.better,
            "ours": result.ours.median,
            "peers": {name: figure.median for name, figure in result.peers.items()},
            "ratio": {name: result.ratio(name) for name in result.peers},
        },
        allow_nan=False,
    )


def verdicts(result: Result) -> list[str]:
    """Return a line about each target."""
    lines = []
    for target in result.targets:
        met = target.met(result)
        said = "cannot be told" if met is None else "met" if met else "NOT met"
        lines.append(f"{result.case} target: {target.text(result.unit)}: {said}")
    return lines


def table(results: Sequence[Result]) -> str:
    """Return the results as a table, drawn by rich where it is installed."""
    rows = [row for result in results for row in _rows(result)]
    try:
        return _drawn(rows)
    except ModuleNotFoundError:
        return _plain(rows)


def _rows(result: Result) -> list[tuple[str, ...]]:
    sides = [
        ("ours", result.ours, ""),
        *((name, figure, _times(result, name)) for name, figure in result.peers.items()),
    ]
    return [
        (
            result.case if place == 0 else "",
            name,
            f"{_number(figure.median)} {result.unit}",
            f"{_number(figure.low)} - {_number(figure.high)}",
            times,
        )
        for place, (name, figure, times) in enumerate(sides)
    ]


def _times(result: Result, peer: str) -> str:
    ratio = result.ratio(peer)
    return "-" if ratio is None else f"{_number(ratio)} x"


def _number(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _drawn(rows: Sequence[tuple[str, ...]]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, title in enumerate(_HEAD):
        drawn.add_column(title, justify="left" if place < 2 else "right", no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get().rstrip()


def _plain(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[place]) for row in (_HEAD, *rows)) for place in range(len(_HEAD))]
    lines = []
    for row in (_HEAD, *rows):
        cells = (
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
