"""What waits for a member that nobody waits for: bounded in events and bytes."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING

from pydantic_core import to_json

from tenaudit.audit.payload import MAX_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent

__all__ = ["WaitingEvents", "event_bytes"]

# Ids, times and names, which hardly differ in length.
_FIXED_BYTES = 512


def event_bytes(event: AuditEvent) -> int:
    """Return about how much JSON an event is; what cannot be written counts as the largest one."""
    try:
        return _FIXED_BYTES + len(to_json((event.payload, event.actor_id, event.resource_id), inf_nan_mode="constants"))
    except ValueError:
        return MAX_EVENT_BYTES


class WaitingEvents:
    """Holds events in the order of their arrival until they are removed; one that waits already is not taken twice.

    Args:
        capacity: most events.
        max_bytes: most bytes, by `event_bytes`.

    Example:
        >>> from tenaudit.testing.conformance import an_event
        >>> waiting = WaitingEvents(1, 10_000)
        >>> waiting.offer([an_event(0), an_event(1)]), len(waiting)
        (1, 1)
    """

    __slots__ = ("_bytes", "_capacity", "_events", "_max_bytes")

    def __init__(self, capacity: int, max_bytes: int) -> None:
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: OrderedDict[tuple[UUID, UUID], tuple[AuditEvent, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._events)

    def offer(self, events: Iterable[AuditEvent]) -> int:
        """Take what fits and return how many events did not."""
        lost = 0
        for event in events:
            key = (event.tenant_id, event.event_id)
            if key in self._events:
                continue
            size = event_bytes(event)
            if len(self._events) >= self._capacity or self._bytes + size > self._max_bytes:
                lost += 1
            else:
                self._events[key] = event, size
                self._bytes += size
        return lost

    def first(self, count: int) -> list[AuditEvent]:
        """Return the oldest events, which go on waiting."""
        return [event for event, _ in islice(self._events.values(), count)]

    def remove(self, events: Iterable[AuditEvent]) -> int:
        """Let go of events and return how many of them still waited."""
        gone = 0
        for event in events:
            found = self._events.pop((event.tenant_id, event.event_id), None)
            if found is not None:
                gone += 1
                self._bytes -= found[1]
        return gone

    def clear(self) -> int:
        """Let go of everything and return how many that were."""
        gone = len(self._events)
        self._events.clear()
        self._bytes = 0
        return gone
