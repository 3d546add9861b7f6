"""One store as one reader may see it: asked within a deadline, masked by role, its reads told to the trail."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit.audit import InvalidCursor, StoreError, event_view
from tenaudit.audit.visible import VisibleQuery, reached_fields
from tenaudit.audit.visible_search import WalkBounds, search_visible
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tenaudit.audit import AuditEvent, AuditQuery, EventRedactor, Page, Store
    from tenaudit.gate.gate import Gate
    from tenaudit.security import SecurityContext

__all__ = ["AuditReader"]

_log = logging.getLogger("tenaudit.gate")
_T = TypeVar("_T")
_UNREDACTED = "audit_view_unredacted"
# Well below the deadline: a page that is short by then is an answer, a timeout is none.
_WALK_SECONDS = 2.0


class AuditReader:
    """What every answer of the audit API is made with.

    Args:
        gate: whose policy decides and whose producer records the reads.
        store: where events are.
        redactor: what is hidden from readers; None hides nothing.
        deadline: seconds that the store may take.
        clock: tells when a walk has to end.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> from tenaudit.gate import Gate
        >>> reader = AuditReader(Gate("audit", registry=CollectorRegistry()), SqliteStore.open("audit.db"))
        >>> reader.deadline
        5.0
    """

    def __init__(
        self,
        gate: Gate,
        store: Store,
        redactor: EventRedactor | None = None,
        deadline: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self.gate = gate
        self.store = store
        self.deadline = deadline
        self.clock = clock or SystemClock()
        self._redactor = redactor

    async def ask(self, answer: Awaitable[_T]) -> _T:
        """Wait for the store.

        Raises:
            ApiError: 400 `invalid_cursor` when it does not know the cursor, 503 `unavailable` when it fails or takes
                too long.
        """
        try:
            return await asyncio.wait_for(answer, self.deadline)
        except InvalidCursor:
            wrong = {"field": "cursor", "reason": "other_store", "message": "is not of this store"}
            raise ApiError.bad_request(
                "The cursor is not good for this request.", code="invalid_cursor", errors=[wrong]
            ) from None
        except (StoreError, TimeoutError) as error:
            raise ApiError.unavailable("The audit store does not answer.", retry_after=5) from error

    def may_unredact(self, context: SecurityContext) -> bool:
        """Tell whether the caller sees everything; an engine that errs denies."""
        try:
            # An answer that is merely truthy allows nothing.
            return self.gate.policy.engine.decide(context, _UNREDACTED).allowed is True
        except Exception:  # noqa: BLE001 - an engine that errs denies: the reader gets the masked view
            extra = {"action": "policy_engine_failed", "trace_id": context.trace.trace_id}
            _log.exception("policy engine failed", extra=extra)
            return False

    def check_hashes(self, context: SecurityContext) -> None:
        """Refuse hashes of events to a reader from whom fields of them are hidden: these could be guessed by them.

        A leaf is the hash of a whole event, without salt: who knows the rest of it can try what a hidden field may be,
        in the hash of the event itself and in that of its neighbour on a path.

        Raises:
            ApiError: 403 `missing_role`, of `audit_view_unredacted`.
        """
        if reached_fields(self._redactor, context.tenant_id):
            self.gate.policy.check(context, _UNREDACTED)

    @property
    def walk_seconds(self) -> float:
        """How long one answer may walk through the store, in seconds."""
        return min(_WALK_SECONDS, self.deadline / 2)

    def asked(self, query: AuditQuery, *, may_unredact: bool) -> VisibleQuery:
        """Return the query with the reader's eyes: their filters look at nothing that is hidden from them."""
        return VisibleQuery(query, None if may_unredact else self._redactor)

    async def page(self, asked: VisibleQuery) -> Page:
        """Return one page of what the reader asks for, within the deadline.

        Raises:
            ApiError: as `ask`.
        """
        bounds = WalkBounds(seconds=self.walk_seconds)
        return await self.ask(search_visible(self.store.search, asked, bounds, clock=self.clock))

    def view(self, event: AuditEvent, *, may_unredact: bool, show_tags: bool) -> dict[str, Any]:
        """Return the wire form of an event for the reader."""
        return event_view(event, self._redactor, may_unredact=may_unredact, show_tags=show_tags)

    def record(self, context: SecurityContext, action: str, payload: dict[str, Any], *, severity: str) -> None:
        """Tell the trail of a read, if the gate has a producer."""
        if self.gate.producer is not None:
            self.gate.producer.emit(action, severity=severity, payload=payload, context=context)
