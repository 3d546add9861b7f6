"""`tenaudit audit erase`: take one person's values out of a trail, or say what would go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

import click

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.erasure import ErasureHeld
from tenaudit.audit.erasure.erase import MAX_BATCH
from tenaudit.audit.event import wire_time
from tenaudit.cli.audit_retention_who import by_option
from tenaudit.cli.output import json_option, write_json, write_line, write_table
from tenaudit.cli.seconds_range import SecondsRange
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit.erasure import ErasureReport

__all__ = ["erase"]

_HEADINGS = ("not reached", "count", "which", "what to do")
_SHOWN = 3


class _Options(TypedDict):
    store_url: str
    tenant: UUID | None
    subject: str
    dry_run: bool
    batch: int
    timeout: float
    by: str
    as_json: bool


@click.command(
    short_help="Take one person's values out of a tenant's trail.",
    epilog="Exit codes: 0 everything that can be reached is gone, or would be; 1 something was left, for want of time, "
    "since it was altered, which tenaudit audit verify names, or since its tenant is held; 2 bad usage, a store that "
    "cannot be used, or the one tenant of --tenant is held.",
)
@store_option
@click.option("--tenant", type=click.UUID, help="In whose trail; in every tenant's without it.")
@click.option(
    "--subject",
    required=True,
    envvar="TENAUDIT_SUBJECT",
    show_envvar=True,
    help="The text that names the person in events, such as the actor's id (rather in the variable: others can read a "
    "command line).",
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option(
    "--batch", type=click.IntRange(1, MAX_BATCH), default=500, show_default=True, help="Events of one transaction."
)
@click.option(
    "--timeout",
    type=SecondsRange(1, 86_400),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="Stop between two transactions after this time; the next erasure goes on.",
)
@by_option
@json_option
def erase(**options: Unpack[_Options]) -> int:
    """Take one person's values out of a tenant's trail, or out of all, and write into the logs where they stood.

    Of events whose actor they are, everything goes that was listed as personal when the event was stored; of others,
    what names them there. Leaves, checkpoints and proofs stay valid, and what comes again from a stream is not stored.
    In PostgreSQL the user needs to be a purger. Being killed on the way loses nothing: run it again.

    With --json: {"dry_run", "complete", "events", "values", "held", "tenants": [{"at", "tenant_id", "dry_run",
    "complete", "events", "values", "others", "altered", "not_reached": [{"what", "how", "count", "names"}]}]}.
    """
    done = asyncio.run(_erase(options))
    if options["as_json"]:
        write_json(done.to_json(dry_run=options["dry_run"]))
    else:
        for report in done.reports:
            _print(report)
        for tenant in done.held:
            write_line(f"tenant {tenant} is held, so nothing of it went; tenaudit audit hold list says by whom")
    return 0 if done.complete else 1


class _Done(NamedTuple):
    reports: list[ErasureReport]
    held: list[UUID]

    @property
    def complete(self) -> bool:
        return not self.held and all(report.complete for report in self.reports)

    def to_json(self, *, dry_run: bool) -> dict[str, Any]:
        return {
            "dry_run": dry_run,
            "complete": self.complete,
            "events": sum(report.events for report in self.reports),
            "values": sum(report.values for report in self.reports),
            "held": [str(tenant) for tenant in self.held],
            "tenants": [report.to_json() for report in self.reports],
        }


async def _erase(options: _Options) -> _Done:
    tenant, clock = options["tenant"], SystemClock()
    until = clock.monotonic() + options["timeout"]
    done = _Done([], [])
    async with open_store(options["store_url"], must_exist=True) as store:
        known = await store.tenants()
        # A slip of the pen would erase nothing and say that all is well.
        if tenant is not None and tenant not in known:
            raise ConfigurationError(f"the store has no tenant {tenant}; leave out --tenant to erase in all")
        for one in known if tenant is None else (tenant,):
            try:
                report = await store.erase(
                    options["subject"],
                    tenant_id=one,
                    dry_run=options["dry_run"],
                    by=options["by"],
                    batch=options["batch"],
                    # What has no time left says so, and is the next erasure's.
                    seconds=max(until - clock.monotonic(), 1e-9),
                )
            except ErasureHeld:
                if tenant is not None:
                    raise
                done.held.append(one)
            else:
                done.reports.append(report)
    return done


def _print(report: ErasureReport) -> None:
    done = "would be erased" if report.dry_run else "erased"
    write_line(
        f"tenant {report.tenant_id}: values {report.values} of {report.events} events {done}, at {wire_time(report.at)}"
    )
    for what, count in (report.others or {}).items():
        write_line(f"{what} {count} {'would be deleted' if report.dry_run else 'deleted'}")
    if report.altered:
        write_line(f"events {report.altered} were altered and are left; verify the store")
    write_table(
        _HEADINGS,
        (
            (one.what, "" if one.count is None else str(one.count), _shown(one.names), one.how)
            for one in report.not_reached
        ),
    )
    if not report.complete:
        write_line("something was left; erase again")


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
