"""Work and waits of the delivery, in slices that leave the application's event loop to its requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenaudit.audit.draft import Draft
    from tenaudit.audit.event import AuditEvent

__all__ = ["EventBuilder", "came"]

# Building events is CPU work on the application's loop: let requests run in between.
_BUILD_SLICE = 64


class EventBuilder:
    """Builds each event once, however often a batch is tried.

    Args:
        build: makes the event of a draft.
    """

    __slots__ = ("_build", "_last")

    def __init__(self, build: Callable[[Draft], AuditEvent]) -> None:
        self._build = build
        self._last: dict[int, AuditEvent] = {}

    async def built(self, drafts: Sequence[Draft]) -> tuple[dict[int, AuditEvent], list[Draft]]:
        """Return the events of *drafts* by their ids, and the drafts that none can be built of."""
        events: dict[int, AuditEvent] = {}
        broken: list[Draft] = []
        for count, draft in enumerate(drafts, 1):
            try:
                events[draft.event_id] = self._last.get(draft.event_id) or self._build(draft)
            except Exception:  # noqa: BLE001 - one event that cannot be built must not take the others with it
                broken.append(draft)
            if count % _BUILD_SLICE == 0:
                await asyncio.sleep(0)
        self._last = events
        return events, broken


async def came(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event up to *seconds*; tell whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
