"""`GET /audit/export`: every event that fits, page by page, as one file that says where it ends."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from tenaudit.audit.export import EXPORT_FORMATS
from tenaudit.audit.filters import filters_of
from tenaudit.audit.parameters import EXPORT_PARAMETERS, query_of, read_parameters
from tenaudit.audit.turns import Turns
from tenaudit.audit.visible_search import WALK_PAGE, look
from tenaudit.errors import ApiError
from tenaudit.gate.open_exports import open_exports_of
from tenaudit.gate.stream import StreamedReply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from tenaudit.audit import AuditQuery, Page
    from tenaudit.audit.visible import VisibleQuery
    from tenaudit.gate.audit_reader import AuditReader
    from tenaudit.gate.open_exports import ExportSettings
    from tenaudit.security import SecurityContext

__all__ = ["export_reply"]

_log = logging.getLogger("tenaudit.gate")
# Events of up to 64 KiB each: this many are in memory at once, and as many bytes as one piece holds.
_PAGE = 200
_PIECE = 64 * 1024


async def export_reply(
    reader: AuditReader, context: SecurityContext, parameters: Iterable[tuple[str, str]], bounds: ExportSettings
) -> StreamedReply:
    """Answer `GET /audit/export`.

    The first page is read before the answer begins, so that what can be refused is refused with its status. What
    fails later breaks the answer off, without the line that says it is whole.

    Raises:
        ApiError: 400 `invalid_parameter`, 503 `unavailable`, also when enough exports run.
    """
    values = read_parameters(parameters, EXPORT_PARAMETERS)
    name = values.pop("format", "ndjson")
    chosen = EXPORT_FORMATS[name]
    query = replace(query_of(context.tenant_id, values), limit=_PAGE)
    exports, tenant_id = open_exports_of(reader.gate), context.tenant_id
    exports.enter(tenant_id, bounds)
    try:
        may_unredact = reader.may_unredact(context)
        asked = reader.asked(query, may_unredact=may_unredact)
        first = await reader.ask(reader.store.search(_stored(asked)))
    except BaseException:
        exports.leave(tenant_id)
        raise
    headers = (
        ("content-type", chosen.content_type),
        ("content-disposition", f'attachment; filename="audit-events.{chosen.suffix}"'),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    )
    body = _body(reader, context, asked, name, first, may_unredact=may_unredact)
    return StreamedReply(200, headers, body, step_seconds=reader.deadline, on_close=lambda: exports.leave(tenant_id))


async def _body(
    reader: AuditReader, context: SecurityContext, asked: VisibleQuery, name: str, first: Page, *, may_unredact: bool
) -> AsyncGenerator[bytes, None]:
    chosen = EXPORT_FORMATS[name]
    query = asked.query
    sent, complete = 0, False
    try:
        page: Page | None = first
        piece, turns = bytearray(chosen.head), Turns()
        while page is not None:
            for event in page.events:
                if asked.hidden and await look(asked, event) is None:
                    continue
                piece += chosen.line(reader.view(event, may_unredact=may_unredact, show_tags=query.include_redacted))
                sent += 1
                await turns.taken()
                if len(piece) >= _PIECE:
                    yield bytes(piece)
                    piece.clear()
            # Nothing waits here while the store is asked for more; and a page without an event to show is a step too,
            # after which a client that has gone is noticed.
            if piece or page.next_cursor is not None:
                yield bytes(piece)
                piece.clear()
            page = await _after(reader, context, _stored(asked), page)
        yield chosen.end(sent)
        complete = True
    finally:
        told = {"export": name, "events": sent, "complete": complete, "filters": filters_of(query)}
        if may_unredact:
            reader.record(context, "audit.read_unredacted", told, severity="security")
        else:
            reader.record(context, "audit.exported", told, severity="info")


def _stored(asked: VisibleQuery) -> AuditQuery:
    # A page of which nothing is shown is one step of the answer all the same, which has its time.
    return replace(asked.stored, limit=WALK_PAGE) if asked.hidden else asked.stored


async def _after(reader: AuditReader, context: SecurityContext, query: AuditQuery, page: Page) -> Page | None:
    if page.next_cursor is None:
        return None
    try:
        return await reader.ask(reader.store.search(query.at(page.next_cursor)))
    except ApiError:
        extra = {"action": "audit_export_broken", "trace_id": context.trace.trace_id}
        _log.warning("the store failed in the middle of an export; it is broken off", extra=extra)
        raise
