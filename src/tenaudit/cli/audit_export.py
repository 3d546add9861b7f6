"""`tenaudit audit export`: every event that fits, as NDJSON, as CSV or in the shape of another system."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.parameters import EXPORT_PARAMETERS, query_of, read_parameters
from tenaudit.audit.query import MAX_LIMIT
from tenaudit.audit.visible import VisibleQuery
from tenaudit.cli.audit_export_proofs import ProvenExport, tip_of
from tenaudit.cli.audit_export_shapes import DEFAULT_SHAPE, SHAPES, Shape
from tenaudit.cli.audit_filters import filter_options, given, one_tenant, tenant_option, usage_error
from tenaudit.cli.redaction_options import read_redaction_options
from tenaudit.cli.store_url import open_store, store_option
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from tenaudit.audit import Page, RedactionPolicy, Store
    from tenaudit.cli.redaction_options import RedactionOptions

__all__ = ["export"]


@click.command(
    short_help="Write stored events to a file or another system.",
    epilog="Exit codes: 0 everything was written; 2 bad usage or a store that cannot be used; 130 interrupted; 141 the "
    "reader has gone.",
)
@store_option
@tenant_option
@filter_options(EXPORT_PARAMETERS)
@read_redaction_options
@click.option("--proofs", "with_proofs", is_flag=True, help="Give each event its proof; needs --checkpoints.")
@click.option(
    "--checkpoints",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of signed checkpoints (tenaudit audit sign) that the proofs are for.",
)
@click.pass_context
def export(
    ctx: click.Context,
    /,
    store_url: str,
    tenant: UUID | None,
    redaction: RedactionOptions,
    with_proofs: bool,  # noqa: FBT001 - click's call
    checkpoints: Path | None,
    **filters: str | None,
) -> int:
    """Write every event that fits to standard output, with every field as it is stored.

    --redact and --redact-policy hide fields; a filter finds nothing by what is hidden, and redactions names it.

    The last line says that the export is whole and how many events it holds; one that was cut off has none. In CSV a
    cell that a spreadsheet would take for a formula begins with a quote.

    Of cloudevents, ecs and ocsf every line is one event and nothing else: what says that it is whole is a line on
    standard error and the exit code.

    With --proofs each line of ndjson carries its proof, and the last one what was signed, so that tenaudit audit verify
    FILE needs nothing but the public key.
    """
    if with_proofs != (checkpoints is not None):
        raise click.UsageError("--proofs and --checkpoints go together")
    try:
        asyncio.run(_export(store_url, tenant, given(filters), redaction.for_operator(), checkpoints))
    except ApiError as error:
        raise usage_error(error, ctx) from None
    return 0


async def _export(
    store_url: str,
    tenant: UUID | None,
    parameters: list[tuple[str, str]],
    redaction: RedactionPolicy | None,
    checkpoints: Path | None,
) -> None:
    shape, values = _shape(parameters), read_parameters(_filters(parameters), EXPORT_PARAMETERS)
    if checkpoints is not None and shape is not SHAPES[DEFAULT_SHAPE]:
        raise ConfigurationError(f"--proofs needs --format {DEFAULT_SHAPE}; the others have no place for them")
    # The bytes are the format's own, whatever the encoding of the terminal or pipe.
    out = sys.stdout.buffer
    async with open_store(store_url, must_exist=True) as store:
        query = replace(query_of(await one_tenant(store, tenant), values), limit=MAX_LIMIT)
        asked = VisibleQuery(query, redaction)
        if checkpoints is not None:
            is_all = {name for name, _ in parameters} <= {"format", "order"}
            proven = ProvenExport(store, asked, tip_of(checkpoints, query.tenant_id), redaction, is_all=is_all)
            async for page in _pages(store, asked):
                await proven.write(out, page)
            proven.end(out)
            out.flush()
            return
        out.write(shape.head)
        written = 0
        async for page in _pages(store, asked):
            for event in page.events:
                if asked.hidden and asked.seen(event) is None:
                    continue
                out.write(shape.line(event if redaction is None else redaction.shown(event)))
                written += 1
    if shape.end is not None:
        out.write(shape.end(written))
    out.flush()
    if shape.end is None:
        sys.stderr.write(f"exported {written} events\n")


async def _pages(store: Store, asked: VisibleQuery) -> AsyncIterator[Page]:
    cursor: str | None = None
    while True:
        page = await store.search(asked.stored.at(cursor))
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


def _shape(parameters: list[tuple[str, str]]) -> Shape:
    name = dict(parameters).get("format", DEFAULT_SHAPE)
    if name not in SHAPES:
        raise ConfigurationError(f"--format must be one of {', '.join(SHAPES)}")
    return SHAPES[name]


def _filters(parameters: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in parameters if name != "format"]
