"""The way over the spool: from memory to disk while the sink is away, and from disk to the sink when it is back.

Rules of this file
1. A batch is written from memory only while the spool is empty; else memory goes into the spool, behind what is there.
   So what arrives is in order.
2. A batch is acknowledged to the spool after the sink has it, never before: it may come twice, and it comes.
3. Only this producer's own events are in its account; what an earlier process left behind is delivered and not counted.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING

from tenaudit.audit.ports import SinkRejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.metrics import ProducerMetrics
    from tenaudit.audit.options import ProducerOptions
    from tenaudit.audit.ports import Sink
    from tenaudit.audit.spool import Spool

__all__ = ["SpoolLane"]

_log = logging.getLogger("tenaudit.audit")
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_SECONDS_BETWEEN_WARNINGS = 1.0
_CANCEL_SECONDS = 0.25


class SpoolLane:
    """Puts events into a spool and carries them from there to the sink.

    Args:
        spool: the spool.
        sink: where events go in the end.
        metrics: what is counted.
        options: batch size and write deadline.
        producer_id: whose events are in the account.
        retry: ends a pause after a failure when it is set.
        moved: called when a counter has moved.
    """

    def __init__(
        self,
        spool: Spool,
        sink: Sink,
        metrics: ProducerMetrics,
        options: ProducerOptions,
        *,
        producer_id: str,
        retry: asyncio.Event,
        moved: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._sink = sink
        self._metrics = metrics
        self._options = options
        self._producer_id = producer_id
        self._retry = retry
        self._moved = moved
        self._next_warning = 0.0
        self._pause = _FIRST_PAUSE
        self.gave_up = False
        self.unreadable = False
        self.spooled = 0
        self.delivered = 0
        self.refused = 0

    @property
    def is_empty(self) -> bool:
        """Whether the spool holds nothing."""
        return self._spool.stats().records == 0

    async def put(self, events: Sequence[AuditEvent]) -> bool:
        """Append *events*; False when the spool cannot take them now.

        Raises:
            SinkRejected: events that it never can take; none was written.
        """
        try:
            await self._spool.append(events)
        except SinkRejected:
            raise
        except Exception as error:  # noqa: BLE001 - a spool that breaks its contract is a spool that fails
            self._complain("the spool does not take audit events", "audit_spool_failed", error)
            return False
        self.spooled += len(events)
        return True

    async def carry(
        self, refill: Callable[[], Awaitable[None]], news: asyncio.Event, ending: Callable[[], bool]
    ) -> None:
        """Deliver until the spool is empty, while *refill* moves in what is newer.

        It returns early and sets `unreadable` when the spool fails, `gave_up` when the sink does although it is time to
        end. What *refill* has moved in after the last read is for the next call.

        Args:
            refill: moves everything that waits in memory behind what is in the spool.
            news: set when something came into memory, or when it is time to end.
            ending: tells whether it is.
        """
        self.gave_up = self.unreadable = False
        pump = asyncio.ensure_future(self._pump(ending))
        waiting = asyncio.ensure_future(news.wait())
        try:
            while not pump.done():
                await asyncio.wait({pump, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    await refill()
                    waiting = asyncio.ensure_future(news.wait())
            pump.result()
        finally:
            waiting.cancel()
            pump.cancel()
            # A sink may refuse to be cancelled; what it still takes comes again from the spool.
            await asyncio.wait({pump, waiting}, timeout=_CANCEL_SECONDS)

    async def _pump(self, ending: Callable[[], bool]) -> None:
        try:
            while batch := await self._spool.read(self._options.batch_size):
                refused = await self._write_all(batch.events, ending)
                if refused is None:
                    self.gave_up = True
                    return
                await self._spool.ack(batch.token)
                self._settle(batch.events, refused)
        except Exception as error:  # noqa: BLE001 - a spool that breaks its contract is a spool that fails
            self.unreadable = True
            self._complain("the spool fails, audit events wait in it", "audit_spool_failed", error)
            await self._rest()
        else:
            self._reconcile()

    async def _write_all(self, events: Sequence[AuditEvent], ending: Callable[[], bool]) -> set[UUID] | None:
        """Write until the sink has everything that it does not refuse; return what it refuses, None when given up."""
        left = list(events)
        refused: set[UUID] = set()
        portion = len(left)
        while left:
            part = left[:portion]
            try:
                async with asyncio.timeout(self._options.write_timeout):
                    await self._sink.write(part)
            except SinkRejected as refusal:
                named = {event.event_id for event in part} & refusal.event_ids
                if not named and len(part) > 1:
                    # It names none of what it was given: halve until the one that it means stands alone.
                    portion = len(part) // 2
                    continue
                named = named or {part[0].event_id}
                refused |= named
                left = [event for event in left if event.event_id not in named]
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    raise
                if await self._failed(error, ending):
                    return None
            else:
                left = left[len(part) :]
                portion *= 2
                self._pause = _FIRST_PAUSE
        return refused

    async def _failed(self, error: BaseException, ending: Callable[[], bool]) -> bool:
        """Count a failed write and rest; True when there is no time for another one."""
        self._metrics.failed()
        self._complain("the audit sink is unavailable, events wait in the spool", "audit_sink_unavailable", error)
        if ending():
            return True
        await self._rest()
        return False

    async def _rest(self) -> None:
        self._retry.clear()
        try:
            # Jitter keeps many producers from returning to a sick sink in step.
            async with asyncio.timeout(random.uniform(self._pause / 2, self._pause)):  # noqa: S311 - no secret
                await self._retry.wait()
            # Whoever flushes in a loop must not make this one a busy loop.
            await asyncio.sleep(_FIRST_PAUSE)
        except TimeoutError:
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _settle(self, events: Sequence[AuditEvent], refused: set[UUID]) -> None:
        own = [event.event_id for event in events if event.producer_id == self._producer_id]
        lost = len(refused.intersection(own))
        self.spooled -= len(own)
        self.delivered += len(own) - lost
        self.refused += lost
        if refused:
            self._metrics.dropped("rejected_by_sink", len(refused))
            _log.error(
                "the audit sink refuses events",
                extra={"action": "audit_sink_rejected", "events": len(refused), "reason": "rejected_by_sink"},
            )
        self._moved()

    def _reconcile(self) -> None:
        """Count own events that are not in the empty spool: damage took them."""
        if self.is_empty and self.spooled > 0:
            lost, self.spooled = self.spooled, 0
            self.refused += lost
            self._metrics.dropped("lost_in_spool", lost)
            self._moved()

    def _complain(self, text: str, action: str, error: BaseException) -> None:
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + _SECONDS_BETWEEN_WARNINGS
            _log.warning(text, extra={"action": action, "error": type(error).__name__})


def _is_cancelled() -> bool:
    """Tell whether the running task is to end, and not only something inside the sink."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
