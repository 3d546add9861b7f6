"""A delivery running on one event loop: started there, woken from any thread, stopped within a deadline."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from tenaudit.audit.delivery import Delivery
    from tenaudit.audit.draft import Draft

__all__ = ["DeliveryTask"]

_CANCEL_SECONDS = 1.0


class DeliveryTask:
    """Runs *delivery* as a task of the loop that makes it."""

    __slots__ = ("_loop", "_task", "_thread", "delivery")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._task = self._loop.create_task(delivery.run(), name="tenaudit-audit-delivery")

    @property
    def runs_here(self) -> bool:
        """Whether the calling thread is the one that delivers, which must therefore never wait for room."""
        return threading.get_ident() == self._thread

    def wake(self) -> None:
        """Wake the parked loop, from whatever thread."""
        if self.runs_here:
            self.delivery.wake()
            return
        self.delivery.parked = False
        try:
            self._loop.call_soon_threadsafe(self.delivery.wake)
        except RuntimeError:  # the loop has closed: closing the producer counts what is left
            return

    def require_loop(self) -> None:
        """Refuse a caller on another event loop, whose futures this one could not settle.

        Raises:
            ConfigurationError: another event loop delivers.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise ConfigurationError("emit_durable must run on the event loop that entered the producer")

    def settled(self, event_id: int) -> asyncio.Future[None]:
        """Return a future of one queued event, and hurry its delivery."""
        future = self.delivery.waiters[event_id] = self._loop.create_future()
        future.add_done_callback(lambda _: self.delivery.waiters.pop(event_id, None))
        self.delivery.hurry()
        return future

    async def stop(self, seconds: float) -> list[Draft]:
        """Let the delivery finish for up to *seconds*, then end it; return what it did not deliver."""
        self.delivery.close()
        done, _ = await asyncio.wait({self._task}, timeout=seconds)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_CANCEL_SECONDS)
        return self.delivery.abandon()
