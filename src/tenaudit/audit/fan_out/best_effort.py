"""A member that nobody waits for: a queue and a task of its own, and what does not fit is counted."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from tenaudit.audit.fan_out.waiting import WaitingEvents
from tenaudit.audit.fan_out.writer import MemberWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.fan_out.answer import Answer
    from tenaudit.audit.fan_out.member import FanOutMember
    from tenaudit.audit.fan_out.metrics import MemberMetrics

__all__ = ["BestEffortLane"]

_log = logging.getLogger("tenaudit.audit")
_BATCH = 500
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
# A sink that used up the time for what waited may still release what it opened.
_SHORTEST_CLOSE = 0.5
_SECONDS_BETWEEN_WARNINGS = 1.0


class BestEffortLane:
    """Carries events to one member in its own time.

    Args:
        member: whom to write to.
        metrics: what is counted of it.
        clock: time source of the breaker.
    """

    def __init__(self, member: FanOutMember, metrics: MemberMetrics, clock: Clock) -> None:
        self._member = member
        self._metrics = metrics
        self._clock = clock
        self._writer = MemberWriter(member, metrics, clock, self._took)
        self._waiting = WaitingEvents(member.capacity, member.max_bytes)
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._portion = _BATCH
        self._unsaid = 0
        self._next_warning = 0.0
        self._task: asyncio.Task[None] | None = None

    def offer(self, events: Sequence[AuditEvent]) -> None:
        """Take what fits, count the rest as dropped, and wait for nothing; to be called on the event loop."""
        self._drop(self._waiting.offer(events), "queue_full")
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"tenaudit-fan-out-lane-{self._member.name}")
        self._news.set()

    async def close(self) -> None:
        """Deliver what waits while the member answers, within its `timeout`; drop and count the rest."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._member.timeout
        self._hurry.set()
        self._news.set()
        try:
            if self._task is not None:
                await asyncio.wait({self._task}, timeout=self._member.timeout)
        finally:
            if self._task is not None:
                self._task.cancel()
            self._drop(self._waiting.clear(), "not_delivered_at_close")
        await self._writer.close(max(until - loop.time(), _SHORTEST_CLOSE))

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while await self._has_work():
            part = self._waiting.first(self._portion)
            answer = await self._writer.write(part, asyncio.get_running_loop().time() + self._member.timeout)
            if answer.outcome == "ok":
                self._portion = min(self._portion * 2, _BATCH)
            elif answer.outcome == "rejected":
                self._refuse(part, answer)
            else:
                await self._rest(max(random.uniform(pause / 2, pause), self._writer.rest))  # noqa: S311 - jitter
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE

    async def _has_work(self) -> bool:
        """Wait until something waits; False when it is time to end."""
        while not self._waiting:
            if self._hurry.is_set():
                return False
            self._news.clear()
            await self._news.wait()
        # Whoever closes does not wait for a member that is left alone.
        return not (self._hurry.is_set() and self._writer.rest)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
        # Closing: try again soon, not at once for ever.
        await asyncio.sleep(_FIRST_PAUSE)

    def _took(self, batch: Sequence[AuditEvent]) -> None:
        self._waiting.remove(batch)

    def _refuse(self, part: Sequence[AuditEvent], answer: Answer) -> None:
        named = [event for event in part if event.event_id in answer.refused]
        if not named and len(part) > 1:
            # It names none of what it was given: halve until the one that it means stands alone.
            self._portion = len(part) // 2
            return
        self._drop(self._waiting.remove(named or part), "rejected")

    def _drop(self, events: int, reason: str) -> None:
        self._metrics.dropped(events)
        self._unsaid += events
        now = self._clock.monotonic()
        # A member that is away loses events with every batch: one line a second says enough, and the last one.
        if self._unsaid and (now >= self._next_warning or self._hurry.is_set()):
            _log.warning(
                "a member of the audit fan-out loses events",
                extra={
                    "action": "audit_fanout_dropped",
                    "member": self._member.name,
                    "reason": reason,
                    "events": self._unsaid,
                },
            )
            self._unsaid, self._next_warning = 0, now + _SECONDS_BETWEEN_WARNINGS
