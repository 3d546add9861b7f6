"""The audit trail over HTTP, without a framework: parameters in, a finished reply out."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from tenaudit.audit import InvalidCursor, StoreError, event_view, query_from_parameters
from tenaudit.errors import ApiError, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from tenaudit.audit import AuditQuery, Redactor, Store
    from tenaudit.gate.gate import Gate
    from tenaudit.security import SecurityContext

__all__ = ["AuditApi"]

_log = logging.getLogger("tenaudit.gate")
_T = TypeVar("_T")
_UNREDACTED = "audit_view_unredacted"


class AuditApi:
    """Serves one store through one gate.

    The tenant of every answer is the caller's own. A caller without `audit_view_unredacted` sees listed fields
    masked; every unredacted read is itself audited.

    Args:
        gate: whose policy decides and whose producer records the reads.
        store: where events are.
        redactor: what is hidden from readers; None hides nothing.
        deadline: seconds that the store may take.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> from tenaudit.gate import Gate
        >>> api = AuditApi(Gate("audit", registry=CollectorRegistry()), SqliteStore.open("audit.db"))
    """

    def __init__(self, gate: Gate, store: Store, *, redactor: Redactor | None = None, deadline: float = 5.0) -> None:
        self._gate = gate
        self._store = store
        self._redactor = redactor
        self.deadline = deadline

    async def list_events(self, context: SecurityContext, parameters: Iterable[tuple[str, str]]) -> Reply:
        """Answer `GET /audit/events`.

        Raises:
            ApiError: 400 `invalid_parameter` or `invalid_cursor`, 503 `unavailable`.
        """
        query = query_from_parameters(context.tenant_id, parameters)
        page = await self._ask(self._store.search(query))
        may_unredact = self._may_unredact(context)
        views = [
            event_view(event, self._redactor, may_unredact=may_unredact, show_tags=query.include_redacted)
            for event in page.events
        ]
        if may_unredact:
            self._record_read(context, {"events": len(views), "filters": _filters(query)})
        return _json({"events": views, "next_cursor": page.next_cursor, "prev_cursor": page.prev_cursor})

    async def one_event(self, context: SecurityContext, event_id: str) -> Reply:
        """Answer `GET /audit/events/{id}`.

        Raises:
            ApiError: 404 `not_found` for an event of another tenant as for none, 503 `unavailable`.
        """
        try:
            wanted = UUID(event_id)
        except ValueError:
            raise ApiError.not_found("No such event.") from None
        event = await self._ask(self._store.get(context.tenant_id, wanted))
        if event is None:
            raise ApiError.not_found("No such event.")
        may_unredact = self._may_unredact(context)
        if may_unredact:
            self._record_read(context, {"events": 1, "event_id": str(wanted)})
        return _json(event_view(event, self._redactor, may_unredact=may_unredact, show_tags=True))

    def _may_unredact(self, context: SecurityContext) -> bool:
        try:
            # An answer that is merely truthy allows nothing.
            return self._gate.policy.engine.decide(context, _UNREDACTED).allowed is True
        except Exception:  # noqa: BLE001 - an engine that errs denies: the reader gets the masked view
            extra = {"action": "policy_engine_failed", "trace_id": context.trace.trace_id}
            _log.exception("policy engine failed", extra=extra)
            return False

    def _record_read(self, context: SecurityContext, payload: dict[str, Any]) -> None:
        if self._gate.producer is not None:
            self._gate.producer.emit("audit.read_unredacted", severity="security", payload=payload, context=context)

    async def _ask(self, answer: Awaitable[_T]) -> _T:
        try:
            return await asyncio.wait_for(answer, self.deadline)
        except InvalidCursor as error:
            raise ApiError.bad_request(
                str(error), code="invalid_cursor", errors=[{"field": "cursor", "message": "is not of this query"}]
            ) from None
        except (StoreError, TimeoutError) as error:
            raise ApiError.unavailable("The audit store does not answer.", retry_after=5) from error


def _filters(query: AuditQuery) -> list[str]:
    """Name the filters that were used; their values may be personal and stay out of the trail."""
    return [
        name for name in query.__dataclass_fields__ if name not in _NOT_FILTERS and getattr(query, name) is not None
    ]


_NOT_FILTERS = frozenset({"tenant_id", "limit", "cursor", "order", "include_redacted"})


def _json(body: dict[str, Any]) -> Reply:
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = (
        ("content-type", "application/json"),
        ("content-length", str(len(data))),
        # An answer of the trail belongs to its reader: no cache may keep it (RFC 9111 section 5.2.2.5).
        ("cache-control", "no-store"),
    )
    return Reply(200, headers, data)
