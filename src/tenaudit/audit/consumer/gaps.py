"""Watching for gaps in the numbers of producers while events are stored: a look at the last hour, once a minute."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Self

from tenaudit._kernel.bounds import check_seconds
from tenaudit._kernel.clock import SystemClock
from tenaudit.audit.consumer.metrics import ConsumerMetrics
from tenaudit.audit.producer_rows import AccountWindow, interior_gaps
from tenaudit.errors.instruments import gauge

if TYPE_CHECKING:
    from types import TracebackType

    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.producer_rows import Accounts

__all__ = ["GapWatch"]

_log = logging.getLogger("tenaudit.audit")
_CANCEL_SECONDS = 0.5
_SHORTEST_SPAN = 60.0


class GapWatch:
    """Keeps the gauge `audit_events_missing` for the length of a block.

    A look that fails, or takes too long, is counted; the next one looks at half the time, and at more again once that
    went well. Nothing that happens here reaches whoever stores events.

    Args:
        store: where the events are.
        registry: where the gauge lives; None is prometheus-client's default.
        clock: tells what is recent.
        every: seconds between two looks.
        span: seconds that a look is about, at most.
        settle: seconds before now that it leaves out: what is younger may be on its way.
        seconds: what one look may take.

    Raises:
        ConfigurationError: a time that is not above 0 and finite.

    Example:
        >>> import tempfile
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> from tenaudit.testing.clock import ManualClock
        >>> from tenaudit.testing.conformance import an_event
        >>> async def main(folder):
        ...     clock = ManualClock(an_event(90).occurred_at.timestamp())
        ...     async with SqliteStore.open(f"{folder}/audit.db") as store:
        ...         await store.append([an_event(number) for number in (0, 1, 4)])
        ...         return await GapWatch(store, registry=CollectorRegistry(), clock=clock).look()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        2
    """

    def __init__(
        self,
        store: Accounts,
        *,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        every: float = 60.0,
        span: float = 3600.0,
        settle: float = 60.0,
        seconds: float = 5.0,
    ) -> None:
        check_seconds(every=every, span=span, settle=settle, seconds=seconds)
        self._store = store
        self._clock = clock or SystemClock()
        self._every, self._span, self._settle, self._seconds = every, span, settle, seconds
        self._reach = span
        self._metrics = ConsumerMetrics(registry)
        self._missing = gauge(
            registry,
            "audit_events_missing",
            "Numbers that are missing between those of a producer, in the last hour but for a minute.",
            across_processes="livemax",
        )
        self._told = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="tenaudit-audit-gaps")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            # A store may refuse to be cancelled; whoever ends does not wait for it for ever.
            await asyncio.wait({self._task}, timeout=_CANCEL_SECONDS)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.look()

    async def look(self) -> int | None:
        """Look once, set the gauge, and return what it shows; None when that failed."""
        until = self._clock.time_ns() / 1e9 - self._settle
        try:
            window = AccountWindow(max(0, round((until - self._reach) * 1000)), round(until * 1000))
            # The store keeps its own time; this is for one that does not.
            async with asyncio.timeout(2 * self._seconds):
                found = await self._store.account(window, held={}, seconds=self._seconds)
        except Exception as failure:  # noqa: BLE001 - a look must not end the watch, whatever the store does
            self._reach = max(self._reach / 2, min(_SHORTEST_SPAN, self._span))
            self._metrics.failed("gaps")
            _log.warning(
                "gaps could not be looked for",
                extra={"action": "audit_gaps_unknown", "error": type(failure).__name__},
            )
            return None
        self._reach = min(self._reach * 2, self._span)
        return self._show(interior_gaps(found.rows))

    def _show(self, missing: int) -> int:
        self._missing.set(missing)
        if missing > self._told:
            _log.error(
                "audit events are missing",
                extra={"action": "audit_events_missing", "events": missing, "what": f"{missing} in the last hour"},
            )
        self._told = missing
        return missing
