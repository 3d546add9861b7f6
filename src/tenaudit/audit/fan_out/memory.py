"""Who has what of batches that are not through: a retry goes only to the members that still lack an event."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent

__all__ = ["BatchMemory"]


class BatchMemory:
    """Remembers events from their first write until the fan-out answers for them; the oldest are forgotten first.

    Forgetting early is harmless: a member gets an event again, and knows it by its id.

    Args:
        capacity: most events to remember.

    Example:
        >>> from tenaudit.testing.conformance import an_event
        >>> memory, events = BatchMemory(10), [an_event(0), an_event(1)]
        >>> memory.begin(events)
        >>> memory.took(events[:1], 0b01)
        >>> [len(memory.lacking(events, member)) for member in (0b01, 0b10)]
        [1, 2]
    """

    __slots__ = ("_capacity", "_takers")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        # The members that took an event, one bit each.
        self._takers: OrderedDict[tuple[UUID, UUID], int] = OrderedDict()

    def begin(self, batch: Iterable[AuditEvent]) -> None:
        """Remember the events of a batch; what is known of them already stays."""
        for event in batch:
            self._takers.setdefault((event.tenant_id, event.event_id), 0)
        while len(self._takers) > self._capacity:
            self._takers.popitem(last=False)

    def lacking(self, batch: Iterable[AuditEvent], member: int) -> list[AuditEvent]:
        """Return the events that the member with this bit did not take."""
        return [event for event in batch if not self._takers.get((event.tenant_id, event.event_id), 0) & member]

    def took(self, batch: Iterable[AuditEvent], member: int) -> None:
        """Note that a member took the events; forgotten ones stay forgotten."""
        for event in batch:
            key = (event.tenant_id, event.event_id)
            if key in self._takers:
                self._takers[key] |= member

    def forget(self, batch: Iterable[AuditEvent]) -> None:
        """Forget events that have been answered for."""
        for event in batch:
            self._takers.pop((event.tenant_id, event.event_id), None)
