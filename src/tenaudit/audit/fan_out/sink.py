"""One sink made of several: some must have every event, some may miss events, and none slows another."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.fork import restart_in_child
from tenaudit.audit.fan_out.best_effort import BestEffortLane
from tenaudit.audit.fan_out.memory import BatchMemory
from tenaudit.audit.fan_out.metrics import MemberMetrics
from tenaudit.audit.fan_out.required import write_required
from tenaudit.audit.fan_out.writer import MemberWriter
from tenaudit.audit.ports import SinkRejected, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.fan_out.answer import Answer
    from tenaudit.audit.fan_out.member import FanOutMember

__all__ = ["FanOutSink"]


class FanOutSink:
    """Hands every batch to all its members at once.

    The required members decide what `write` says. A retry goes only to those that still lack an event, and a member
    that is not required gets an event once, however often the required ones are tried. Events refused by one
    required member are refused by the fan-out, once the others have answered; those may keep them. It is used on one
    event loop; a forked child starts with nothing that waits.

    Args:
        members: at least one of them required, with names of their own.
        registry: where the metric families live.
        clock: time source of the breakers.
        remember: most events to remember between a failed write and its retry.

    Raises:
        ConfigurationError: no required member, a name that two members have, or *remember* below 1.

    Example:
        >>> import asyncio
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.audit import FanOutMember
        >>> from tenaudit.backends.memory import MemorySink
        >>> from tenaudit.testing.conformance import an_event
        >>> trail, search = MemorySink(), MemorySink()
        >>> sink = FanOutSink(
        ...     [FanOutMember(trail, "trail"), FanOutMember(search, "search", required=False)],
        ...     registry=CollectorRegistry())
        >>> async def main():
        ...     await sink.write([an_event(0)])
        ...     await sink.close()
        >>> asyncio.run(main())
        >>> len(trail.events), len(search.events)
        (1, 1)
    """

    def __init__(
        self,
        members: Iterable[FanOutMember],
        *,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        remember: int = 10_000,
    ) -> None:
        self._members = tuple(members)
        _check(self._members, remember)
        self._registry = registry
        self._clock = clock or SystemClock()
        self._remember = remember
        self._of_parents: list[BestEffortLane] = []
        self._begin()
        restart_in_child(self)

    def _begin(self) -> None:
        self._memory = BatchMemory(self._remember)
        self._required: dict[int, MemberWriter] = {}
        self._best_effort: dict[int, BestEffortLane] = {}
        self._closed = False
        for place, member in enumerate(self._members):
            bit, metrics = 1 << place, MemberMetrics(self._registry, member.name)
            if member.required:
                self._required[bit] = MemberWriter(member, metrics, self._clock, partial(self._took, bit))
            else:
                self._best_effort[bit] = BestEffortLane(member, metrics, self._clock)

    def after_fork(self) -> None:
        """Start with nothing of the parent's, which delivers what waits there; called in a forked child."""
        # Kept, since asyncio complains of a pending task that is collected.
        self._of_parents += self._best_effort.values()
        self._begin()

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Bring the batch to every required member; the others get it in their own time.

        Raises:
            SinkUnavailable: a required member does not take it now.
            SinkRejected: required members will never take these events.
        """
        if self._closed:
            raise SinkUnavailable("the fan-out is closed")
        self._memory.begin(batch)
        for bit, lane in self._best_effort.items():
            lane.offer(self._memory.lacking(batch, bit))
            self._memory.took(batch, bit)
        answers = await asyncio.gather(
            *(write_required(writer, self._memory.lacking(batch, bit)) for bit, writer in self._required.items())
        )
        self._judge(answers)
        self._memory.forget(batch)

    async def close(self) -> None:
        """Deliver what waits and close every member, each within its own `timeout`; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        await asyncio.gather(
            *(writer.close(writer.member.timeout) for writer in self._required.values()),
            *(lane.close() for lane in self._best_effort.values()),
        )

    def _took(self, bit: int, batch: Sequence[AuditEvent]) -> None:
        self._memory.took(batch, bit)

    def _judge(self, answers: Sequence[Answer]) -> None:
        """Raise what the required members' answers come to; only one that is there can refuse for ever."""
        pairs = list(zip(self._required.values(), answers, strict=True))
        away = [
            f"{writer.member.name} ({answer.outcome})"
            for writer, answer in pairs
            if answer.outcome not in ("ok", "rejected")
        ]
        if away:
            raise SinkUnavailable(f"required members of the fan-out do not take events now: {', '.join(away)}")
        refused = {event_id for answer in answers for event_id in answer.refused}
        reasons = {reason for answer in answers for reason in (*answer.refused.values(), answer.reason) if reason}
        if reasons:
            raise SinkRejected(sorted(refused), ",".join(sorted(reasons)))


def _check(members: Sequence[FanOutMember], remember: int) -> None:
    names = [member.name for member in members]
    if not any(member.required for member in members):
        raise ConfigurationError("a fan-out needs a required member: without one it would promise what nobody keeps")
    if len(set(names)) != len(names):
        raise ConfigurationError("each member of a fan-out needs a name of its own")
    if not remember >= 1:  # which NaN is not
        raise ConfigurationError("remember must be at least 1")
