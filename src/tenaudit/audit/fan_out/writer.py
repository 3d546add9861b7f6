"""Writing to one member: one write at a time, within a deadline, and only while its breaker lets it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tenaudit._kernel.error import loggable
from tenaudit.audit.fan_out.answer import FAILURES, OK, Answer
from tenaudit.audit.fan_out.breaker import BreakerState, Phase, Signal, admitted, settled
from tenaudit.audit.ports import SinkRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.fan_out.member import FanOutMember
    from tenaudit.audit.fan_out.metrics import MemberMetrics

__all__ = ["MemberWriter"]

_log = logging.getLogger("tenaudit.audit")
# How long a sink may take to notice that it was cancelled before it is left behind.
_CANCEL_SECONDS = 0.1


class MemberWriter:
    """Asks the sink of a member, and never waits longer for it than it may take.

    A sink that will not be cancelled is left behind with its write. Until that ends the member is busy: two writes
    at once would mix up the order of its events.

    Args:
        member: whom to write to.
        metrics: what is counted of it.
        clock: time source of the breaker.
        took: called with a batch once the sink has it, be it late.
    """

    def __init__(
        self,
        member: FanOutMember,
        metrics: MemberMetrics,
        clock: Clock,
        took: Callable[[Sequence[AuditEvent]], None],
    ) -> None:
        self.member = member
        self._metrics = metrics
        self._clock = clock
        self._took = took
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[Answer]] = set()
        self._state = BreakerState()
        metrics.breaker(False)

    @property
    def rest(self) -> float:
        """Seconds until the breaker lets a write through; 0 when it does now."""
        state = self._state
        return max(0.0, state.rests_until - self._clock.monotonic()) if state.phase is Phase.OPEN else 0.0

    async def write(self, batch: Sequence[AuditEvent], until: float) -> Answer:
        """Write once and answer by *until*, a time of the event loop; only its own cancellation is raised."""
        answer = await self._answer(batch, until)
        self._metrics.wrote(answer.outcome)
        return answer

    async def close(self, seconds: float) -> None:
        """Close the sink; one that fails, or takes longer, is left behind with a line in the log."""
        closing = asyncio.create_task(self._closed())
        try:
            await asyncio.wait({closing}, timeout=seconds)
        finally:
            closing.cancel()
        # What was cancelled ends here, unless its sink will not.
        await asyncio.wait({closing, *self._running}, timeout=_CANCEL_SECONDS)
        error = "TimeoutError" if not closing.done() or closing.cancelled() else closing.result()
        if error is not None:
            _log.warning(
                "a member of the audit fan-out did not close",
                extra={"action": "audit_fanout_close_failed", "member": self.member.name, "error": error},
            )

    async def _answer(self, batch: Sequence[AuditEvent], until: float) -> Answer:
        if not self._may():
            return Answer("open")
        try:
            answer = await self._in_turn(batch, until)
        except asyncio.CancelledError:
            self._settle(Signal.ABANDONED)
            self._metrics.wrote("cancelled")
            raise
        self._settle(Signal.FAILED if answer.outcome in FAILURES else Signal.SUCCEEDED)
        return answer

    async def _in_turn(self, batch: Sequence[AuditEvent], until: float) -> Answer:
        try:
            async with asyncio.timeout_at(until):
                await self._turn.acquire()
        except TimeoutError:
            return Answer("busy")
        task = asyncio.create_task(self._written(batch), name=f"tenaudit-fan-out-{self.member.name}")
        self._running.add(task)
        # Not in the task itself: one that is cancelled before its first step runs nothing of it.
        task.add_done_callback(self._ended)
        try:
            # Not wait_for, which waits on for a sink that will not be cancelled.
            await asyncio.wait({task}, timeout=max(0.0, until - asyncio.get_running_loop().time()))
            if task.done():
                return Answer("unavailable") if task.cancelled() else task.result()
        finally:
            task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
        return Answer("timeout")

    async def _written(self, batch: Sequence[AuditEvent]) -> Answer:
        try:
            await self.member.sink.write(batch)
        except SinkRejected as refusal:
            ids = [event.event_id for event in batch if event.event_id in refusal.event_ids]
            reason = refusal.reason or "rejected"
            return Answer("rejected", dict.fromkeys(ids, reason), reason)
        except Exception as error:  # noqa: BLE001 - a sink that breaks its contract is a sink that is unavailable
            _log.debug(
                "a member of the audit fan-out failed",
                extra={"action": "audit_fanout_failed", "member": self.member.name, **loggable(error)},
            )
            return Answer("unavailable")
        self._took(batch)
        return OK

    def _ended(self, task: asyncio.Task[Answer]) -> None:
        self._running.discard(task)
        self._turn.release()

    async def _closed(self) -> str | None:
        try:
            await self.member.sink.close()
        except Exception as error:  # noqa: BLE001 - closing must end whatever the sink does
            return type(error).__name__
        return None

    def _may(self) -> bool:
        state, may = admitted(self._state, self._clock.monotonic())
        self._become(state)
        return may

    def _settle(self, signal: Signal) -> None:
        self._become(settled(self._state, signal, self._clock.monotonic(), self.member.breaker))

    def _become(self, state: BreakerState) -> None:
        before, self._state = self._state.phase, state
        if state.phase is not before:
            self._metrics.breaker(state.phase is not Phase.CLOSED)
            _log.log(
                logging.WARNING if state.phase is Phase.OPEN else logging.INFO,
                "the breaker of a member of the audit fan-out is %s",
                state.phase.value,
                extra={"action": f"audit_fanout_breaker_{state.phase.value}", "member": self.member.name},
            )
