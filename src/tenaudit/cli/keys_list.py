"""`tenaudit keys list`: the API keys of a store."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import click

from tenaudit.cli.keys_store import keys_store_option, open_keys_store
from tenaudit.cli.keys_time import shown_time
from tenaudit.cli.keys_view import key_view, state_of
from tenaudit.cli.output import json_option, write_json, write_table
from tenaudit.security.api_key_store import MAX_PAGE

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.security import ApiKeyPage, ApiKeyRecord

__all__ = ["list_keys"]

_HEADINGS = ("prefix", "tenant", "roles", "name", "state", "created", "expires", "replaced by")


@click.command(
    "list",
    short_help="Show the API keys of a store, without their secrets.",
    epilog="Exit codes: 0 answered, also when there is none; 2 bad usage or a store that cannot be used.",
)
@keys_store_option
@click.option("--tenant", type=click.UUID, help="Whose keys; by default those of every tenant.")
@click.option("--limit", type=click.IntRange(1, MAX_PAGE), default=100, show_default=True, help="Most keys to show.")
@click.option("--after", metavar="PREFIX", help="Go on behind this prefix: next_after of an earlier answer.")
@json_option
def list_keys(store_url: str, tenant: UUID | None, limit: int, after: str | None, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """Show the API keys of a store in the order of their prefixes, without secrets and hashes.

    A key is active, replaced (it still works, until its end), expired or revoked.

    With --json: {"keys": [...], "next_after"}.
    """
    page = asyncio.run(_page(store_url, tenant, limit, after))
    now = time.time()
    if as_json:
        write_json({"keys": [key_view(record, now) for record in page.records], "next_after": page.next_after})
        return 0
    write_table(_HEADINGS, (_row(record, now) for record in page.records))
    if page.next_after is not None:
        sys.stderr.write(f"there are more keys; go on with --after {page.next_after}\n")
    return 0


async def _page(store_url: str, tenant: UUID | None, limit: int, after: str | None) -> ApiKeyPage:
    async with open_keys_store(store_url, must_exist=True) as store:
        return await store.list(tenant, limit=limit, after=after)


def _row(record: ApiKeyRecord, now: float) -> tuple[str | None, ...]:
    return (
        record.prefix,
        str(record.tenant_id),
        ",".join(sorted(record.roles)),
        record.name,
        state_of(record, now),
        shown_time(record.created_at),
        shown_time(record.expires_at),
        record.replaced_by,
    )
