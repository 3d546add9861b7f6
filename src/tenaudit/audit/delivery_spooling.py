"""The delivery of a producer with a spool: memory goes to disk while the sink is ill, and to the sink from there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from tenaudit.audit.delivery import Delivery
from tenaudit.audit.ports import SinkRejected
from tenaudit.audit.slices import came
from tenaudit.audit.spool_lane import SpoolLane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenaudit.audit.buffer import DraftBuffer
    from tenaudit.audit.draft import Draft
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.metrics import ProducerMetrics
    from tenaudit.audit.options import ProducerOptions
    from tenaudit.audit.ports import Sink
    from tenaudit.audit.spool import Spool

__all__ = ["SpoolingDelivery"]

_PAUSE = 0.05
_LONGEST_PAUSE = 0.5
_LOOK_SECONDS = 0.05
_CANCEL_SECONDS = 0.25
# Before a spool that could not be read is tried again.
_UNREADABLE_SECONDS = 1.0


class SpoolingDelivery(Delivery):
    """A `Delivery` with a spool behind it.

    A batch in memory is written to the sink only while the spool is empty. Once the sink has been ill for
    `spool_after` seconds, or memory runs full meanwhile, everything goes into the spool, this batch first, and the
    sink gets it from there, until the spool is empty again.

    Args:
        buffer, sink, metrics, build, options, publish: as for `Delivery`.
        spool: the spool.
        producer_id: whose events are counted.
    """

    # The other half is for the disk.
    share_of_closing = 0.5

    def __init__(
        self,
        buffer: DraftBuffer,
        sink: Sink,
        metrics: ProducerMetrics,
        *,
        build: Callable[[Draft], AuditEvent],
        options: ProducerOptions,
        publish: Callable[[], None],
        spool: Spool,
        producer_id: str,
    ) -> None:
        super().__init__(buffer, sink, metrics, build=build, options=options, publish=publish)
        self._lane = SpoolLane(
            spool, sink, metrics, options, producer_id=producer_id, retry=self._retry, moved=self._lane_moved
        )
        self._spilling = False
        self._ill_since: float | None = None
        self._no_spill_until = 0.0
        self._spill_pause = _PAUSE
        # The loop's time, as the waits in between are the loop's.
        self._now = asyncio.get_running_loop().time

    def _lane_moved(self) -> None:
        self._moved.set()
        self._publish()

    @property
    def delivered(self) -> int:
        """Events that the sink has, over whichever way."""
        return self._delivered + self._lane.delivered

    @property
    def refused(self) -> int:
        """Events given up after they were accepted."""
        return self._refused + self._lane.refused

    @property
    def spooled(self) -> int:
        """Events of this producer that the spool holds."""
        return self._lane.spooled

    async def run(self) -> None:
        """Deliver until closed; what is in memory then, because the sink is ill, is for `spill_all`."""
        while True:
            if self._spilling:
                self._spilling, self._ill_since = False, None
                await self._refill()
            if self._lane.is_empty:
                await self._await_news()
            else:
                self._news.set()
                await self._lane.carry(self._refill, self._news, lambda: self._closing)
            if self._closing and self._lane.gave_up:
                # What is in memory goes behind what is in the spool, and not before it.
                return
            past_spool = self._lane.is_empty or self._lane.unreadable
            if self._closing and not self._has_more and past_spool:
                return
            # Also beside a spool that cannot be read: it must not stop what is in memory. But not beside one that a
            # refill has filled while the last of it was carried: that would overtake.
            if past_spool:
                await self._take_turns()
            if self._closing and self._in_flight:
                return

    async def _take_turns(self) -> None:
        """Deliver a batch from memory; beside a spool that cannot be read as many as a second allows."""
        until = self._now() + _UNREADABLE_SECONDS
        while self._has_more:
            await self._take_turn()
            if self._in_flight or not self._lane.unreadable or self._now() > until:
                return

    async def _refill(self) -> None:
        """Move all that waits in memory into the spool."""
        self.parked = False
        await self._await_fuller_batch()
        self._hurry.clear()
        self._news.clear()
        while self._has_more:
            if not await self._spill():
                self._no_spill_until = self._now() + self._options.spool_after
                await came(self._hurry, self._spill_pause)
                self._spill_pause = min(2 * self._spill_pause, _LONGEST_PAUSE)
                break
            self._spill_pause = _PAUSE
        self.parked = True
        # Looked at after the flag is up: an emit that came before it saw no parked loop to wake. Nor does an event that
        # finds memory full wake anybody: whether the spool has room again is found by trying.
        if self._has_more:
            self.wake()

    async def _spill(self) -> bool:
        """Move one batch from memory into the spool; False when it does not take it now."""
        if not self._in_flight:
            self._in_flight = self._buffer.take(self._options.batch_size)
        events = await self._built()
        part = self._in_flight
        try:
            taken = not part or await self._lane.put([events[draft.event_id] for draft in part])
        except SinkRejected as refusal:
            self._portion = len(part)
            self._drop_refused(part, refusal)
            return True
        if taken:
            self._tell(self._release(part), "spooled")
            self._publish()
        return taken

    async def spill_all(self, seconds: float) -> None:
        """Move what is left at the end into the spool, as far as it takes it within *seconds*."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._has_more and await self._spill():
                    pass

    def _turns_away(self) -> bool:
        self._spilling = self._must_spill()
        return self._spilling or self._closing

    def _must_spill(self) -> bool:
        """Tell whether memory must go to the spool: the sink is ill for too long, or memory runs full meanwhile."""
        options, buffer, now = self._options, self._buffer, self._now()
        if now < self._no_spill_until:
            return False
        if self._ill_since is not None and now - self._ill_since >= options.spool_after:
            return True
        full = 2 * buffer.depth >= options.capacity or 2 * buffer.bytes >= options.max_bytes
        return options.overflow == "spool" and full

    async def _attempt(self, part: Sequence[Draft], batch: Sequence[AuditEvent]) -> bool:
        """Write once, for no longer than the spool may wait."""
        if self._ill_since is None:
            self._ill_since = self._now()
        attempt = asyncio.ensure_future(self._write(part, batch))
        try:
            while True:
                await asyncio.wait({attempt}, timeout=_LOOK_SECONDS)
                if attempt.done() or self._must_spill():
                    break
        finally:
            if not attempt.done():
                attempt.cancel()
                # What a sink that will not be cancelled takes after this comes again from the spool.
                await asyncio.wait({attempt}, timeout=_CANCEL_SECONDS)
        written = attempt.done() and not attempt.cancelled() and attempt.result()
        if written:
            self._ill_since = None
        return written
