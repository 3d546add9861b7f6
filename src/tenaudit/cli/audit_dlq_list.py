"""`tenaudit audit dlq list`: the dead letters of a store, without what is in them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from tenaudit.cli.audit_dlq_file import any_store_option, dead_letters_at, dead_letters_option, seen_at
from tenaudit.cli.output import json_option, write_json, write_table

if TYPE_CHECKING:
    from tenaudit.audit.consumer import DeadLetter

__all__ = ["letter_view", "list_letters", "position_of"]

_MAX_SHOWN = 500
_HEADINGS = ("id", "reason", "position", "bytes", "times seen", "first seen", "last seen", "replays")


@click.command(
    "list",
    short_help="Show dead letters, without what is in them.",
    epilog="Exit codes: 0 answered, also when there is none; 2 bad usage or a store that cannot be used.",
)
@any_store_option
@dead_letters_option
@click.option(
    "--limit", type=click.IntRange(1, _MAX_SHOWN), default=100, show_default=True, help="Most dead letters to show."
)
@click.option(
    "--after", type=click.IntRange(0), default=0, help="Go on behind this id: next_after of an earlier answer."
)
@json_option
def list_letters(
    store_url: str | None,
    dead_letters_url: str | None,
    limit: int,
    after: int,
    as_json: bool,  # noqa: FBT001 - click's call
) -> int:
    """Show dead letters in the order in which they came: where each was, why it is here and how often it came.

    A position is TOPIC/PARTITION@OFFSET.

    With --json: {"dead_letters": [...], "next_after"}.
    """
    letters, next_after = asyncio.run(_page(store_url, dead_letters_url, limit, after))
    if as_json:
        write_json({"dead_letters": [letter_view(letter) for letter in letters], "next_after": next_after})
        return 0
    write_table(_HEADINGS, (_row(letter) for letter in letters))
    if next_after is not None:
        sys.stderr.write(f"there are more dead letters; go on with --after {next_after}\n")
    return 0


async def _page(
    store_url: str | None, dead_letters_url: str | None, limit: int, after: int
) -> tuple[tuple[DeadLetter, ...], int | None]:
    async with dead_letters_at(store_url, dead_letters_url, must_exist=True) as letters:
        found = await letters.page(limit=limit + 1, after=after)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def letter_view(letter: DeadLetter) -> dict[str, Any]:
    """Return what is told of a dead letter as JSON values."""
    return {
        "id": letter.id,
        "reason": letter.reason,
        "topic": letter.partition.topic,
        "partition": letter.partition.number,
        "offset": letter.offset,
        "size": letter.size,
        "is_whole": letter.is_whole,
        "first_seen": seen_at(letter.first_seen),
        "last_seen": seen_at(letter.last_seen),
        "times_seen": letter.times_seen,
        "replays": letter.replays,
    }


def position_of(letter: DeadLetter) -> str:
    """Return where the record of a dead letter was, as one word."""
    return f"{letter.partition.topic}/{letter.partition.number}@{letter.offset}"


def _row(letter: DeadLetter) -> tuple[str | None, ...]:
    return (
        str(letter.id),
        letter.reason,
        position_of(letter),
        None if letter.size is None else str(letter.size),
        str(letter.times_seen),
        seen_at(letter.first_seen),
        seen_at(letter.last_seen),
        str(letter.replays),
    )
