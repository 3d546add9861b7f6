"""`tenaudit audit query`: events of a store, by the filters of `GET /audit/events`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import click

from tenaudit.audit import InvalidCursor, Page, event_view, query_from_parameters
from tenaudit.audit.event import wire_time
from tenaudit.audit.parameters import PARAMETERS
from tenaudit.audit.visible import VisibleQuery
from tenaudit.audit.visible_search import WalkBounds, search_visible
from tenaudit.cli.audit_filters import filter_options, given, usage_error
from tenaudit.cli.output import json_option, write_json, write_table
from tenaudit.cli.redaction_options import read_redaction_options
from tenaudit.cli.store_url import open_store, store_option
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit import AuditEvent, AuditQuery, RedactionPolicy, Store
    from tenaudit.cli.redaction_options import RedactionOptions

__all__ = ["query"]

# An empty store has nobody to ask for; the filters are checked all the same.
_NO_TENANT = UUID(int=0)
_BOUNDS = WalkBounds(events=10_000_000, seconds=30.0, page=500)
_HEADINGS = ("time", "actor", "action", "resource", "outcome", "severity", "event")


@click.command(
    short_help="Show stored events by actor, action, outcome, time and more.",
    epilog="Exit codes: 0 answered, also when nothing fits; 2 bad usage or a store that cannot be used.",
)
@store_option
@click.option("--tenant", type=click.UUID, help="Whose events; by default those of every tenant in the store.")
@filter_options(PARAMETERS)
@read_redaction_options
@json_option
@click.pass_context
def query(
    ctx: click.Context,
    /,
    store_url: str,
    tenant: UUID | None,
    redaction: RedactionOptions,
    as_json: bool,  # noqa: FBT001 - click's call
    **filters: str | None,
) -> int:
    """Show stored events, newest first, with every field as it is stored unless --redact or --redact-policy hides it.

    A filter finds nothing by what is hidden; where it takes a walk through the store, that ends after 30 seconds, and
    the page is short.

    Over several tenants the answer is cut at --limit and has no cursors: to page, name one with --tenant.

    With --json: {"events": [...], "next_cursor", "prev_cursor"}.
    """
    try:
        page = asyncio.run(_search(store_url, tenant, given(filters), redaction.for_operator()))
    except ApiError as error:
        raise usage_error(error, ctx) from None
    except InvalidCursor:
        raise click.UsageError("--cursor was altered, or is of another tenant, filter or order", ctx) from None
    if as_json:
        events = [event_view(event, None, may_unredact=True) for event in page.events]
        write_json({"events": events, "next_cursor": page.next_cursor, "prev_cursor": page.prev_cursor})
    else:
        _print(page)
    return 0


async def _search(
    store_url: str, tenant: UUID | None, parameters: Sequence[tuple[str, str]], redaction: RedactionPolicy | None
) -> Page:
    async with open_store(store_url, must_exist=True) as store:
        tenants = (tenant,) if tenant is not None else await store.tenants()
        if len(tenants) == 1:
            return await _page(store, query_from_parameters(tenants[0], parameters), redaction)
        return await _search_all(store, tenants, parameters, redaction)


async def _page(store: Store, query: AuditQuery, redaction: RedactionPolicy | None) -> Page:
    page = await search_visible(store.search, VisibleQuery(query, redaction), _BOUNDS)
    return page if redaction is None else replace(page, events=tuple(map(redaction.shown, page.events)))


async def _search_all(
    store: Store,
    tenants: Sequence[UUID],
    parameters: Sequence[tuple[str, str]],
    redaction: RedactionPolicy | None,
) -> Page:
    """Merge the first pages of all tenants; memory holds two pages, however many tenants there are."""
    queries = [query_from_parameters(tenant, parameters) for tenant in tenants or (_NO_TENANT,)]
    if queries[0].cursor is not None:
        raise click.UsageError("--cursor needs --tenant when the store has several tenants")
    newest_first, limit = queries[0].order == "desc", queries[0].limit
    events: list[AuditEvent] = []
    more = False
    for wanted in queries:
        page = await _page(store, wanted, redaction)
        events = sorted((*events, *page.events), key=lambda event: event.event_id, reverse=newest_first)
        more = more or page.next_cursor is not None or len(events) > limit
        del events[limit:]
    if more:
        sys.stderr.write("there are more events; name a tenant with --tenant to page through its own\n")
    return Page(tuple(events), None, None)


def _print(page: Page) -> None:
    write_table(_HEADINGS, (_row(event) for event in page.events))
    if page.next_cursor is not None:
        sys.stderr.write(f"there are more events; go on with --cursor {page.next_cursor}\n")


def _row(event: AuditEvent) -> tuple[str | None, ...]:
    resource = " ".join(part for part in (event.resource_type, event.resource_id) if part)
    time = wire_time(event.occurred_at)
    return time, event.actor_id, event.action, resource, event.outcome, event.severity, str(event.event_id)
