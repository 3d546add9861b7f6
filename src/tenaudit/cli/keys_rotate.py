"""`tenaudit keys rotate`: a new key in the place of an old one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import click

from tenaudit.cli.keys_store import keys_store_option, open_keys_store, prefix_argument
from tenaudit.cli.keys_time import seconds_of
from tenaudit.cli.keys_view import show_new_key
from tenaudit.cli.output import json_option
from tenaudit.security import rotate_api_key

if TYPE_CHECKING:
    from tenaudit.security import ApiKeyRecord

__all__ = ["rotate"]


@click.command(
    short_help="Make a new API key in the place of an old one.",
    epilog="Exit codes: 0 rotated; 2 bad usage, a key that cannot be rotated, or a store that cannot be used.",
)
@prefix_argument
@keys_store_option
@click.option(
    "--overlap",
    default="24h",
    show_default=True,
    metavar="SPAN",
    help="How long the old key still works, such as 30m or 7d; 0 revokes it at once.",
)
@json_option
def rotate(prefix: str, store_url: str, overlap: str, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """Make a key with the tenant, roles and name of the one that PREFIX names, and print it: this once.

    A key that has an end hands on its lifetime: one made for 90 days is followed by one for 90 days. The store takes
    the new key and the end of the old one together or not at all. A key is rotated once; then rotate the new one.

    With --json: the object of `tenaudit keys create`.
    """
    seconds = seconds_of(overlap)
    key, record = asyncio.run(_rotate(store_url, prefix, seconds))
    note = f"{prefix} works for {overlap} more, or until its end\n" if seconds else f"{prefix} works no more\n"
    show_new_key(key, record, time.time(), as_json=as_json, note=note)
    return 0


async def _rotate(store_url: str, prefix: str, overlap: float) -> tuple[str, ApiKeyRecord]:
    async with open_keys_store(store_url, must_exist=True) as store:
        return await rotate_api_key(store, prefix, overlap=overlap)
