"""The audit trail over HTTP, without a framework: parameters in, a finished reply out."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit.audit import query_from_parameters
from tenaudit.audit.filters import filters_of
from tenaudit.audit.turns import Turns
from tenaudit.errors import ApiError, Reply
from tenaudit.gate.audit_cursors import AuditCursors
from tenaudit.gate.audit_export import export_reply
from tenaudit.gate.audit_openapi import audit_document
from tenaudit.gate.audit_proofs import checkpoint_answer, consistency_answer, proof_answer
from tenaudit.gate.audit_reader import AuditReader
from tenaudit.gate.audit_stats import count_events
from tenaudit.gate.audit_tail import AuditTail
from tenaudit.gate.open_exports import ExportSettings
from tenaudit.gate.open_tails import TailSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from tenaudit.audit import EventRedactor, Store
    from tenaudit.gate.gate import Gate
    from tenaudit.gate.stream import StreamedReply
    from tenaudit.security import SecurityContext

__all__ = ["AuditApi"]

_READ = "audit.read_unredacted"


class AuditApi:
    """Serves one store through one gate.

    The tenant of every answer is the caller's own. A caller without `audit_view_unredacted` sees listed fields
    masked, and their filters look at what they see; every unredacted read is itself audited.

    Args:
        gate: whose policy decides and whose producer records the reads.
        store: where events are.
        redactor: what is hidden from readers; None hides nothing.
        deadline: seconds that the store may take.
        cursor_keys: secrets of at least 16 bytes that cursors are signed with, the same in every worker: the first
            signs, all verify, so a new one is put first and the old one taken out when its cursors have expired.
            A random key of this process stands in for none.
        cursor_lifetime: seconds that a cursor is good for.
        tail: bounds of `GET /audit/tail`.
        exports: bounds of `GET /audit/export`.
        clock: tells when a cursor expires and a tail ends.
        wait: sleeps for some seconds, between two looks of a tail at the store.

    Raises:
        ConfigurationError: a cursor key is too short, or the lifetime is out of range.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> from tenaudit.gate import Gate
        >>> gate = Gate("audit", registry=CollectorRegistry())
        >>> api = AuditApi(gate, SqliteStore.open("audit.db"), cursor_keys=[b"a secret of the whole service"])
    """

    def __init__(
        self,
        gate: Gate,
        store: Store,
        *,
        redactor: EventRedactor | None = None,
        deadline: float = 5.0,
        cursor_keys: Sequence[bytes] = (),
        cursor_lifetime: float = 86_400.0,
        tail: TailSettings | None = None,
        exports: ExportSettings | None = None,
        clock: Clock | None = None,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.deadline = deadline
        self._exports = exports or ExportSettings()
        self._document: Reply | None = None
        self._reader = AuditReader(gate, store, redactor, deadline, clock)
        self._cursors = AuditCursors(cursor_keys, lifetime=cursor_lifetime, clock=clock)
        self._tail = AuditTail(self._reader, self._cursors, tail or TailSettings(), clock or SystemClock(), wait)

    async def list_events(self, context: SecurityContext, parameters: Iterable[tuple[str, str]]) -> Reply:
        """Answer `GET /audit/events`.

        Raises:
            ApiError: 400 `invalid_parameter` or `invalid_cursor`, 503 `unavailable`.
        """
        reader, cursors = self._reader, self._cursors
        query = query_from_parameters(context.tenant_id, parameters)
        may_unredact = reader.may_unredact(context)
        page = await reader.page(reader.asked(cursors.opened(query), may_unredact=may_unredact))
        views, turns = [], Turns()
        for event in page.events:
            views.append(reader.view(event, may_unredact=may_unredact, show_tags=query.include_redacted))
            await turns.taken()
        if may_unredact:
            told = {"events": len(views), "filters": filters_of(query)}
            reader.record(context, _READ, told, severity="security")
        return _json(
            {
                "events": views,
                "next_cursor": cursors.page(query, page.next_cursor),
                "prev_cursor": cursors.page(query, page.prev_cursor),
            }
        )

    async def one_event(self, context: SecurityContext, event_id: str) -> Reply:
        """Answer `GET /audit/events/{id}`.

        Raises:
            ApiError: 404 `not_found` for an event of another tenant as for none, 503 `unavailable`.
        """
        try:
            wanted = UUID(event_id)
        except ValueError:
            raise ApiError.not_found("No such event.") from None
        reader = self._reader
        event = await reader.ask(reader.store.get(context.tenant_id, wanted))
        if event is None:
            raise ApiError.not_found("No such event.")
        may_unredact = reader.may_unredact(context)
        if may_unredact:
            reader.record(context, _READ, {"events": 1, "event_id": str(wanted)}, severity="security")
        return _json(reader.view(event, may_unredact=may_unredact, show_tags=True))

    async def export(self, context: SecurityContext, parameters: Iterable[tuple[str, str]]) -> StreamedReply:
        """Answer `GET /audit/export`: every event that fits, as NDJSON or CSV, never all of them in memory.

        Raises:
            ApiError: 400 `invalid_parameter`, 503 `unavailable`, also when enough exports run.
        """
        return await export_reply(self._reader, context, parameters, self._exports)

    async def tail(
        self, context: SecurityContext, parameters: Iterable[tuple[str, str]], last_event_id: str | None = None
    ) -> StreamedReply:
        """Answer `GET /audit/tail`: events as they arrive, as server-sent events.

        Args:
            context: of the caller.
            parameters: which events.
            last_event_id: the request's `Last-Event-ID`, behind which the answer begins; without it, from now on.

        Raises:
            ApiError: 400 `invalid_parameter` or `invalid_cursor`, 404 `not_found` for a store that cannot be followed,
                503 `unavailable`, also when enough clients follow.
        """
        return await self._tail.reply(context, parameters, last_event_id)

    async def stats(self, context: SecurityContext, parameters: Iterable[tuple[str, str]]) -> Reply:
        """Answer `GET /audit/stats`: how many events fit, by action, outcome, severity and day.

        Raises:
            ApiError: 400 `invalid_parameter`, 404 `not_found` for a store that cannot count, 503 `unavailable`.
        """
        return _json((await count_events(self._reader, context, parameters)).to_json())

    async def event_proof(
        self, context: SecurityContext, event_id: str, parameters: Iterable[tuple[str, str]] = ()
    ) -> Reply:
        """Answer `GET /audit/events/{id}/proof`: that the event is in the tenant's log (RFC 9162 section 2.1.3).

        Raises:
            ApiError: 400 `invalid_parameter`, 403 `missing_role` for a reader from whom fields are hidden, 404
                `not_found`, 409 `conflict`, 503 `unavailable`.
        """
        return _json(await proof_answer(self._reader, context, event_id, parameters))

    async def checkpoint(self, context: SecurityContext, parameters: Iterable[tuple[str, str]] = ()) -> Reply:
        """Answer `GET /audit/checkpoint`: the newest of the tenant's log (C2SP tlog-checkpoint).

        Raises:
            ApiError: 400 `invalid_parameter`, 404 `not_found`, 409 `conflict`, 503 `unavailable`.
        """
        return _json(await checkpoint_answer(self._reader, context, parameters))

    async def consistency(self, context: SecurityContext, parameters: Iterable[tuple[str, str]]) -> Reply:
        """Answer `GET /audit/consistency`: that the tenant's log only grew (RFC 9162 section 2.1.4).

        Raises:
            ApiError: 400 `invalid_parameter`, 403 `missing_role` for a reader from whom fields are hidden, 404
                `not_found`, 409 `conflict`, 503 `unavailable`.
        """
        return _json(await consistency_answer(self._reader, context, parameters))

    def document(self) -> Reply:
        """Answer `GET /audit/openapi.json`: the OpenAPI document of all of these."""
        if self._document is None:
            self._document = _json(audit_document(self._reader.gate))
        return self._document


def _json(body: dict[str, Any]) -> Reply:
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = (
        ("content-type", "application/json"),
        ("content-length", str(len(data))),
        # An answer of the trail belongs to its reader: no cache may keep it (RFC 9111 section 5.2.2.5).
        ("cache-control", "no-store"),
    )
    return Reply(200, headers, data)
