"""`tenaudit audit retention`: how long the events of tenants are kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.event import wire_time
from tenaudit.audit.retention.terms import MAX_DAYS
from tenaudit.cli.audit_retention_who import by_option
from tenaudit.cli.output import json_option, write_json, write_line, write_table
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit.retention import RetentionSettings, TenantTerms

__all__ = ["retention"]

_HEADINGS = ("tenant", "days", "period", "held", "purged before")


@click.group()
def retention() -> None:
    """Show and set how long events are kept."""


@retention.command(
    short_help="Show how long events are kept.",
    epilog="Exit codes: 0 answered; 2 bad usage or a store that cannot be used.",
)
@store_option
@json_option
def show(store_url: str, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """Show the default period, and each tenant's own: the one that holds, whether it is held, how far it was purged.

    With --json: {"default_days", "tenants": [{"tenant_id", "days", "own", "held", "purged_before"}]}.
    """
    found = asyncio.run(_settings(store_url))
    if as_json:
        tenants = [one.to_json(found.default_days) for one in found.tenants]
        write_json({"default_days": found.default_days, "tenants": tenants})
    else:
        write_line(f"default period: {found.default_days} days")
        write_table(_HEADINGS, (_row(one, found.default_days) for one in found.tenants))
    return 0


async def _settings(store_url: str) -> RetentionSettings:
    async with open_store(store_url, must_exist=True) as store:
        return await store.retention()


def _row(one: TenantTerms, default_days: int) -> tuple[str | None, ...]:
    purged = None if one.purged_before is None else wire_time(one.purged_before)
    period = "default" if one.days is None else "own"
    return (str(one.tenant_id), str(one.period(default_days)), period, "yes" if one.held else "no", purged)


@retention.command(
    "set",
    short_help="Set how long events are kept.",
    epilog="Exit codes: 0 set; 2 bad usage or a store that cannot be used.",
)
@store_option
@click.option("--tenant", type=click.UUID, help="Whose period; the default one when absent.")
@click.option("--days", type=click.IntRange(1, MAX_DAYS), help="The period, counted from occurred_at.")
@click.option("--default", "to_default", is_flag=True, help="Let the default period hold for --tenant again.")
@by_option
def set_period(store_url: str, tenant: UUID | None, days: int | None, to_default: bool, by: str) -> int:  # noqa: FBT001 - click's call
    """Set the period of a tenant, which its log tells, or the default one. Every process goes by it from then on.

    A longer period brings nothing back. With a PostgreSQL the user needs to be a purger.
    """
    if (days is None) != to_default:
        raise ConfigurationError("give either --days or --default")
    if to_default and tenant is None:
        raise ConfigurationError("--default is about a tenant; give --tenant")
    asyncio.run(_set(store_url, tenant, days, by))
    return 0


async def _set(store_url: str, tenant: UUID | None, days: int | None, by: str) -> None:
    async with open_store(store_url, must_exist=True) as store:
        await store.set_retention(days, tenant_id=tenant, by=by)
