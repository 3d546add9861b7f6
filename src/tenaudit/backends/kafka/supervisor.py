"""One aiokafka producer on one event loop: started when first needed, given up when it is wedged, built again."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from tenaudit._kernel.extras import MissingExtra
from tenaudit.backends.kafka.background import abandon_producer, disown, end, sender_task

try:
    from aiokafka.errors import ProducerClosed
except ImportError as error:
    raise MissingExtra("kafka", "aiokafka") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiokafka import AIOKafkaProducer
    from prometheus_client import Counter

__all__ = ["Supervisor"]

_log = logging.getLogger("tenaudit.audit")


class Supervisor:
    """Keeps a producer running on the loop that it was made on.

    Args:
        build: makes a producer that has not started.
        start: starts it.
        rebuilds: counts the producers given up, by reason.
    """

    def __init__(
        self,
        build: Callable[[], AIOKafkaProducer],
        start: Callable[[AIOKafkaProducer], Awaitable[None]],
        rebuilds: Counter,
    ) -> None:
        self._build = build
        self._start = start
        self._rebuilds = rebuilds
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._producer: AIOKafkaProducer | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        self.turn = asyncio.Lock()

    @property
    def belongs_here(self) -> bool:
        """Whether this is the loop, and the process, that the producer was made for."""
        return self._loop is asyncio.get_running_loop() and self._pid == os.getpid()

    async def running(self) -> AIOKafkaProducer:
        """Return the producer, started; the caller sets the deadline.

        Raises:
            Exception: what `start` raises.
            KafkaError: this was closed.
        """
        if self._producer is not None and sender_task(self._producer).done():
            self.retire("sender_dead")
        if self._producer is None:
            self._producer = await self._started()
        return self._producer

    async def _started(self) -> AIOKafkaProducer:
        self._refuse_when_closed()
        producer = self._build()
        try:
            await self._start(producer)
            self._refuse_when_closed()
        except BaseException:
            self._end(producer, 0)
            raise
        return producer

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ProducerClosed

    def retire(self, reason: str) -> None:
        """Give the producer up, and with it every batch that it still has; the next write builds another."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        abandon_producer(producer)
        self._end(producer, 0)
        self._rebuilds.labels(reason).inc()
        _log.warning(
            "the Kafka producer is given up and built again",
            extra={"action": "audit_kafka_producer_rebuilt", "reason": reason},
        )

    async def close(self, seconds: float) -> None:
        """Stop the producer in good order within *seconds*, and in any within one more."""
        self._closed = True
        producer, self._producer = self._producer, None
        if producer is not None:
            self._end(producer, seconds)
        if self._ending:
            # Each ends by itself, a second after its patience at the latest.
            await asyncio.wait(self._ending)

    def disown(self) -> None:
        """Leave the producer to a loop that has ended, or to the parent of this forked process."""
        if self._producer is not None:
            disown(self._producer)

    def _end(self, producer: AIOKafkaProducer, patience: float) -> None:
        task = self._loop.create_task(end(producer, abandon_producer, patience), name="tenaudit-kafka-end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
