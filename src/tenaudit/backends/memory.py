"""A sink that keeps events in a list: the reference for the port, and the one that tests read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit import AuditEvent

__all__ = ["MemorySink"]


class MemorySink:
    """Keeps every event it was given, in order.

    Example:
        >>> MemorySink().events
        []
    """

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.closed = False

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Keep the batch."""
        self.events.extend(batch)

    async def close(self) -> None:
        """Note that the producer is done; the events stay readable."""
        self.closed = True
