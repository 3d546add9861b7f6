"""Charging a limiter that is not in this process: with a deadline, and without losing the slots of whoever leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tenaudit.gate.limits import Limits
    from tenaudit.ratelimit import RateDecision
    from tenaudit.security import SecurityContext, TraceContext

__all__ = ["FarLimits"]


class FarLimits:
    """Waits for limits as long as a request may, and finishes what a request that was cancelled has begun.

    Args:
        limits: what is charged.
        deadline: seconds that one answer may take.
        on_failure: told of slots that could not be given back.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.gate.limits import Limits
        >>> far = FarLimits(Limits(None, ["2 concurrent"], CollectorRegistry()), 5.0, print)
    """

    def __init__(self, limits: Limits, deadline: float, on_failure: Callable[[Exception, TraceContext], None]) -> None:
        self._limits = limits
        self._deadline = deadline
        self._on_failure = on_failure
        # A loop holds its tasks weakly.
        self._running: set[asyncio.Task[Any]] = set()

    async def charge(self, context: SecurityContext) -> RateDecision:
        """Charge one request.

        Raises:
            TimeoutError: there is no answer in time.
            ApiError: 429 `rate_limited`.
        """
        if not self._limits.has_slots:
            async with asyncio.timeout(self._deadline):
                return await self._limits.charge(context)
        charging = self._begin(self._limits.charge(context))
        try:
            async with asyncio.timeout(self._deadline):
                return await asyncio.shield(charging)
        except (TimeoutError, asyncio.CancelledError):
            # The slot may be taken by now, or be taken yet, by a request that does not use it.
            self._begin(self._undo(context, charging))
            raise

    async def release(self, context: SecurityContext, rate: RateDecision) -> None:
        """Give slots back, also when this is cancelled meanwhile; a failure is told, not raised."""
        await asyncio.shield(self._begin(self._release(context, rate)))

    async def _release(self, context: SecurityContext, rate: RateDecision) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                await self._limits.release(context, rate)
        except Exception as error:  # noqa: BLE001 - a limiter over a network may fail in any way
            self._on_failure(error, context.trace)

    async def _undo(self, context: SecurityContext, charging: asyncio.Task[RateDecision]) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                rate = await charging
        except Exception:  # noqa: BLE001 - as far as anybody knows it took nothing
            return
        if self._limits.holds_slots(rate):
            await self._release(context, rate)

    def _begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task
