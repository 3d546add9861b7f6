"""The loop that carries batches from the buffer to the sink, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit._kernel.error import TenauditError, loggable
from tenaudit.audit.outcomes import DeliveryUnknown
from tenaudit.audit.ports import Sink, SinkRejected
from tenaudit.audit.slices import EventBuilder, came

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
# Who closes has a deadline: a sink that comes back within it must be met.
_LONGEST_PAUSE_CLOSING = 0.25
_SECONDS_BETWEEN_WARNINGS = 1.0


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
        self._builder = EventBuilder(build)
        self._options = options
        self._publish = publish
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._retry = asyncio.Event()
        self._moved = asyncio.Event()
        self._closing = False
        self._in_flight: list[Draft] = []
        self._portion = 1
        self._pause = _FIRST_PAUSE
        self._abandoned = 0
        self._next_warning = 0.0
        self._delivered = 0
        self._refused = 0
        self.waiters: dict[int, asyncio.Future[str]] = {}
        self.parked = False

    @property
    def delivered(self) -> int:
        """Events that the sink has."""
        return self._delivered

    @property
    def refused(self) -> int:
        """Events given up after they were accepted."""
        return self._refused

    @property
    def spooled(self) -> int:
        """Events of this producer that a spool holds."""
        return 0

    @property
    def in_flight(self) -> int:
        """Events taken from the buffer that the sink does not have yet."""
        return len(self._in_flight)

    def wake(self) -> None:
        """Tell the loop that there is something to do; to be called on its event loop."""
        self.parked = False
        self._news.set()

    def hasten(self) -> None:
        """Stop lingering until everything is gone, for whoever waits for one event."""
        self._hurry.set()
        self.wake()

    def hurry(self) -> None:
        """Stop lingering, and end the pause after a failure, for flush and close."""
        self._retry.set()
        self.hasten()

    def close(self) -> None:
        """Ask the loop to end once everything is gone."""
        self._closing = True
        self.hurry()

    async def run(self) -> None:
        """Deliver until closed and empty."""
        while True:
            await self._await_news()
            if self._closing and not self._has_more:
                return
            await self._take_turn()

    async def _take_turn(self) -> None:
        """Deliver one batch from memory."""
        if not self._in_flight:
            await self._await_fuller_batch()
            self._in_flight = self._buffer.take(self._options.batch_size)
        try:
            await self._deliver()
        except Exception:  # noqa: BLE001 - see below
            # A defect must not end the loop and leave a process that is up and forwards nothing.
            _log.exception("audit delivery failed", extra={"action": "audit_delivery_failed"})
            self.refuse(self._in_flight, "delivery_failed")
        self._publish()

    @property
    def _has_more(self) -> bool:
        return bool(self._in_flight) or self._buffer.depth > 0

    async def idle(self) -> bool:
        """Wait until all that is here now has been settled; False if it was given up. The caller sets the deadline."""
        target = self._handled + self._buffer.depth + self.in_flight + self.spooled
        while self._handled < target and not self._abandoned:
            self._moved.clear()
            await self._moved.wait()
        return not self._abandoned

    @property
    def _handled(self) -> int:
        return self.delivered + self.refused

    share_of_closing = 1.0

    async def spill_all(self, seconds: float) -> None:
        """Put what is left somewhere safe within *seconds*; there is no such place without a spool."""

    def abandon(self) -> list[Draft]:
        """Give back what was not delivered, when time is up; whoever waits for it learns that nobody knows."""
        left = self._in_flight + self._buffer.take_all()
        self._in_flight = []
        self._abandoned += len(left) + self.spooled
        self._tell(left, DeliveryUnknown())
        self._moved.set()
        return left

    def refuse(self, drafts: Sequence[Draft], reason: str) -> None:
        """Count drafts in flight as dropped and tell whoever waits for them."""
        gone = self._release(drafts)
        self._refused += len(gone)
        self._metrics.dropped(reason, len(gone))
        self._tell(gone, SinkRejected([], reason))

    async def _await_news(self) -> None:
        while not self._closing:
            self._news.clear()
            self.parked = True
            # Looked at after the flag is up: an emit that came before it saw no parked loop to wake.
            if self._has_more:
                break
            self._hurry.clear()
            await self._news.wait()
        self.parked = False

    async def _await_fuller_batch(self) -> None:
        if self._buffer.depth < self._options.batch_size and self._options.linger > 0:
            await came(self._hurry, self._options.linger)

    async def _deliver(self) -> None:
        events = await self._built()
        self._portion = len(self._in_flight)
        self._retry.clear()
        self._pause = _FIRST_PAUSE
        while self._in_flight:
            part = self._in_flight[: self._portion]
            if await self._attempt(part, [events[draft.event_id] for draft in part]):
                self._pause = _FIRST_PAUSE
                continue
            self._publish()
            if self._turns_away():
                return
            await self._back_off()

    async def _attempt(self, part: Sequence[Draft], batch: Sequence[AuditEvent]) -> bool:
        return await self._write(part, batch)

    def _turns_away(self) -> bool:
        return False  # a delivery with another way may take it

    async def _built(self) -> dict[int, AuditEvent]:
        events, broken = await self._builder.built(self._in_flight)
        if broken:
            self.refuse(broken, "invalid_context")
            _log.error(
                "audit events carry a context that no event can have",
                extra={"action": "audit_context_invalid", "events": len(broken)},
            )
        return events

    async def _back_off(self) -> None:
        """Wait before the next try, and longer before the one after that."""
        # Jitter keeps many producers from returning to a sick sink in step.
        if await came(self._retry, random.uniform(self._pause / 2, self._pause)):  # noqa: S311 - no secret depends on it
            self._retry.clear()
            # Whoever flushes in a loop must not make this one a busy loop.
            await asyncio.sleep(_FIRST_PAUSE)
            self._pause = _FIRST_PAUSE
        else:
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_CLOSING if self._closing else _LONGEST_PAUSE)

    async def _write(self, part: Sequence[Draft], batch: Sequence[AuditEvent]) -> bool:
        """Write once; False when the sink is unavailable, True when something was settled or learned."""
        try:
            async with asyncio.timeout(self._options.write_timeout):
                await self._sink.write(batch)
        except SinkRejected as refusal:
            self._drop_refused(part, refusal)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Something inside the sink was cancelled, not this loop.
            self._failed(error)
            return False
        except Exception as error:  # noqa: BLE001 - a sink that breaks its contract is a sink that is unavailable
            self._failed(error)
            return False
        else:
            gone = self._release(part)
            self._delivered += len(gone)
            self._portion *= 2
            self._tell(gone, "accepted")
        return True

    def _release(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Take drafts out of flight; those that were given up meanwhile are counted elsewhere."""
        ids = {draft.event_id for draft in drafts}
        gone = [draft for draft in self._in_flight if draft.event_id in ids]
        self._in_flight = [draft for draft in self._in_flight if draft.event_id not in ids]
        self._moved.set()
        return gone

    def _tell(self, drafts: Sequence[Draft], outcome: str | TenauditError) -> None:
        """Settle the futures of those who wait; most batches have none."""
        for draft in drafts if self.waiters else ():
            future = self.waiters.get(draft.event_id)
            if future is not None and not future.done():
                if isinstance(outcome, str):
                    future.set_result(outcome)
                else:
                    future.set_exception(outcome)

    def _drop_refused(self, part: Sequence[Draft], refusal: SinkRejected) -> None:
        refused = [draft for draft in part if UUID(int=draft.event_id) in refusal.event_ids]
        if not refused and len(part) > 1:
            # It names none of what it was given: halve until the one that it means stands alone.
            self._portion = len(part) // 2
            return
        self.refuse(refused or part, "rejected_by_sink")
        _log.error(
            "the audit sink refuses events",
            extra={"action": "audit_sink_rejected", "events": len(refused) or 1, "reason": refusal.reason},
        )

    def _failed(self, error: BaseException) -> None:
        self._metrics.failed()
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + _SECONDS_BETWEEN_WARNINGS
            _log.warning(
                "the audit sink is unavailable, events wait",
                extra={"action": "audit_sink_unavailable", "events": self.in_flight, **loggable(error)},
            )
