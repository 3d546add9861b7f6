"""`tenaudit audit verify`: is every event as it was sealed?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.cli.output import json_option, write_json, write_line
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit import VerifyReport

__all__ = ["verify"]


@click.command(
    short_help="Prove that no event was changed, removed or inserted.",
    epilog="Exit codes: 0 verified; 1 something was changed; 2 bad usage or a store that cannot be used.",
)
@store_option
@click.option("--tenant", type=click.UUID, help="Check one tenant's log only.")
@json_option
def verify(store_url: str, tenant: UUID | None, as_json: bool) -> int:  # noqa: FBT001 - click's call
    """Recompute every hash of a store and name each event that was changed, removed or inserted.

    With --json: {"verified", "events", "tenants", "problems": [{"tenant_id", "event_id", "kind", "detail"}]}.
    """
    report = asyncio.run(_verify(store_url, tenant))
    if as_json:
        write_json(report.to_json())
    else:
        _print(report)
    return 0 if report.verified else 1


async def _verify(store_url: str, tenant: UUID | None) -> VerifyReport:
    async with open_store(store_url, must_exist=True) as store:
        report = await store.verify(tenant)
        # An id that the store has never seen would be found in order, which is no answer to a slip of the pen.
        if tenant is not None and report.verified and tenant not in await store.tenants():
            raise ConfigurationError(f"the store has no tenant {tenant}; leave out --tenant to check all")
        return report


def _print(report: VerifyReport) -> None:
    counts = f"events {report.events}, tenants {report.tenants}, problems {len(report.problems)}"
    write_line(f"{'verified' if report.verified else 'NOT verified'}: {counts}")
    for problem in report.problems:
        which = "" if problem.event_id is None else f" event {problem.event_id}"
        write_line(f"{problem.kind}: tenant {problem.tenant_id}{which}: {problem.detail}")
