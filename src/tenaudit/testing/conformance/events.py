"""Plain audit events for tests, the same for the same number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.audit import AuditEvent

__all__ = ["OTHER_TENANT", "START", "TENANT", "an_event"]

TENANT = UUID("7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")
OTHER_TENANT = UUID("7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e60")
START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


def an_event(number: int, **fields: Any) -> AuditEvent:
    """Return event *number* of a row: one a second, ids in the order of the numbers.

    Args:
        number: its place, from 0.
        fields: what differs from the usual event.

    Example:
        >>> an_event(1).event_id > an_event(0).event_id, an_event(0, severity="warn").severity
        (True, 'warn')
    """
    moment = START + timedelta(seconds=number)
    usual: dict[str, Any] = {
        "event_id": uuid7_from_source(round(moment.timestamp() * 1000), f"event {number}"),
        "tenant_id": TENANT,
        "occurred_at": moment,
        "actor_id": "u-1",
        "actor_type": "user",
        "action": "order.created",
        "resource_type": "order",
        "resource_id": f"o-{number}",
        "service": "orders",
        "trace_id": f"{number + 1:032x}",
        "payload": {"number": number},
        "producer_id": "orders-1",
        "seq": number,
    }
    return AuditEvent(**usual | fields)
