"""A delivery running on one event loop: started there, woken from any thread, stopped within a deadline."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from tenaudit.audit.delivery import Delivery
    from tenaudit.audit.ports import Sink

__all__ = ["DeliveryTask", "close_within"]

_log = logging.getLogger("tenaudit.audit")

_CANCEL_SECONDS = 0.5
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

    def settled(self, event_id: int) -> asyncio.Future[None]:
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

    async def stop(self, seconds: float) -> None:
        """Let the delivery finish for up to *seconds*, then end it; `Delivery.abandon` gives back the rest."""
        if self._loop.is_closed():
            return
        self.delivery.close()
        try:
            await asyncio.wait({self._task}, timeout=seconds)
        finally:
            self._task.cancel()
        # A sink may refuse to be cancelled; whoever closes does not wait for it for ever.
        await asyncio.wait({self._task}, timeout=_CANCEL_SECONDS)


async def close_within(sink: Sink, seconds: float) -> None:
    """Close a sink; one that fails, or takes longer than *seconds*, is left behind with a line in the log."""
    closing = asyncio.ensure_future(_closed(sink))
    try:
        # Not wait_for, which waits on for a sink that will not be cancelled.
        await asyncio.wait({closing}, timeout=seconds)
    finally:
        closing.cancel()
    await asyncio.wait({closing}, timeout=_CANCEL_SECONDS)
    error = closing.result() if closing.done() and not closing.cancelled() else "TimeoutError"
    if error is not None:
        _log.warning("the audit sink did not close", extra={"action": "audit_sink_close_failed", "error": error})


async def _closed(sink: Sink) -> str | None:
    try:
        await sink.close()
    except Exception as error:  # noqa: BLE001 - closing must end whatever the sink does
        return type(error).__name__
    return None
