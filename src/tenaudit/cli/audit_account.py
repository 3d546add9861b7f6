"""`tenaudit audit account`: is every event that a producer emitted somewhere?"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenaudit.audit.reckoning import DEFAULT_CAPACITY, reckon
from tenaudit.cli.audit_account_places import read_places
from tenaudit.cli.audit_account_view import account_json, print_account
from tenaudit.cli.audit_account_window import window_of
from tenaudit.cli.audit_dlq_file import dead_letters_at, dead_letters_option
from tenaudit.cli.output import json_option, write_json
from tenaudit.cli.seconds_range import SecondsRange
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from tenaudit.audit.producer_rows import AccountWindow
    from tenaudit.audit.reckoning import Reckoning
    from tenaudit.cli.audit_account_places import Places

__all__ = ["account"]

_MOST_CAPACITY = 10**9
_MOST_SECONDS = 86_400.0


@click.command(
    short_help="Prove that no event was lost on its way.",
    epilog="Exit codes: 0 every producer that closed balances, and no other has a gap; 1 one does not, or it cannot be "
    "proven; 2 bad usage, or a store, spool or dead letters that cannot be used.",
)
@store_option
@dead_letters_option
@click.option(
    "--spool",
    "spools",
    multiple=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="A spool of the producers; repeat it for each. One that a process has is told to be in use, and not read.",
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Look only at events from here on: a span back from now (24h, 7d), a date, or a time with zone.",
)
@click.option(
    "--settle",
    metavar="SPAN",
    default="0",
    show_default=True,
    help="Leave out what is younger than this, such as 1m: it may be on its way.",
)
@click.option(
    "--capacity",
    type=click.IntRange(1, _MOST_CAPACITY),
    default=DEFAULT_CAPACITY,
    show_default=True,
    help="Events that the queue of a producer holds: so many more may be lost with one that was killed.",
)
@click.option(
    "--timeout",
    type=SecondsRange(0, _MOST_SECONDS, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time that the store may take.",
)
@json_option
def account(
    *,
    store_url: str,
    dead_letters_url: str | None,
    spools: tuple[Path, ...],
    since: str | None,
    settle: str,
    capacity: int,
    timeout: float,
    as_json: bool,
) -> int:
    """Add up, for each producer, what it emitted and where that is: in the store, among the dead letters, in a spool.

    A producer with account_tenant= leaves a closing record. One whose record is stored must balance: emitted = stored +
    dead letters + dropped + spooled + in flight + purged. Of any other the gaps are shown, and how many may be missing.

    With --json: {"balanced", "producers": [...], "totals", "unread_letters", "spools_in_use"}; see the documentation.
    """
    window = window_of(since, settle, time.time())
    reckoning, places = asyncio.run(_account(store_url, dead_letters_url, spools, window, capacity, timeout))
    if as_json:
        write_json(account_json(reckoning, places))
    else:
        print_account(reckoning, places, sys.stderr)
    return 0 if reckoning.balanced else 1


async def _account(
    store_url: str,
    dead_letters_url: str | None,
    spools: tuple[Path, ...],
    window: AccountWindow,
    capacity: int,
    seconds: float,
) -> tuple[Reckoning, Places]:
    letters = dead_letters_at(store_url, dead_letters_url, must_exist=True)
    async with open_store(store_url, must_exist=True) as store, letters:
        # Before the store: what moves into it meanwhile is found there too, and counts there.
        places = await read_places(letters, spools, window)
        found = await store.account(window, held=places.ids(), seconds=seconds)
    return reckon(found.rows, window, places.elsewhere(found.also_stored), capacity=capacity), places
