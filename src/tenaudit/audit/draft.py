"""An emitted event before it is an `AuditEvent`: a plain tuple, because building the model costs more than emit may."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from tenaudit.audit.event import unchecked_event
from tenaudit.audit.payload import check_text

if TYPE_CHECKING:
    from tenaudit.audit.event import AuditEvent
    from tenaudit.security import SecurityContext

__all__ = ["Draft", "event_of"]

_TRACE = re.compile(r"[0-9a-f]{32}\Z")
_MAX_ACTOR_ID = 1024
_MAX_ACTOR_TYPE = 128
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Draft(NamedTuple):
    """What the queue holds: checked values, the id as an integer, the time in microseconds."""

    event_id: int
    occurred_us: int
    seq: int
    action: str
    outcome: str
    severity: str
    resource_type: str | None
    resource_id: str | None
    payload: dict[str, Any]
    context: SecurityContext
    size: int
    schema_version: int = 1


def event_of(draft: Draft, service: str, producer_id: str) -> AuditEvent:
    """Build the event; every field but the context's was checked at emit, so nothing is validated twice.

    Raises:
        ValueError: the context holds what no event can.
    """
    context = draft.context
    _check_context(context)
    return unchecked_event(
        {
            "event_id": UUID(int=draft.event_id),
            "tenant_id": context.tenant_id,
            "occurred_at": _EPOCH + timedelta(microseconds=draft.occurred_us),
            "actor_id": context.actor.id,
            "actor_type": context.actor.type,
            "action": draft.action,
            "resource_type": draft.resource_type,
            "resource_id": draft.resource_id,
            "outcome": draft.outcome,
            "severity": draft.severity,
            "service": service,
            "trace_id": context.trace.trace_id,
            "schema_version": draft.schema_version,
            "payload": draft.payload,
            "redactions": (),
            "producer_id": producer_id,
            "seq": draft.seq,
        }
    )


def _check_context(context: SecurityContext) -> None:
    """Hold a context to the event's own rules: the headers' rules do not bind a context that a program makes."""
    actor, actor_id = context.actor, context.actor.id or ""
    tenant_id: object = context.tenant_id
    fits = (
        isinstance(tenant_id, UUID)
        and check_text(actor_id) <= _MAX_ACTOR_ID
        and check_text(actor.type) <= _MAX_ACTOR_TYPE
        and _TRACE.match(context.trace.trace_id)
    )
    if not fits:
        raise ValueError("tenant, actor or trace of the context cannot stand in an event")
