"""`tenaudit audit hold`: legal holds, which keep everything of a tenant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from tenaudit.audit.event import wire_time
from tenaudit.cli.audit_retention_who import by_option
from tenaudit.cli.output import json_option, write_json, write_table
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit.retention import Hold

__all__ = ["hold"]

_HEADINGS = ("tenant", "since", "by", "reason")
_tenant = click.option("--tenant", type=click.UUID, required=True, help="Whose events.")
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why; the tenant's log tells it.")
_EPILOG = "Exit codes: 0 done; 2 bad usage, a tenant that is in that state already, or a store that cannot be used."


@click.group()
def hold() -> None:
    """Place, release and list legal holds."""


@hold.command("set", short_help="Keep everything of a tenant.", epilog=_EPILOG)
@store_option
@_tenant
@_reason
@by_option
def place(store_url: str, tenant: UUID, reason: str, by: str) -> int:
    """Keep every event of a tenant until the hold is released. When this ends, no purge takes anything of it any more.

    With a PostgreSQL the user needs to be a purger.
    """
    asyncio.run(_place(store_url, tenant, reason, by))
    return 0


async def _place(store_url: str, tenant: UUID, reason: str, by: str) -> None:
    async with open_store(store_url, must_exist=True) as store:
        await store.hold(tenant, reason=reason, by=by)


@hold.command(short_help="Let a tenant's events go with their time again.", epilog=_EPILOG)
@store_option
@_tenant
@_reason
@by_option
def release(store_url: str, tenant: UUID, reason: str, by: str) -> int:
    """End the hold of a tenant: the next purge takes what has had its time.

    With a PostgreSQL the user needs to be a purger.
    """
    asyncio.run(_release(store_url, tenant, reason, by))
    return 0


async def _release(store_url: str, tenant: UUID, reason: str, by: str) -> None:
    async with open_store(store_url, must_exist=True) as store:
        await store.release(tenant, reason=reason, by=by)


@hold.command(
    "list",
    short_help="Show the tenants that are held.",
    epilog="Exit codes: 0 answered, also when there is none; 2 bad usage or a store that cannot be used.",
)
@store_option
@json_option
def list_holds(store_url: str, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """Show every hold that is in force: whose, since when, by whom and why.

    With --json: {"holds": [{"tenant_id", "by", "reason", "at"}]}.
    """
    found = asyncio.run(_holds(store_url))
    if as_json:
        write_json({"holds": [one.to_json() for one in found]})
    else:
        write_table(_HEADINGS, ((str(one.tenant_id), wire_time(one.at), one.by, one.reason) for one in found))
    return 0


async def _holds(store_url: str) -> tuple[Hold, ...]:
    async with open_store(store_url, must_exist=True) as store:
        return await store.holds()
