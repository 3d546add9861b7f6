"""A producer that delivers only when it is told to, so that a timed stretch holds the caller's part alone."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tenaudit.audit import AuditProducer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import CollectorRegistry

    from tenaudit.audit import AuditEvent

__all__ = ["MOST_WAITING", "PausedProducer", "paused_producer"]

# Half of what a producer holds by default: no event is dropped, which `drain` also checks.
MOST_WAITING = 5_000


class NullSink:
    """Takes events and forgets them."""

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Forget the batch."""

    async def close(self) -> None:
        """Close nothing."""


class PausedProducer:
    """A started producer and the loop it delivers on, which runs only inside `drain` and what the caller runs."""

    def __init__(self, producer: AuditProducer, loop: asyncio.AbstractEventLoop) -> None:
        self.producer = producer
        self.loop = loop

    def drain(self) -> None:
        """Deliver what waits.

        Raises:
            RuntimeError: an event was refused, dropped or not delivered: the timing would be of something else.
        """
        delivered = self.loop.run_until_complete(self.producer.flush(10.0))
        stats = self.producer.stats()
        if not delivered or stats.dropped or stats.rejected:
            raise RuntimeError(f"the producer did not deliver everything: {stats}")


@contextmanager
def paused_producer(registry: CollectorRegistry) -> Iterator[PausedProducer]:
    """Start a producer with the default bounds on a loop of its own, and close both at the end."""
    with asyncio.Runner() as runner:
        producer = AuditProducer(NullSink(), service="payments", registry=registry)
        runner.run(producer.__aenter__())
        try:
            yield PausedProducer(producer, runner.get_loop())
        finally:
            runner.run(producer.close())
