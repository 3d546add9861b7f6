"""A delivery running on one event loop: started there, woken from any thread, stopped within a deadline."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.delivery import Delivery
from tenaudit.audit.delivery_spooling import SpoolingDelivery
from tenaudit.audit.draft import event_of
from tenaudit.audit.spool import SpoolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit.audit.account import ProducerAccount
    from tenaudit.audit.buffer import DraftBuffer
    from tenaudit.audit.draft import Draft
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.metrics import ProducerMetrics
    from tenaudit.audit.options import ProducerOptions
    from tenaudit.audit.ports import Sink
    from tenaudit.audit.redaction_policy import RedactionPolicy
    from tenaudit.audit.spool import Spool

__all__ = ["DeliveryTask", "close_ends", "settled", "started"]

_log = logging.getLogger("tenaudit.audit")

_CANCEL_SECONDS = 0.5
_SHORTEST_SPILL = 1.0
_SHORTEST_CLOSE = 1.0
_disowned: list[asyncio.Task[None]] = []


class DeliveryTask:
    """Runs *delivery* as a task of the loop that makes it."""

    __slots__ = ("_loop", "_task", "_thread", "delivery")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._task = self._loop.create_task(delivery.run(), name="tenaudit-audit-delivery")

    def disown(self) -> None:
        """Leave the task to the parent of this forked process; nothing of what it awaits is closed here."""
        self._task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public way
        _disowned.append(self._task)

    @property
    def runs_here(self) -> bool:
        """Whether the calling thread is the one that delivers, which must therefore never wait for room."""
        return threading.get_ident() == self._thread

    def wake(self) -> None:
        """Wake the parked loop, from whatever thread."""
        self.delivery.parked = False
        try:
            if self.runs_here:
                self.delivery.wake()
            else:
                self._loop.call_soon_threadsafe(self.delivery.wake)
        except RuntimeError:  # the loop has closed: closing the producer counts what is left
            return

    def require_loop(self, verb: str) -> None:
        """Refuse a caller on another event loop, whose futures this one could not settle.

        Raises:
            ConfigurationError: another event loop, that still runs, delivers.
        """
        if asyncio.get_running_loop() is not self._loop and not self._loop.is_closed():
            raise ConfigurationError(f"{verb} must run on the event loop that entered the producer")

    def settled(self, event_id: int) -> asyncio.Future[str]:
        """Return a future of one queued event, and hurry its delivery."""
        future = self.delivery.waiters[event_id] = self._loop.create_future()
        future.add_done_callback(lambda _: self.delivery.waiters.pop(event_id, None))
        self.delivery.hasten()
        return future

    async def flushed(self, seconds: float) -> bool:
        """Wait up to *seconds* until all that is queued now has been settled."""
        if self._loop.is_closed():
            return False
        self.delivery.hurry()
        try:
            async with asyncio.timeout(seconds):
                return await self.delivery.idle()
        except TimeoutError:
            return False

    async def stop(self, until: float) -> None:
        """Let the delivery finish, end it, and spool what is left; `Delivery.abandon` gives back the rest.

        Args:
            until: the time, on the monotonic clock, when all of it has to be done.
        """
        if self._loop.is_closed():
            return
        self.delivery.close()
        seconds = max(0.0, until - time.monotonic())
        end = self._loop.time() + seconds
        try:
            await asyncio.wait({self._task}, timeout=seconds * self.delivery.share_of_closing)
        finally:
            self._task.cancel()
        # A sink may refuse to be cancelled; whoever closes does not wait for it for ever.
        await asyncio.wait({self._task}, timeout=_CANCEL_SECONDS)
        await self.delivery.spill_all(max(_SHORTEST_SPILL, end - self._loop.time()))


async def started(
    buffer: DraftBuffer,
    sink: Sink,
    spool: Spool | None,
    metrics: ProducerMetrics,
    options: ProducerOptions,
    publish: Callable[[], None],
    names: tuple[str, str],
    redaction: RedactionPolicy | None,
) -> DeliveryTask:
    """Start the delivery that fits the arguments, which are theirs; *names* are the service's and the producer's.

    Raises:
        ConfigurationError: another process has the spool.
    """
    build = partial(_event_of, service=names[0], producer_id=names[1], redaction=redaction)
    if spool is None:
        return DeliveryTask(Delivery(buffer, sink, metrics, build=build, options=options, publish=publish))
    try:
        # The first use opens it: who else has the folder is to be known now, and whether something is left in it.
        await spool.read(1)
    except SpoolError as error:
        _log.warning(
            "the spool fails at the start", extra={"action": "audit_spool_failed", "error": type(error).__name__}
        )
    return DeliveryTask(
        SpoolingDelivery(
            buffer, sink, metrics, build=build, options=options, publish=publish, spool=spool, producer_id=names[1]
        )
    )


def _event_of(draft: Draft, *, service: str, producer_id: str, redaction: RedactionPolicy | None) -> AuditEvent:
    event = event_of(draft, service, producer_id)
    return event if redaction is None else redaction.written(event)


async def settled(
    task: DeliveryTask | None, buffer: DraftBuffer, account: ProducerAccount, publish: Callable[[], None], until: float
) -> int:
    """Deliver what waits by *until*, drop and count the rest; return how many of those may have arrived unheard."""
    try:
        if task is not None:
            await task.stop(until)
    finally:
        unsettled = 0 if task is None else task.delivery.in_flight
        left = buffer.take_all() if task is None else task.delivery.abandon()
        if left:
            account.drop("not_delivered_at_close", len(left), at_emit=False)
        publish()
    return unsettled


async def close_ends(sink: Sink, spool: Spool | None, until: float) -> None:
    """Close both by the time *until* on the monotonic clock, or a second later each.

    One that fails, or takes longer, is left behind with a line in the log.
    """
    for end in (sink, spool):
        if end is not None:
            await _close_within(end, max(until - time.monotonic(), _SHORTEST_CLOSE))


async def _close_within(sink: Sink | Spool, seconds: float) -> None:
    closing = asyncio.ensure_future(_closed(sink))
    try:
        # Not wait_for, which waits on for a sink that will not be cancelled.
        await asyncio.wait({closing}, timeout=seconds)
    finally:
        closing.cancel()
    await asyncio.wait({closing}, timeout=_CANCEL_SECONDS)
    error = closing.result() if closing.done() and not closing.cancelled() else "TimeoutError"
    if error is not None:
        _log.warning(
            "the audit sink or spool did not close",
            extra={"action": "audit_sink_close_failed", "error": error, "sink": type(sink).__name__},
        )


async def _closed(sink: Sink | Spool) -> str | None:
    try:
        await sink.close()
    except Exception as error:  # noqa: BLE001 - closing must end whatever the sink does
        return type(error).__name__
    return None
