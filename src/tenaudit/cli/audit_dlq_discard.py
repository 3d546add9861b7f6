"""`tenaudit audit dlq discard`: dead letters deleted for good, by those who have looked at them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from tenaudit.cli.audit_dlq_choice import all_letters, named_letters
from tenaudit.cli.audit_dlq_file import any_store_option, dead_letters_at, dead_letters_option
from tenaudit.cli.audit_dlq_list import position_of
from tenaudit.cli.output import json_option, write_json, write_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit.consumer import DeadLetter

__all__ = ["discard_letters"]


@click.command(
    "discard",
    short_help="Delete dead letters for good.",
    epilog="Exit codes: 0 they are gone; 2 bad usage, no such dead letter, or a store that cannot be used.",
)
@click.argument("letter_ids", metavar="[ID]...", nargs=-1, type=int)
@any_store_option
@dead_letters_option
@click.option("--all-replayed", is_flag=True, help="Discard every dead letter that was replayed in vain.")
@click.option("--yes", is_flag=True, help="Say that their records may be lost; without it nothing is done.")
@json_option
@click.pass_context
def discard_letters(
    ctx: click.Context,
    /,
    letter_ids: tuple[int, ...],
    store_url: str | None,
    dead_letters_url: str | None,
    all_replayed: bool,  # noqa: FBT001 - click's call
    yes: bool,  # noqa: FBT001 - click's call
    as_json: bool,  # noqa: FBT001 - click's call
) -> int:
    """Delete dead letters, which makes room for others. What was in them is lost, here if not in the stream.

    With a PostgreSQL the user needs to be a purger.

    With --json: {"discarded": [ID, ...]}.
    """
    if all_replayed == bool(letter_ids):
        raise click.UsageError("name the ids of dead letters, or --all-replayed", ctx)
    if not yes:
        raise click.UsageError("discarding loses records for good; show or replay them, then add --yes", ctx)
    done = asyncio.run(_discarded(store_url, dead_letters_url, None if all_replayed else letter_ids))
    if as_json:
        write_json({"discarded": [letter.id for letter in done]})
        return 0
    for letter in done:
        write_line(f"{letter.id} {position_of(letter)}: discarded: {letter.reason}")
    write_line(f"discarded {len(done)}")
    return 0


async def _discarded(
    store_url: str | None, dead_letters_url: str | None, letter_ids: Sequence[int] | None
) -> list[DeadLetter]:
    async with dead_letters_at(store_url, dead_letters_url, must_exist=True) as letters:
        chosen = all_letters(letters) if letter_ids is None else named_letters(letters, letter_ids)
        wanted = [letter async for letter in chosen if letter_ids is not None or letter.replays]
        return [letter for letter in wanted if await letters.delete(letter.id)]
