"""`tenaudit audit stats`: how many events of each kind a store has."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from tenaudit.audit.parameters import FILTERS, query_of, read_parameters
from tenaudit.audit.query import MAX_LIMIT
from tenaudit.audit.visible import VisibleQuery
from tenaudit.audit.visible_search import WalkBounds, count_visible
from tenaudit.cli.audit_filters import filter_options, given, one_tenant, tenant_option, usage_error
from tenaudit.cli.output import json_option, write_json, write_table
from tenaudit.cli.redaction_options import read_redaction_options
from tenaudit.cli.store_url import open_store, store_option
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit import RedactionPolicy
    from tenaudit.audit.stats import EventStats
    from tenaudit.cli.redaction_options import RedactionOptions

__all__ = ["stats"]

_EVENTS = 1_000_000
_MOST_EVENTS = 100_000_000
_SECONDS = 30.0


@click.command(
    short_help="Count stored events by action, outcome, severity and day.",
    epilog="Exit codes: 0 counted; 2 bad usage or a store that cannot be used.",
)
@store_option
@tenant_option
@filter_options(FILTERS)
@read_redaction_options
@click.option(
    "--max-events",
    type=click.IntRange(1, _MOST_EVENTS),
    default=_EVENTS,
    metavar="NUMBER",
    help="Count at most the newest so many; a million by default.",
)
@json_option
@click.pass_context
def stats(
    ctx: click.Context,
    /,
    store_url: str,
    tenant: UUID | None,
    redaction: RedactionOptions,
    max_events: int,
    as_json: bool,  # noqa: FBT001 - click's call
    **filters: str | None,
) -> int:
    """Count the events that fit by action, outcome, severity and day.

    It ends at --max-events or after 30 seconds, and says so when there are more. A filter finds nothing by what
    --redact or --redact-policy hides.

    With --json: {"events", "complete", "oldest", "actions", "outcomes", "severities", "days"}.
    """
    try:
        counted = asyncio.run(_stats(store_url, tenant, given(filters), max_events, redaction.for_operator()))
    except ApiError as error:
        raise usage_error(error, ctx) from None
    if as_json:
        write_json(counted.to_json())
    else:
        _print(counted)
    return 0


async def _stats(
    store_url: str,
    tenant: UUID | None,
    parameters: list[tuple[str, str]],
    max_events: int,
    redaction: RedactionPolicy | None,
) -> EventStats:
    values = read_parameters(parameters, FILTERS)
    async with open_store(store_url, must_exist=True) as store:
        query = query_of(await one_tenant(store, tenant), values)
        asked = VisibleQuery(query, redaction)
        if asked.store_may_count:
            return await store.stats(query, max_events=max_events, seconds=_SECONDS)
        return await count_visible(store.search, asked, WalkBounds(max_events, _SECONDS, MAX_LIMIT))


def _print(counted: EventStats) -> None:
    kinds = {
        "action": counted.actions,
        "outcome": counted.outcomes,
        "severity": counted.severities,
        "day": counted.days,
    }
    rows = [(kind, name, str(count)) for kind, counts in kinds.items() for name, count in counts.items()]
    write_table(("kind", "name", "events"), [*rows, ("all", "", str(counted.events))])
    if not counted.complete:
        sys.stderr.write(f"there are more events; counted were the newest, back to {counted.oldest}\n")
