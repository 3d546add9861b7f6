"""The loop that carries batches from the buffer to the sink, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from tenaudit.audit.ports import Sink, SinkRejected, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenaudit.audit.buffer import DraftBuffer
    from tenaudit.audit.draft import Draft
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.metrics import ProducerMetrics
    from tenaudit.audit.options import ProducerOptions

__all__ = ["Delivery"]

_log = logging.getLogger("tenaudit.audit")
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
# Building events is CPU work on the application's loop: let requests run in between.
_BUILD_SLICE = 64


class Delivery:
    """Takes drafts in batches, writes them with a deadline and tries again while the sink is unavailable.

    A batch stays here until the sink has it, so a retry repeats the same events; the store drops what it has
    seen. All counters move on the loop that runs `run`.

    Args:
        buffer: where drafts wait.
        sink: where events go.
        metrics: what is counted.
        build: makes the event of a draft.
        options: batch size, linger and write deadline.
        publish: called when counters have moved.
    """

    def __init__(
        self,
        buffer: DraftBuffer,
        sink: Sink,
        metrics: ProducerMetrics,
        *,
        build: Callable[[Draft], AuditEvent],
        options: ProducerOptions,
        publish: Callable[[], None],
    ) -> None:
        self._buffer = buffer
        self._sink = sink
        self._metrics = metrics
        self._build = build
        self._options = options
        self._publish = publish
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._moved = asyncio.Event()
        self._closing = False
        self._in_flight: list[Draft] = []
        self.waiters: dict[int, asyncio.Future[None]] = {}
        self.parked = False
        self.delivered = 0
        self.refused = 0

    @property
    def in_flight(self) -> int:
        """Events taken from the buffer that the sink does not have yet."""
        return len(self._in_flight)

    def wake(self) -> None:
        """Tell the loop that there is something to do; to be called on its event loop."""
        self.parked = False
        self._news.set()

    def hurry(self) -> None:
        """Stop lingering and pausing until everything is gone, for flush and close."""
        self._hurry.set()
        self.wake()

    def close(self) -> None:
        """Ask the loop to end once everything is gone."""
        self._closing = True
        self.hurry()

    async def run(self) -> None:
        """Deliver until closed and empty."""
        while True:
            await self._await_news()
            if not self._buffer.depth and self._closing:
                return
            await self._await_fuller_batch()
            self._in_flight = self._buffer.take(self._options.batch_size)
            try:
                await self._deliver()
            except Exception:  # noqa: BLE001 - see below
                # A defect must not end the loop and leave a process that is up and forwards nothing.
                _log.exception("audit delivery failed", extra={"action": "audit_delivery_failed"})
                self.refuse(self._in_flight, "delivery_failed")
                self._in_flight = []
            self._publish()
            self._moved.set()

    async def idle(self) -> None:
        """Wait until nothing is queued and nothing in flight; the caller sets the deadline."""
        while self._buffer.depth or self._in_flight:
            self._moved.clear()
            await self._moved.wait()

    def abandon(self) -> list[Draft]:
        """Give back what was not delivered, when time is up."""
        left = self._in_flight + self._buffer.take_all()
        self._in_flight = []
        return left

    def refuse(self, drafts: Sequence[Draft], reason: str) -> None:
        """Count drafts as dropped and tell whoever waits for them."""
        self.refused += len(drafts)
        self._metrics.dropped(reason, len(drafts))
        self._tell(drafts, SinkRejected([], reason))

    async def _await_news(self) -> None:
        while not self._closing:
            self._news.clear()
            self.parked = True
            # Looked at after the flag is up: an emit that came before it saw no parked loop to wake.
            if self._buffer.depth:
                break
            self._hurry.clear()
            await self._news.wait()
        self.parked = False

    async def _await_fuller_batch(self) -> None:
        if self._buffer.depth < self._options.batch_size and self._options.linger > 0:
            await self._wait_or_hurry(self._options.linger)

    async def _wait_or_hurry(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds)
        except TimeoutError:
            return

    async def _deliver(self) -> None:
        events: dict[int, AuditEvent] = {}
        for count, draft in enumerate(self._in_flight, 1):
            events[draft.event_id] = self._build(draft)
            if count % _BUILD_SLICE == 0:
                await asyncio.sleep(0)
        pause = _FIRST_PAUSE
        while self._in_flight and not await self._write([events[draft.event_id] for draft in self._in_flight]):
            # Full jitter keeps many producers from returning to a sick sink in step.
            await self._wait_or_hurry(random.uniform(pause / 2, pause))  # noqa: S311 - no secret depends on it
            if self._hurry.is_set():
                await asyncio.sleep(_FIRST_PAUSE)
            pause = min(pause * 2, _LONGEST_PAUSE)
            self._publish()

    async def _write(self, batch: Sequence[AuditEvent]) -> bool:
        """Write once; True when the batch is settled one way or the other."""
        try:
            await asyncio.wait_for(self._sink.write(batch), self._options.write_timeout)
        except SinkRejected as refusal:
            self._drop_refused(refusal)
            return not self._in_flight
        except (SinkUnavailable, TimeoutError) as error:
            self._failed(error)
            return False
        except Exception as error:  # noqa: BLE001 - a sink that breaks its contract is a sink that is unavailable
            self._failed(error)
            return False
        self._settle()
        return True

    def _settle(self) -> None:
        self.delivered += len(self._in_flight)
        self._tell(self._in_flight, None)
        self._in_flight = []

    def _tell(self, drafts: Sequence[Draft], error: SinkRejected | None) -> None:
        """Settle the futures of those who wait; most batches have none."""
        for draft in drafts if self.waiters else ():
            future = self.waiters.get(draft.event_id)
            if future is not None and not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

    def _drop_refused(self, refusal: SinkRejected) -> None:
        ids = {event_id.int for event_id in refusal.event_ids}
        refused = [draft for draft in self._in_flight if draft.event_id in ids]
        if not refused:
            # A refusal that names nothing would be tried for ever; the whole batch is what it refuses.
            refused = self._in_flight
        self._in_flight = [draft for draft in self._in_flight if draft not in refused]
        self.refuse(refused, "rejected_by_sink")
        _log.error(
            "the audit sink refuses events",
            extra={"action": "audit_sink_rejected", "events": len(refused), "reason": refusal.reason},
        )

    def _failed(self, error: Exception) -> None:
        self._metrics.failed()
        _log.warning(
            "the audit sink is unavailable, events wait",
            extra={"action": "audit_sink_unavailable", "events": self.in_flight, "error": type(error).__name__},
        )
