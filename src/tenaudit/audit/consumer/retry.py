"""Trying again what may yet succeed: with a deadline for each try, bounded pauses, and an end."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, TypeVar

from tenaudit._kernel.error import TenauditError, loggable
from tenaudit.audit.consumer.dead_letter import DeadLettersFull

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.consumer.metrics import ConsumerMetrics
    from tenaudit.audit.consumer.options import ConsumerOptions

__all__ = ["BatchAbandoned", "ConsumerStalled", "Retry", "is_cancelled"]

_T = TypeVar("_T")
_log = logging.getLogger("tenaudit.audit")


class ConsumerStalled(TenauditError):  # noqa: N818 - a fact about the consumer
    """The consumer failed for too long without a break; nothing was committed that was not stored."""


class BatchAbandoned(Exception):  # noqa: N818 - a signal within the consumer, not an error
    """The batch in hand is given up: its partitions go elsewhere, or the consumer stops."""


def is_cancelled() -> bool:
    """Tell whether somebody asked the running task to end, and not just something that it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


class Retry:
    """Runs attempts until one succeeds, the batch is abandoned or patience ends.

    Args:
        options: the deadlines and pauses.
        metrics: where failures are counted.
        clock: what patience is measured with.
    """

    __slots__ = ("_abandoned", "_clock", "_failing", "_failing_since", "_metrics", "_options")

    def __init__(self, options: ConsumerOptions, metrics: ConsumerMetrics, clock: Clock) -> None:
        self._options = options
        self._metrics = metrics
        self._clock = clock
        self._abandoned = asyncio.Event()
        self._failing_since: float | None = None
        self._failing = ""

    @property
    def failing(self) -> str | None:
        """What failed last, while no success has ended that."""
        return None if self._failing_since is None else self._failing

    @property
    def failing_for(self) -> float:
        """Seconds since the first of the failures that no success has ended; 0 when the last attempt succeeded."""
        return 0.0 if self._failing_since is None else self._clock.monotonic() - self._failing_since

    def abandon(self) -> None:
        """End what is being tried at its next failure, or in its pause."""
        self._abandoned.set()

    def begin(self) -> None:
        """Forget an abandonment that came for the batch before."""
        self._abandoned.clear()

    async def until_done(
        self, what: str, attempt: Callable[[], Awaitable[_T]], *, final: tuple[type[Exception], ...] = ()
    ) -> _T:
        """Return what *attempt* returns once it succeeds.

        Args:
            what: names it in the metric of failures and in the log.
            attempt: the call; it may run again after it has half succeeded.
            final: errors that no repetition mends, raised as they are.

        Raises:
            BatchAbandoned: `abandon` was called.
            ConsumerStalled: it failed for too long.
        """
        pause = self._options.first_pause
        while True:
            try:
                async with asyncio.timeout(self._options.try_timeout):
                    result = await attempt()
            except final:
                self._failing_since = None
                raise
            except asyncio.CancelledError as error:
                if is_cancelled():
                    raise
                # Something inside the driver was cancelled, not this consumer.
                self._failed(what, error)
            except Exception as error:  # noqa: BLE001 - a driver that breaks its contract is one that failed
                self._failed(what, error)
            else:
                self._failing_since = None
                return result
            pause = await self._paused(pause)

    def _failed(self, what: str, error: BaseException) -> None:
        # Nothing but somebody who makes room ends this one, so it has a name of its own.
        what = "dead_letters_full" if isinstance(error, DeadLettersFull) else what
        self._failing = what
        self._metrics.failed(what)
        told = loggable(error)
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
            _log.warning(
                "the audit consumer waits for what fails",
                extra={"action": "audit_ingest_failed", "what": what, **told},
            )
        if self.failing_for > self._options.give_up_after:
            why = ", ".join(filter(None, (what, told.get("reason"))))
            raise ConsumerStalled(f"the audit consumer failed for {self.failing_for:.0f} s: {why}") from error

    async def _paused(self, seconds: float) -> float:
        """Wait before the next try and return the pause after that."""
        try:
            # Jitter keeps many consumers from returning to a sick store in step.
            async with asyncio.timeout(random.uniform(seconds / 2, seconds)):  # noqa: S311 - no secret depends on it
                await self._abandoned.wait()
        except TimeoutError:
            return min(seconds * 2, self._options.longest_pause)
        raise BatchAbandoned
