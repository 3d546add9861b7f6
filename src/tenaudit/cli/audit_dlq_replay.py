"""`tenaudit audit dlq replay`: dead letters into the store, once what was wrong is mended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
from prometheus_client import CollectorRegistry

from tenaudit.cli.audit_dlq_choice import all_letters, named_letters
from tenaudit.cli.audit_dlq_file import dead_letters_at, dead_letters_option
from tenaudit.cli.audit_dlq_list import position_of
from tenaudit.cli.audit_dlq_work import Replay
from tenaudit.cli.output import json_option, write_json, write_line
from tenaudit.cli.redaction_options import write_redaction_options
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.cli.redaction_options import RedactionOptions

__all__ = ["replay_letters"]


@click.command(
    "replay",
    short_help="Put dead letters into the store.",
    epilog="Exit codes: 0 the store has every one of them; 1 some are refused still; 2 bad usage, no such dead letter, "
    "or a store that cannot be used.",
)
@click.argument("letter_ids", metavar="[ID]...", nargs=-1, type=int)
@store_option
@dead_letters_option
@write_redaction_options
@click.option("--all", "everything", is_flag=True, help="Replay every dead letter.")
@json_option
@click.pass_context
def replay_letters(
    ctx: click.Context,
    /,
    letter_ids: tuple[int, ...],
    store_url: str,
    dead_letters_url: str | None,
    redaction: RedactionOptions,
    everything: bool,  # noqa: FBT001 - click's call
    as_json: bool,  # noqa: FBT001 - click's call
) -> int:
    """Decode dead letters again and put their events into the store.

    What the store has then is deleted here; what is refused still stays, with the new reason. Doing it twice, or being
    killed while doing it, doubles nothing. With a PostgreSQL the user needs to be a writer and a purger.

    With --json: {"stored", "duplicates", "refused", "problems": [{"id", "reason"}], "problems_omitted"}.
    """
    if everything == bool(letter_ids):
        raise click.UsageError("name the ids of dead letters, or --all", ctx)
    done = asyncio.run(_replayed(store_url, dead_letters_url, None if everything else letter_ids, redaction))
    if as_json:
        write_json(done.to_json())
    else:
        _print(done)
    return 1 if done.refused else 0


async def _replayed(
    store_url: str,
    dead_letters_url: str | None,
    letter_ids: Sequence[int] | None,
    redaction: RedactionOptions,
) -> Replay:
    redacting = redaction.for_writer(CollectorRegistry())
    async with (
        open_store(store_url, must_exist=True, personal=redaction.personal_fields()) as store,
        dead_letters_at(store_url, dead_letters_url, must_exist=True) as letters,
    ):
        done = Replay(store, letters, redacting)
        async for letter in all_letters(letters) if letter_ids is None else named_letters(letters, letter_ids):
            await done.take(letter)
    return done


def _print(done: Replay) -> None:
    for letter, reason in done.problems:
        write_line(f"{letter.id} {position_of(letter)}: refused still: {reason}")
    if omitted := done.refused - len(done.problems):
        write_line(f"and {omitted} more")
    write_line(f"stored {done.stored}, duplicates {done.duplicates}, refused {done.refused}")
