"""`tenaudit import`: existing audit logs into a store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from prometheus_client import CollectorRegistry

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.importers import FORMATS, BrokenFile, ImportProblem, ImportReport, LineImporter, Loader, is_lines
from tenaudit.cli.import_expiry import ExpiryCount
from tenaudit.cli.import_files import FoundFiles, find_files
from tenaudit.cli.import_text import LogFile, open_log
from tenaudit.cli.output import json_option, write_json, write_line
from tenaudit.cli.progress import ImportProgress, import_progress
from tenaudit.cli.redaction_options import write_redaction_options
from tenaudit.cli.store_url import open_store, store_option

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit import RedactionPolicy, Store
    from tenaudit.backends.postgres import PostgresStore
    from tenaudit.backends.sqlite import SqliteStore
    from tenaudit.cli.redaction_options import RedactionOptions

__all__ = ["import_"]

_NAMED = 20


@click.command(
    "import",
    epilog="Exit codes: 0 everything is in the store; 1 something was refused or conflicts, and the rest is in the "
    "store; 2 bad usage, an unreadable path or a store that cannot be used; 130 interrupted.",
)
@click.option(
    "--format",
    "format_name",
    required=True,
    metavar=f"[{'|'.join(sorted(FORMATS))}]",
    help="; ".join(f"{name}: {importer.about}" for name, importer in sorted(FORMATS.items())) + ".",
)
@store_option
@click.option(
    "--tenant",
    type=click.UUID,
    help="Whose events they are; by default what each record says: a UUIDv5 of its account or organization, or the "
    "tenant it names. kubernetes needs it; ndjson takes the records of this tenant only.",
)
@write_redaction_options
@json_option
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
def import_(
    format_name: str,
    store_url: str,
    tenant: UUID | None,
    redaction: RedactionOptions,
    as_json: bool,  # noqa: FBT001 - click's call
    paths: tuple[Path, ...],
) -> int:
    """Load existing audit logs into a store.

    PATH is a file, plain or gzip, or a folder, of which all .json, .jsonl, .ndjson and .gz files are read.
    Importing the same files again stores nothing twice, so an interrupted import goes on when it is run again. A
    broken file or record is refused by name, and the rest goes on. The store is made when it is not there.

    With --redact-policy nothing that it names is stored. Importing again under other rules makes conflicts.
    """
    if format_name not in FORMATS:
        raise ConfigurationError(f"there is no format {format_name}; known are {', '.join(sorted(FORMATS))}")
    if tenant is None and FORMATS[format_name].needs_tenant:
        raise ConfigurationError(f"no record of {format_name} says whose it is; give --tenant")
    found = find_files(paths)
    if not found.files and not found.broken:
        raise ConfigurationError(
            "there is no .json, .jsonl, .ndjson or .gz file in the paths; name files or their folder"
        )
    redacting = redaction.for_writer(CollectorRegistry())
    store = open_store(store_url, must_exist=False, personal=redaction.personal_fields())
    clock = SystemClock()
    started = clock.monotonic()
    report, expiring = asyncio.run(_load(found, format_name, store, tenant, redacting, clock))
    seconds = round(clock.monotonic() - started, 3)
    if as_json:
        write_json({**report.to_json(), "expiring": expiring, "skipped": found.skipped, "seconds": seconds})
    else:
        _print(report, found.skipped, seconds, expiring)
    return 0 if report.complete else 1


async def _load(
    found: FoundFiles,
    name: str,
    opening: SqliteStore | PostgresStore,
    tenant: UUID | None,
    redaction: RedactionPolicy | None,
    clock: Clock,
) -> tuple[ImportReport, int]:
    async with opening as store:
        counted = ExpiryCount(store, clock)
        with import_progress(len(found.files), clock) as progress:
            wrapped = cast("Store", counted)
            return await _load_all(found, name, wrapped, tenant, redaction, progress), counted.expiring


async def _load_all(
    found: FoundFiles,
    name: str,
    store: Store,
    tenant: UUID | None,
    redaction: RedactionPolicy | None,
    progress: ImportProgress,
) -> ImportReport:
    done = 0
    loader = Loader(
        store,
        FORMATS[name],
        tenant_id=tenant,
        on_progress=lambda read: progress(files=done, records=read),
        redaction=redaction,
    )
    for path, why in found.broken:
        loader.refuse(str(path), BrokenFile("unreadable", why))
    for path in found.files:
        try:
            with open_log(path) as log:
                await _load_log(loader, isinstance(FORMATS[name], LineImporter), str(path), log)
        except BrokenFile as refusal:
            loader.refuse(str(path), refusal)
        done += 1
    return await loader.finish()


async def _load_log(loader: Loader, may_be_lines: bool, path: str, log: LogFile) -> None:  # noqa: FBT001 - one of two ways to read
    head = log.head()
    if may_be_lines and head is not None and is_lines(head):
        await loader.load_lines(path, log.pieces())
    else:
        await loader.load(path, log.text())


def _print(report: ImportReport, skipped: int, seconds: float, expiring: int) -> None:
    write_line(f"files       {report.files}" + (f" ({skipped} others skipped)" if skipped else ""))
    write_line(f"read        {report.read}")
    write_line(f"stored      {report.stored}")
    write_line(f"duplicates  {report.duplicates}")
    write_line(f"conflicts   {report.conflicts}")
    if report.expired:
        write_line(f"expired     {report.expired}")
    if expiring:
        write_line(f"of these, {expiring} are past their period and go at the next purge")
    if report.passed:
        write_line(f"passed      {sum(report.passed.values())}")
    write_line(f"refused     {sum(report.refused.values())}")
    for reason, count in report.refused.items():
        write_line(f"  {reason}  {count}")
    for problem in report.problems[:_NAMED]:
        write_line(f"{_place(problem)}: {problem.reason}: {problem.detail}")
    hidden = sum(report.refused.values()) - len(report.problems[:_NAMED])
    if hidden > 0:
        write_line(f"and {hidden} more; --json names up to 100")
    write_line(f"seconds     {seconds}")


def _place(problem: ImportProblem) -> str:
    if problem.line is not None:
        return f"{problem.path}:{problem.line}"
    return problem.path if problem.record is None else f"{problem.path} record {problem.record}"
