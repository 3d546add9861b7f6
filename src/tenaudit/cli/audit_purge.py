"""`tenaudit audit purge`: remove what has had its time, or say what would go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.event import wire_time
from tenaudit.audit.retention.purge import MAX_BATCH
from tenaudit.audit.retention.terms import MAX_DAYS
from tenaudit.cli.audit_retention_who import by_option
from tenaudit.cli.output import json_option, write_json, write_line, write_table
from tenaudit.cli.seconds_range import SecondsRange
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit.retention import PurgeReport, TenantPurge

__all__ = ["purge"]

_HEADINGS = ("tenant", "days", "before", "events", "in partitions", "conflicts", "files", "state")


class _Options(TypedDict):
    store_url: str
    tenant: UUID | None
    dry_run: bool
    archive: Path | None
    default_days: int | None
    batch: int
    timeout: float
    by: str
    as_json: bool


@click.command(
    short_help="Remove the events that have had their time.",
    epilog="Exit codes: 0 all of it went, or would go; 1 something was left, which the next purge takes or the table "
    "explains; 2 bad usage, a store that cannot be used, or another purge that is running.",
)
@store_option
@click.option("--tenant", type=click.UUID, help="Purge one tenant only, row by row.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option(
    "--archive",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write every event to a file below this folder, gzip of NDJSON, before it is removed.",
)
@click.option(
    "--default-days",
    type=click.IntRange(1, MAX_DAYS),
    envvar="AUDIT_RETENTION_DAYS",
    show_envvar=True,
    help="Period of tenants that have none of their own; the store keeps it. By default what it has, 30 at first.",
)
@click.option(
    "--batch", type=click.IntRange(1, MAX_BATCH), default=2000, show_default=True, help="Events of one transaction."
)
@click.option(
    "--timeout",
    type=SecondsRange(1, 86_400),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="Stop between two transactions after this time; the next purge goes on.",
)
@by_option
@json_option
def purge(**options: Unpack[_Options]) -> int:
    """Remove the events that are older than their tenant's period, and write into each log what went.

    A tenant that is held is left alone. In PostgreSQL a month of which every row may go is dropped as a whole, and the
    user needs to be a purger. Being killed on the way loses nothing: run it again.

    With --json: {"at", "dry_run", "complete", "rows", "partitions", "tenants": [{"tenant_id", "days", "before",
    "rows", "in_partitions", "conflicts", "held", "archives", "error"}]}.
    """
    report = asyncio.run(_purge(options))
    if options["as_json"]:
        write_json(report.to_json())
    else:
        _print(report)
    return 0 if report.complete else 1


async def _purge(options: _Options) -> PurgeReport:
    tenant = options["tenant"]
    async with open_store(options["store_url"], must_exist=True) as store:
        # A slip of the pen would purge nothing and say that all is well.
        if tenant is not None and tenant not in await store.tenants():
            raise ConfigurationError(f"the store has no tenant {tenant}; leave out --tenant to purge all")
        return await store.purge(
            tenant,
            dry_run=options["dry_run"],
            archive=options["archive"],
            by=options["by"],
            default_days=options["default_days"],
            batch=options["batch"],
            seconds=options["timeout"],
        )


def _print(report: PurgeReport) -> None:
    done = "would go" if report.dry_run else "went"
    write_line(f"events {report.rows} {done}, held tenants {len(report.held)}, at {wire_time(report.at)}")
    for name in report.partitions:
        write_line(f"partition {name} {'would be' if report.dry_run else 'was'} dropped")
    write_table(_HEADINGS, (_row(one) for one in report.tenants))
    if not report.complete:
        write_line("something was left; purge again")


def _row(one: TenantPurge) -> tuple[str, ...]:
    counts = (one.rows, one.in_partitions, one.conflicts, len(one.archives))
    state = "held" if one.held else one.error or "done"
    return (str(one.tenant_id), str(one.days), wire_time(one.before), *map(str, counts), state)
