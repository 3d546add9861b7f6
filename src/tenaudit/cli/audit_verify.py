"""`tenaudit audit verify`: is every event as it was sealed?"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import Problem
from tenaudit.audit.integrity.log_of_logs import ALL_LOGS, LogOfLogs, RoundError, tenant_of
from tenaudit.backends.checkpoint_file import read_rounds
from tenaudit.cli.checkpoint_keys import read_verifiers
from tenaudit.cli.output import json_option, write_json, write_line
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from tenaudit.audit import VerifyReport
    from tenaudit.audit.integrity import Checkpoint

__all__ = ["verify"]


@click.command(
    short_help="Prove that no event was changed, removed or inserted.",
    epilog="Exit codes: 0 verified; 1 something was changed; 2 bad usage or a store that cannot be used.",
)
@store_option
@click.option("--tenant", type=click.UUID, help="Check one tenant's log only.")
@click.option(
    "--checkpoints",
    type=click.Path(exists=True, path_type=Path),
    help="File of signed checkpoints (tenaudit audit sign) that the logs must fit; needs --key.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Verifier key of the checkpoints, as text or in a file; repeat it for each.",
)
@json_option
def verify(
    store_url: str,
    tenant: UUID | None,
    checkpoints: Path | None,
    keys: tuple[str, ...],
    as_json: bool,  # noqa: FBT001 - click's call
) -> int:
    """Recompute every hash of a store and name each event that was changed, removed or inserted.

    With checkpoints that were signed and kept elsewhere it also finds what was cut off, dropped or written anew.

    With --json: {"verified", "events", "tenants", "problems": [{"tenant_id", "event_id", "kind", "detail"}]}.
    """
    if (checkpoints is None) != (not keys):
        raise click.UsageError("--checkpoints and --key go together")
    signed, problems = _signed(checkpoints, keys) if checkpoints else ({}, ())
    report = asyncio.run(_verify(store_url, tenant, signed))
    report = replace(report, problems=(*problems, *report.problems))
    if as_json:
        write_json(report.to_json())
    else:
        _print(report)
    return 0 if report.verified else 1


def _signed(path: Path, keys: Sequence[str]) -> tuple[dict[UUID, list[Checkpoint]], tuple[Problem, ...]]:
    """Return the checkpoints in a file by tenant, up to the first round that no trusted key stands by."""
    logs = LogOfLogs(read_verifiers(keys))
    signed: dict[UUID, list[Checkpoint]] = {}
    try:
        for sealed in read_rounds(path):
            for checkpoint in logs.take(sealed):
                if (tenant := tenant_of(checkpoint.origin)) is not None:
                    signed.setdefault(tenant, []).append(checkpoint)
    except RoundError as error:
        return signed, (Problem(ALL_LOGS, None, "checkpoint", f"{path}: {error}"),)
    if not signed:
        raise ConfigurationError(f"{path} has no signed checkpoint; check --checkpoints")
    return signed, ()


async def _verify(store_url: str, tenant: UUID | None, signed: Mapping[UUID, Sequence[Checkpoint]]) -> VerifyReport:
    async with open_store(store_url, must_exist=True) as store:
        report = await store.verify(tenant, signed=signed)
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
