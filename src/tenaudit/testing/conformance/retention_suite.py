"""What the cases of retention have in common: where the clock starts, events of an age, and a store that is closed."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import AuditQuery
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import TENANT, an_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AuditEvent
    from tenaudit.audit.retention import RetentionStore

__all__ = ["NOW", "RetentionSuite", "aged", "all_events", "is_verified", "refused", "stored_events"]

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
"""Where the suite's clock starts."""


def aged(number: int, days: float, **fields: object) -> AuditEvent:
    """Return event *number* as it would be had it occurred *days* before the suite's start.

    >>> aged(0, 40).occurred_at.date().isoformat()
    '2026-10-21'
    """
    moment = NOW - timedelta(days=days) + timedelta(milliseconds=number)
    ms = int(moment.timestamp() * 1000)
    event_id = an_event(number).event_id
    tail = event_id.int & ((1 << 80) - 1)
    return an_event(number, **{"event_id": type(event_id)(int=ms << 80 | tail), "occurred_at": moment} | fields)


class RetentionSuite(ABC):
    """Opens the store of a suite for one case, and closes it."""

    @abstractmethod
    async def open_store(self, folder: Path, clock: Clock) -> RetentionStore:
        """Return a store that was made empty for the test; *folder* is the test's own, and a second call opens it."""

    def _run(self, folder: Path, case: Callable[[RetentionStore, ManualClock], Awaitable[None]]) -> None:
        async def main() -> None:
            clock = ManualClock(NOW.timestamp())
            store = await self.open_store(folder, clock)
            try:
                await case(store, clock)
            finally:
                await store.close()

        asyncio.run(asyncio.wait_for(main(), 60))


async def refused(call: Awaitable[object], words: str) -> None:
    """See that a call is refused, and in which words."""
    try:
        await call
    except ConfigurationError as error:
        assert words in str(error), error  # noqa: PT017 - the suite runs without pytest
        return
    raise AssertionError(f"nothing was refused: {words}")


async def stored_events(store: RetentionStore, tenant_id: UUID = TENANT) -> list[AuditEvent]:
    """Return a tenant's events but for those of retention, oldest first."""
    events = await all_events(store, None, tenant_id)
    return [event for event in events if not event.action.startswith("audit.")]


async def all_events(store: RetentionStore, action: str | None, tenant_id: UUID = TENANT) -> list[AuditEvent]:
    """Return a tenant's events, of one action or of all, oldest first."""
    query = AuditQuery(tenant_id, action=action, order="asc", limit=500)
    page = await store.search(query)
    found = [*page.events]
    while page.next_cursor is not None:
        page = await store.search(query.at(page.next_cursor))
        found += page.events
    return found


async def is_verified(store: RetentionStore) -> bool:
    """See that the store seals and verifies; True, so that a case can assert it."""
    await store.seal()
    report = await store.verify()
    assert report.verified, report.problems[:5]
    return True
