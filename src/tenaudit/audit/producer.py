"""Emitting: synchronous, without I/O, never raising into the request, every outcome counted."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Literal, Self

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.fork import restart_in_child
from tenaudit.audit.account import ProducerAccount
from tenaudit.audit.buffer import DraftBuffer
from tenaudit.audit.closing_record import ClosingRecord
from tenaudit.audit.delivery_task import DeliveryTask, close_ends, settled, started
from tenaudit.audit.intake import Intake, is_context
from tenaudit.audit.metrics import ProducerMetrics
from tenaudit.audit.options import ProducerOptions, check_wiring
from tenaudit.audit.outcomes import DeliveryUnknown, EmitRejected, EmitResult, ProducerStats
from tenaudit.audit.payload import PayloadRefused
from tenaudit.audit.ports import Sink, SinkRejected
from tenaudit.audit.schema.promise import promising
from tenaudit.security.context import context_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from uuid import UUID

    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.draft import Draft
    from tenaudit.audit.redaction_policy import RedactionPolicy
    from tenaudit.audit.schema import PayloadCheck
    from tenaudit.audit.spool import Spool
    from tenaudit.security import SecurityContext

__all__ = ["AuditProducer"]

_SAMPLE = 64


class AuditProducer:
    """Takes events from requests and hands them to a sink in batches.

    `emit` may be called from any thread; the loop that entered the producer delivers. A forked child starts
    with an empty queue and an id of its own, and delivers once it enters the producer itself.

    Args:
        sink: where events go; the producer closes it.
        service: name of the service, in every event.
        capacity, max_bytes: events and bytes that may wait in memory.
        overflow: what a full queue does: `"drop"`, `"block"`, save on the delivering loop, which cannot wait, or
            `"spool"`, which empties it to disk while it fills, and drops what comes faster than the disk.
        batch_size, linger: events in one write, and seconds to wait for a fuller one.
        close_timeout: seconds that closing may take to deliver what waits.
        spool: where events go while the sink is ill, and what is left at closing; the producer closes it.
        write_timeout, block_timeout: seconds that one write may take, and that `"block"` may wait.
        spool_after: seconds that the sink may be ill before memory goes to the spool.
        schemas: checks the payload of each success, as `SchemaRegistry.check` does; an event that fails is rejected.
        registry, clock: where the metric families live, and the time source of `occurred_at` and the ids.
        account_tenant: whose trail gets a record of the totals, `audit.producer.closed`, when the producer closes.
        redaction: what is taken out of an event before any sink or spool has it.

    Raises:
        ConfigurationError: an unknown overflow policy, one that lacks its spool, a bound below 1, or no tenant.

    Example:
        >>> import asyncio
        >>> from uuid import UUID
        >>> from tenaudit.backends.memory import MemorySink
        >>> from tenaudit.security import Actor, SecurityContext, TraceContext
        >>> ctx = SecurityContext(UUID(int=1), Actor("u-1"), frozenset(), TraceContext("0" * 31 + "1", None, False))
        >>> async def main():
        ...     sink = MemorySink()
        ...     async with AuditProducer(sink, service="orders") as producer:
        ...         producer.emit("order.created", resource_type="order", resource_id="o-1", context=ctx)
        ...     return [event.action for event in sink.events]
        >>> asyncio.run(main())
        ['order.created']
    """

    def __init__(
        self,
        sink: Sink,
        *,
        service: str,
        capacity: int = 10_000,
        max_bytes: int = 16 * 2**20,
        overflow: Literal["drop", "block", "spool"] = "drop",
        batch_size: int = 500,
        linger: float = 0.05,
        close_timeout: float = 5.0,
        spool: Spool | None = None,
        write_timeout: float = 5.0,
        block_timeout: float = 1.0,
        spool_after: float = 2.0,
        schemas: PayloadCheck | None = None,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        account_tenant: UUID | None = None,
        redaction: RedactionPolicy | None = None,
    ) -> None:
        check_wiring(service, spool, overflow, account_tenant, redaction)
        self.service, self._sink, self._spool = service, sink, spool
        self._options = ProducerOptions(
            capacity, max_bytes, overflow, batch_size, linger, close_timeout, write_timeout, block_timeout, spool_after
        )
        self._intake, self._redaction = Intake(clock or SystemClock(), schemas), redaction
        self._closing = ClosingRecord(account_tenant, self._intake, sink, spool, write_timeout)
        self._buffer = DraftBuffer(self._options.room, max_bytes)
        self._metrics = ProducerMetrics(registry, type(sink).__name__, self._buffer, spool)
        self._begin()
        restart_in_child(self)

    def _begin(self) -> None:
        """Start an account of its own: at construction, and again in a forked child."""
        self.producer_id = f"{self.service[:80]}-{os.urandom(8).hex()}"
        self._names = (self.service, self.producer_id)
        self._account = ProducerAccount(self._metrics)
        self._until_sample = 0
        self._closed = False
        self._ended: asyncio.Event | None = None
        self._task: DeliveryTask | None = None

    def after_fork(self) -> None:
        """Start with nothing of the parent's; called in a forked child."""
        if self._task is not None:
            self._task.disown()
        self._buffer.reset()
        self._intake.reset()
        self._metrics.restart()
        self._closing.begin()
        self._begin()

    async def __aenter__(self) -> Self:
        """Start delivering on the running loop.

        Raises:
            ConfigurationError: it was started or closed before, or another process has the spool.
        """
        if self._task is not None or self._closed:
            raise ConfigurationError("this producer is already started, or closed: make another one")
        parts = (self._buffer, self._sink, self._spool)
        self._task = await started(*parts, self._metrics, self._options, self._publish, self._names, self._redaction)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def emit(
        self,
        action: str,
        *,
        resource_type: str | None = None,
        resource_id: str | None = None,
        payload: Mapping[str, Any] | None = None,
        outcome: str = "success",
        severity: str = "info",
        context: SecurityContext | None = None,
        strict: bool = False,
    ) -> EmitResult:
        """Take one event: no I/O, no wait (save under `overflow="block"`), no exception.

        The bound context is whose event it is, unless *context* is given; the payload is copied before this returns.

        Raises:
            EmitRejected: only with *strict*.
        """
        self._until_sample -= 1
        started = time.perf_counter() if self._until_sample < 0 else 0.0
        if context is None:
            if (context := context_or_none()) is None:
                return self._reject("no_context", strict)
        elif not is_context(context):
            return self._reject("invalid_context", strict)
        try:
            draft = self._intake.draft(action, resource_type, resource_id, payload, outcome, severity, context)
        except PayloadRefused as refusal:
            return self._reject(refusal.reason, strict)
        except Exception:  # noqa: BLE001 - an argument may be any object and raise anything, and emit may raise nothing
            return self._reject("invalid_event", strict)
        if not self._buffer.offer(draft):
            return self._overflowing(draft)
        task = self._task
        if task is not None and task.delivery.parked:
            task.wake()
        if started:
            self._until_sample = _SAMPLE - 1
            self._metrics.took(time.perf_counter() - started)
        return EmitResult("accepted", None, draft[0])

    async def emit_durable(
        self,
        action: str,
        *,
        resource_type: str | None = None,
        resource_id: str | None = None,
        payload: Mapping[str, Any] | None = None,
        outcome: str = "success",
        severity: str = "info",
        context: SecurityContext | None = None,
        deadline: float = 5.0,
    ) -> EmitResult:
        """Take one event and return once the sink has it, or the spool: its status tells, `accepted` or `spooled`.

        The arguments are those of `emit`; past *deadline* seconds the outcome is unknown.

        Raises:
            EmitRejected: the event breaks a limit, does not fit the queue, or the sink refuses it.
            DeliveryUnknown: the deadline passed.
        """
        if self._task is None:
            raise ConfigurationError("emit_durable needs a producer that was entered")
        self._task.require_loop("emit_durable")
        with promising("durable"):
            result = self.emit(
                action,
                resource_type=resource_type,
                resource_id=resource_id,
                payload=payload,
                outcome=outcome,
                severity=severity,
                context=context,
            )
        if result.event_id is None or result.status != "accepted":
            raise EmitRejected(result.reason or result.status)
        # Nothing was awaited since emit, so the delivery on this loop cannot have settled the event yet.
        settled = self._task.settled(result.event_id.int)
        try:
            status = await asyncio.wait_for(settled, deadline)
        except TimeoutError:
            raise DeliveryUnknown from None
        except SinkRejected as refusal:
            raise EmitRejected(refusal.reason) from refusal
        return EmitResult(status, None, result.event_id.int)

    async def flush(self, timeout: float = 5.0) -> bool:  # noqa: ASYNC109 - contract name
        """Wait until everything emitted so far is delivered; False when *timeout* seconds were not enough."""
        if self._task is None:
            return self._buffer.depth == 0
        self._task.require_loop("flush")
        return await self._task.flushed(timeout)

    async def close(self) -> None:
        """Deliver what waits within `close_timeout`, drop and count the rest, close the sink; never hangs.

        It takes at most `close_timeout`, and two seconds more with a sink that will not be cancelled; what such a
        sink takes later counts as dropped all the same. A second call waits for the first.
        """
        if self._task is not None:
            self._task.require_loop("close")
        if self._ended is not None:
            await self._ended.wait()
            return
        self._closed, self._ended = True, asyncio.Event()
        self._buffer.close()
        until = time.monotonic() + self._options.close_timeout
        try:
            unsettled = await settled(self._task, self._buffer, self._account, self._publish, until)
            if self._task is not None:
                await self._closing.send(self._names, self.stats(), unsettled=unsettled, until=until)
            await close_ends(self._sink, self._spool, until)
        finally:
            self._ended.set()

    @property
    def capacity(self) -> int:
        """How many events may wait in memory."""
        return self._options.capacity

    def stats(self) -> ProducerStats:
        """Return the account as of now."""
        return self._account.stats(self._intake.seq, self._buffer, self._task.delivery if self._task else None)

    def _reject(self, reason: str, strict: bool) -> EmitResult:  # noqa: FBT001 - emit's own flag, passed on
        self._account.reject(reason)
        if strict:
            raise EmitRejected(reason)
        return EmitResult("rejected", reason)

    def _overflowing(self, draft: Draft) -> EmitResult:
        """Handle the event that found no room."""
        task = self._task
        may_wait = self._options.overflow == "block" and task is not None and not task.runs_here and not self._closed
        if task is not None and may_wait and self._buffer.offer_within(draft, self._options.block_timeout):
            if task.delivery.parked:
                task.wake()
            return EmitResult("accepted", None, draft.event_id)
        reason = "closed" if self._closed else "queue_full"
        self._account.drop(reason)
        return EmitResult("dropped", reason, draft.event_id)

    def _publish(self) -> None:
        self._metrics.count(emitted=self._intake.seq, rejected=self._account.rejected, dropped=self._account.overflowed)
