"""`tenaudit audit verify`: is every event as it was sealed?"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click
from click.core import ParameterSource

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import Problem, VerifyPart
from tenaudit.audit.export_check import ExportReport, Leniency
from tenaudit.audit.integrity.log_of_logs import ALL_LOGS, LogOfLogs, RoundError, tenant_of
from tenaudit.backends.checkpoint_file import read_rounds
from tenaudit.cli.audit_verify_export import check_export
from tenaudit.cli.audit_verify_jobs import MAX_JOBS, verify_in_processes
from tenaudit.cli.checkpoint_keys import read_verifiers
from tenaudit.cli.output import json_option, write_json, write_line
from tenaudit.cli.store_url import maybe_store_option, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from tenaudit.audit import VerifyReport
    from tenaudit.audit.integrity import Checkpoint

__all__ = ["verify"]

_PART = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


class _Options(TypedDict):
    export: Path | None
    store_url: str | None
    tenant: UUID | None
    checkpoints: Path | None
    keys: tuple[str, ...]
    part: VerifyPart | None
    jobs: int
    whole: bool
    allow_unproven: bool
    as_json: bool


def _part(_ctx: click.Context, _option: click.Parameter, text: str | None) -> VerifyPart | None:
    if text is None:
        return None
    found = _PART.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter("must be K/N, such as 1/4")
    return VerifyPart(int(found[1]), int(found[2]))


@click.command(
    short_help="Prove that no event was changed, removed or inserted.",
    epilog="Exit codes: 0 verified; 1 something was changed; 2 bad usage or a store that cannot be used.",
)
@click.argument("export", required=False, type=click.Path(exists=True, path_type=Path))
@maybe_store_option
@click.option("--tenant", type=click.UUID, help="Check one tenant's log only; an export must be of this tenant.")
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
@click.option(
    "--jobs",
    type=click.IntRange(1, MAX_JOBS),
    default=1,
    show_default=True,
    help="Check tenants in this many processes at once.",
)
@click.option(
    "--part",
    callback=_part,
    metavar="K/N",
    help="Check the tenants of one of N parts only, so that several machines can share the work.",
)
@click.option("--whole", is_flag=True, help="An export must have every event up to its signed checkpoint.")
@click.option(
    "--allow-unproven",
    is_flag=True,
    help="Take an export with hidden fields, or with events that came after its signed checkpoint; they are counted.",
)
@json_option
@click.pass_context
def verify(ctx: click.Context, /, **options: Unpack[_Options]) -> int:
    """Recompute every hash of a store and name each event that was changed, removed or inserted.

    With checkpoints that were signed and kept elsewhere it also finds what was cut off, dropped or written anew.

    EXPORT is a file that tenaudit audit export --proofs made: it is checked with --key alone, and without any store.

    With --json: {"verified", "events", "tenants", "problems": [{"tenant_id", "event_id", "kind", "detail"}]}.
    """
    _check_usage(ctx, options)
    report = _of_store(options) if options["export"] is None else _of_export(options["export"], options)
    if options["as_json"]:
        write_json(report.to_json())
    else:
        _print(report)
    return 0 if report.verified else 1


def _check_usage(ctx: click.Context, options: _Options) -> None:
    if options["export"] is not None:
        named = ctx.get_parameter_source("store_url") is ParameterSource.COMMANDLINE
        if named or options["checkpoints"] is not None:
            raise click.UsageError("an export is checked without --store and --checkpoints")
        if options["part"] is not None or options["jobs"] > 1:
            raise click.UsageError("an export is one log, which is not divided; leave out --part and --jobs")
        if not options["keys"]:
            raise click.UsageError("an export is checked with the verifier key of its checkpoints; give --key")
        return
    if options["tenant"] is not None and (options["part"] is not None or options["jobs"] > 1):
        raise click.UsageError("--tenant is one log, which is not divided; leave out --part and --jobs")
    if options["part"] is not None and options["jobs"] > 1:
        raise click.UsageError("--jobs makes the parts itself; leave out --part")
    if options["whole"] or options["allow_unproven"]:
        raise click.UsageError("--whole and --allow-unproven are for an export; name its file")
    if options["store_url"] is None:
        raise click.UsageError("Missing option '--store', or the file of an export")
    if (options["checkpoints"] is None) != (not options["keys"]):
        raise click.UsageError("--checkpoints and --key go together")


def _of_export(path: Path, options: _Options) -> ExportReport:
    leniency = Leniency(options["whole"], options["allow_unproven"])
    return check_export(path, read_verifiers(options["keys"]), options["tenant"], leniency)


def _of_store(options: _Options) -> VerifyReport:
    checkpoints, store_url = options["checkpoints"], options["store_url"]
    assert store_url is not None
    signed, problems = _signed(checkpoints, options["keys"]) if checkpoints else ({}, ())
    if options["jobs"] > 1:
        # Each part tells what is wrong with the file of checkpoints, too.
        return asyncio.run(verify_in_processes(store_url, checkpoints, options["keys"], options["jobs"]))
    report = asyncio.run(_verify(store_url, options["tenant"], signed, options["part"]))
    return replace(report, problems=(*problems, *report.problems))


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


async def _verify(
    store_url: str, tenant: UUID | None, signed: Mapping[UUID, Sequence[Checkpoint]], part: VerifyPart | None
) -> VerifyReport:
    async with open_store(store_url, must_exist=True) as store:
        report = await store.verify(tenant, signed=signed, part=part)
        # An id that the store has never seen would be found in order, which is no answer to a slip of the pen.
        if tenant is not None and report.verified and tenant not in await store.tenants():
            raise ConfigurationError(f"the store has no tenant {tenant}; leave out --tenant to check all")
        return report


def _print(report: VerifyReport | ExportReport) -> None:
    said = "verified" if report.verified else "NOT verified"
    if isinstance(report, ExportReport):
        write_line(f"{said}: events {report.events}, problems {report.found}; {_of_what(report)}")
    else:
        write_line(f"{said}: events {report.events}, tenants {report.tenants}, problems {len(report.problems)}")
    for problem in report.problems:
        which = "" if problem.event_id is None else f" event {problem.event_id}"
        write_line(f"{problem.kind}: tenant {problem.tenant_id}{which}: {problem.detail}")


def _of_what(report: ExportReport) -> str:
    if report.tenant_id is None:
        return "nothing of it is proven"
    part = "all" if report.whole else "a part"
    told = f"{part} of the {report.size} entries that tenant {report.tenant_id} had when they were signed"
    if report.purged:
        told += f", {report.purged} of which were purged"
    if report.hidden:
        told += f"; {report.hidden} values are hidden or erased, and all else of their events is proven"
    if report.redacted:
        told += f"; the content of {report.redacted} with hidden fields is not proven"
    if report.uncovered:
        told += f"; {report.uncovered} that came later are not covered yet"
    return told
