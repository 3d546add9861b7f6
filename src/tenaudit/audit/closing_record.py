"""Sending the last record of a producer, to the sink or into the spool, within the time that closing has."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit.audit.closing import CLOSED, closing_totals
from tenaudit.audit.event import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenaudit.audit.intake import Intake
    from tenaudit.audit.outcomes import ProducerStats
    from tenaudit.audit.ports import Sink
    from tenaudit.audit.spool import Spool

__all__ = ["ClosingRecord"]

_log = logging.getLogger("tenaudit.audit")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CANCEL_SECONDS = 0.25
_SHORTEST_SPILL = 0.5
# The other half is for the spool.
_SHARE_OF_SINK = 0.5


class ClosingRecord:
    """The record that a producer sends when all before it is settled.

    Args:
        tenant_id: the tenant that it belongs to; None sends none.
        intake: gives out numbers and ids.
        sink: where it goes.
        spool: where it goes when the sink has not even what is in there.
        write_timeout: seconds that the sink may take.

    Example:
        >>> from tenaudit._kernel.clock import SystemClock
        >>> from tenaudit.audit.intake import Intake
        >>> from tenaudit.audit.outcomes import ProducerStats
        >>> from tenaudit.backends.memory import MemorySink
        >>> sink = MemorySink()
        >>> record = ClosingRecord(UUID(int=1), Intake(SystemClock()), sink, None, 5.0)
        >>> stats = ProducerStats(0, 0, 0, 0, 0, 0)
        >>> asyncio.run(record.send(("orders", "orders-1"), stats, unsettled=0, until=time.monotonic() + 5))
        True
        >>> sink.events[0].action, sink.events[0].seq
        ('audit.producer.closed', 0)
    """

    __slots__ = ("_intake", "_sink", "_spool", "_started_ms", "_tenant_id", "_write_timeout")

    def __init__(
        self, tenant_id: UUID | None, intake: Intake, sink: Sink, spool: Spool | None, write_timeout: float
    ) -> None:
        self._tenant_id = tenant_id
        self._intake = intake
        self._sink = sink
        self._spool = spool
        self._write_timeout = write_timeout
        self._started_ms = 0
        self.begin()

    def begin(self) -> None:
        """Note the start of an account: no event of it gets an id of an earlier time."""
        if self._tenant_id is not None:
            self._started_ms = self._intake.begin()

    async def send(self, names: tuple[str, str], stats: ProducerStats, *, unsettled: int, until: float) -> bool:
        """Send the record; False when there is none to send, or when neither sink nor spool took it, which is logged.

        Args:
            names: the service's and the producer's.
            stats: the producer's account, when its queue is closed and empty.
            unsettled: events that were given up while a write of theirs had no answer.
            until: the time, on the monotonic clock, that the sink may not go beyond.
        """
        if self._tenant_id is None:
            return False
        try:
            event = self._event(self._tenant_id, names, stats, unsettled)
        except ValueError:  # a clock that no id can tell
            return _gave_up(["ValueError"])
        failures: list[str] = []
        for to_spool in self._ways():
            failure = await (self._into_spool(event, until) if to_spool else self._to_sink(event, until))
            if failure is None:
                return True
            failures.append(failure)
        return _gave_up(failures)

    def _event(self, tenant_id: UUID, names: tuple[str, str], stats: ProducerStats, unsettled: int) -> AuditEvent:
        event_id, occurred_us, seq = self._intake.number_after_all()
        totals = closing_totals(seq, stats, unsettled, self._started_ms)
        return AuditEvent(
            event_id=UUID(int=event_id),
            tenant_id=tenant_id,
            occurred_at=_EPOCH + timedelta(microseconds=occurred_us),
            actor_id=names[1],
            actor_type="system",
            action=CLOSED,
            service=names[0],
            trace_id=os.urandom(16).hex(),
            payload=totals.to_payload(),
            producer_id=names[1],
            seq=seq,
        )

    def _ways(self) -> tuple[bool, ...]:
        """Return the ways in the order in which they are tried: behind what is in the spool, if anything is."""
        if self._spool is None:
            return (False,)
        return (True, False) if self._spool.stats().records else (False, True)

    async def _to_sink(self, event: AuditEvent, until: float) -> str | None:
        seconds = (until - time.monotonic()) * (1.0 if self._spool is None else _SHARE_OF_SINK)
        if seconds <= 0:
            return "TimeoutError"
        return await _tried(partial(self._sink.write, [event]), min(seconds, self._write_timeout))

    async def _into_spool(self, event: AuditEvent, until: float) -> str | None:
        assert self._spool is not None
        return await _tried(partial(self._spool.append, [event]), max(_SHORTEST_SPILL, until - time.monotonic()))


async def _tried(work: Callable[[], Awaitable[None]], seconds: float) -> str | None:
    """Do the work; return the name of what went wrong, None when nothing did. One that is stuck is left behind."""
    task = asyncio.ensure_future(_guarded(work))
    try:
        # Not wait_for, which waits on for a sink that will not be cancelled.
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
    return task.result() if task.done() and not task.cancelled() else "TimeoutError"


async def _guarded(work: Callable[[], Awaitable[None]]) -> str | None:
    try:
        await work()
    except Exception as error:  # noqa: BLE001 - closing must end whatever sink and spool do
        return type(error).__name__
    return None


def _gave_up(failures: list[str]) -> bool:
    _log.warning(
        "the closing record of an audit producer is lost: it will not count as closed cleanly",
        extra={"action": "audit_closing_record_lost", "error": ", ".join(failures)},
    )
    return False
