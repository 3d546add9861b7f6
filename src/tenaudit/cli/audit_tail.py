"""`tenaudit audit tail`: events as they arrive in a store, until it is interrupted."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from tenaudit.audit.event import wire_time
from tenaudit.audit.parameters import FILTERS, query_of, read_parameters
from tenaudit.audit.visible import VisibleQuery
from tenaudit.cli.audit_filters import filter_options, given, one_tenant, tenant_option, usage_error
from tenaudit.cli.errors import INTERRUPTED
from tenaudit.cli.output import write_json, write_line
from tenaudit.cli.redaction_options import read_redaction_options
from tenaudit.cli.store_url import open_store, store_option
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit.audit import AuditEvent, RedactionPolicy
    from tenaudit.cli.redaction_options import RedactionOptions

__all__ = ["tail"]

_BATCH = 100
_FASTEST = 0.1
_SLOWEST = 2.0


@click.command(
    short_help="Show events as they arrive.",
    epilog="Exit codes: 2 bad usage or a store that cannot be used; 130 interrupted, which is how it ends; 141 the "
    "reader has gone.",
)
@store_option
@tenant_option
@filter_options(FILTERS)
@read_redaction_options
@click.option("--from-start", is_flag=True, help="Begin with the events that are there already.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a JSON object on a line.")
@click.pass_context
def tail(
    ctx: click.Context,
    /,
    store_url: str,
    tenant: UUID | None,
    redaction: RedactionOptions,
    from_start: bool,  # noqa: FBT001 - click's call
    as_json: bool,  # noqa: FBT001 - click's call
    **filters: str | None,
) -> int:
    """Show each event that fits as it arrives, until Ctrl-C.

    Every field is shown as it is stored unless --redact or --redact-policy hides it, and a filter finds nothing by what
    is hidden.

    The order is that of arrival: an event that comes late is shown when it comes.
    """
    try:
        redacting = redaction.for_operator()
        asyncio.run(_tail(store_url, tenant, given(filters), redacting, from_start=from_start, as_json=as_json))
    except ApiError as error:
        raise usage_error(error, ctx) from None
    except KeyboardInterrupt:
        pass
    # Nothing else ends it, so there is nothing to say.
    return INTERRUPTED


async def _tail(
    store_url: str,
    tenant: UUID | None,
    parameters: list[tuple[str, str]],
    redaction: RedactionPolicy | None,
    *,
    from_start: bool,
    as_json: bool,
) -> None:
    values = read_parameters(parameters, FILTERS)
    async with open_store(store_url, must_exist=True) as store:
        query = query_of(await one_tenant(store, tenant), values)
        asked = VisibleQuery(query, redaction)
        position = 0 if from_start else await store.newest_position(query.tenant_id)
        pause = _FASTEST
        while True:
            found = await store.follow(query.tenant_id, position, _BATCH)
            for _, event in found:
                if asked.finds(event):
                    _show(event if redaction is None else redaction.shown(event), as_json=as_json)
            # For whoever reads a pipe; a reader that has gone is noticed here.
            sys.stdout.flush()
            position = found[-1][0] if found else position
            pause = _FASTEST if found else min(pause * 2, _SLOWEST)
            await asyncio.sleep(0 if len(found) == _BATCH else pause)


def _show(event: AuditEvent, *, as_json: bool) -> None:
    if as_json:
        write_json(event.record())
        return
    resource = "/".join(part for part in (event.resource_type, event.resource_id) if part)
    cells = (event.actor_id, event.action, resource, event.outcome, event.severity, str(event.event_id))
    write_line("  ".join((wire_time(event.occurred_at), *(cell or "-" for cell in cells))))
