"""`tenaudit audit sign`: seal every log, sign what is new, and keep it out of the database's reach."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TypedDict, Unpack

import click

from tenaudit.audit import StoreError
from tenaudit.audit.checkpoint_keeper import CheckpointKeeper
from tenaudit.backends.checkpoint_file import CheckpointFile
from tenaudit.cli.checkpoint_keys import read_signer, read_verifiers
from tenaudit.cli.consume_notes import Notes
from tenaudit.cli.consume_signals import told_to_stop
from tenaudit.cli.output import write_line
from tenaudit.cli.store_url import open_store, store_option

__all__ = ["sign"]


class _Options(TypedDict):
    store_url: str
    key: Path
    to: Path
    copies: tuple[Path, ...]
    old_keys: tuple[str, ...]
    every: float
    once: bool


@click.command(
    short_help="Sign a checkpoint of every log, every few seconds.",
    epilog="Exit codes: 0 stopped by SIGTERM or SIGINT, or with --once all is signed; 2 bad usage, or with --once a "
    "store or a file that cannot be used, or logs that are not what was signed.",
)
@store_option
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path),
    help="File with the signer key; see tenaudit audit key.",
)
@click.option(
    "--to", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File that keeps what is signed."
)
@click.option(
    "--copy",
    "copies",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Another file that keeps it too; repeat it for each.",
)
@click.option(
    "--old-key",
    "old_keys",
    multiple=True,
    metavar="KEY",
    help="Verifier key that signed before, as text or in a file; repeat it for each.",
)
@click.option(
    "--every",
    type=click.FloatRange(0.1, 3600),
    default=10,
    show_default=True,
    help="Seconds between two rounds.",
)
@click.option("--once", is_flag=True, help="Sign what is new and end.")
def sign(**options: Unpack[_Options]) -> None:
    """Seal every log that has grown and sign all of it with one note.

    The file is the record: what it has was signed for ever. Keep it, or a copy, where those who can write the database
    cannot. One such command at a time for a store.
    """
    asyncio.run(_sign(options))


async def _sign(options: _Options) -> None:
    signer, own = read_signer(options["key"])
    trusted = [own, *read_verifiers(options["old_keys"])]
    files = [CheckpointFile(path) for path in (options["to"], *options["copies"])]
    try:
        async with open_store(options["store_url"], must_exist=True) as store:
            keeper = CheckpointKeeper(store, signer, trusted, files, every=options["every"])
            with Notes():
                if options["once"]:
                    write_line(f"signed {await keeper.once()}")
                    if keeper.behind:
                        raise StoreError(f"{keeper.behind} of the copies cannot be written; run it again")
                else:
                    await _until_told(keeper)
    finally:
        for file in files:
            await file.close()


async def _until_told(keeper: CheckpointKeeper) -> None:
    with told_to_stop() as told:
        running = asyncio.create_task(keeper.run())
        write_line("signing; stop with Ctrl-C or SIGTERM")
        sys.stdout.flush()
        await told.wait()
        keeper.stop()
        await running
