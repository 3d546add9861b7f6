"""A sink that puts events on a Kafka topic, in order for each tenant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from tenaudit._kernel.bounds import INT32, INT32_SECONDS, check_counts, check_seconds
from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit._kernel.servers import servers_of
from tenaudit.audit import SinkRejected, SinkUnavailable
from tenaudit.backends.kafka.cluster import Cluster, in_words
from tenaudit.backends.kafka.flow import Flow
from tenaudit.backends.kafka.lane import by_partition, message_of, send_lane
from tenaudit.backends.kafka.security import KafkaSecurity, checked_topic
from tenaudit.backends.kafka.supervisor import Supervisor
from tenaudit.errors.instruments import counter

try:
    from aiokafka import AIOKafkaProducer
    from aiokafka.codec import has_lz4, has_snappy, has_zstd
    from aiokafka.errors import (
        InvalidProducerEpoch,
        KafkaError,
        MessageSizeTooLargeError,
        OutOfOrderSequenceNumber,
        ProducerFenced,
        RecordListTooLargeError,
        UnknownProducerId,
    )
except ImportError as error:
    raise MissingExtra("kafka", "aiokafka") from error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from prometheus_client import CollectorRegistry

    from tenaudit.audit import AuditEvent
    from tenaudit.backends.kafka.flow import SinkHealth
    from tenaudit.backends.kafka.lane import LaneEnd, Message

__all__ = ["KafkaSink"]

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_FENCED = (OutOfOrderSequenceNumber, ProducerFenced, InvalidProducerEpoch, UnknownProducerId)
_LIBRARIES = {"lz4": has_lz4, "snappy": has_snappy, "zstd": has_zstd}
_ENCODE_SLICE = 64


class KafkaSink:
    """Writes batches to a topic: idempotent, acknowledged by all replicas in sync, keyed by tenant.

    A write that gets no answer in time raises `SinkUnavailable`; nobody knows then whether its events arrived, and a
    second arrival is harmless by their ids. The producer behind it is given up and built again by the next write.

    Args:
        bootstrap_servers: `host:port`, several by commas or as a list; an IPv6 address stands in brackets.
        topic: where to; made on first use where the cluster allows that.
        delivery_timeout: seconds a write may take in all; below the audit producer's `write_timeout`.
        close_timeout: seconds that closing may take.
        compression: `lz4`, `gzip`, `snappy`, `zstd` or None. Batches are compressed on the event loop: `gzip` keeps it
            for some milliseconds a batch and makes an event cost half as much again as `lz4`.
        batch_bytes: most bytes of a batch before compression; a broker that refuses such batches halves it.
        max_event_bytes: larger messages are refused without a try.
        security: encryption and identity.
        client_id: this client's name in the broker's logs and quotas.
        registry: where its metrics live; None is prometheus-client's default.
        clock: what health is measured with.

    Raises:
        ConfigurationError: a setting that cannot work.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     sink = KafkaSink("127.0.0.1:9092")
        ...     await sink.write([])  # nothing to send: no broker is asked
        ...     await sink.close()
        >>> asyncio.run(main())
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str],
        topic: str = "audit.events",
        *,
        delivery_timeout: float = 4.0,
        close_timeout: float = 4.0,
        compression: Literal["gzip", "lz4", "snappy", "zstd"] | None = "lz4",
        batch_bytes: int = 128 * 1024,
        max_event_bytes: int = 2**20,
        security: KafkaSecurity | None = None,
        client_id: str = "tenaudit",
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_seconds(most=INT32_SECONDS, delivery_timeout=delivery_timeout, close_timeout=close_timeout)
        check_counts(most=INT32, batch_bytes=batch_bytes, max_event_bytes=max_event_bytes)
        self._compression = _checked_compression(compression)
        self._topic = checked_topic(topic)
        self._delivery_timeout = delivery_timeout
        self._close_timeout = close_timeout
        self._batch_bytes = batch_bytes
        self._max_event_bytes = max_event_bytes
        # Half, so that a broker that does not answer is called a second time before the deadline.
        within = max(1, round(delivery_timeout * 500))
        self._cluster = Cluster(servers_of(bootstrap_servers), security or KafkaSecurity(), client_id, within)
        self._flow = Flow(clock or SystemClock(), registry)
        self._rebuilds = counter(
            registry, "audit_kafka_producer_rebuilds_total", "Kafka producers given up, by reason.", ("reason",)
        )
        self._supervisor: Supervisor | None = None
        self._closed = False

    def health(self) -> SinkHealth:
        """Return whether events flow: not whether a broker answers, but whether what was written was delivered."""
        return self._flow.health(self._delivery_timeout)

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Send the batch and return once every replica in sync has it.

        Raises:
            SinkUnavailable: there was no answer in time; some of the events may have arrived.
            SinkRejected: events that are no JSON, of which nothing was sent, or that are larger than the topic allows,
                found out by sending the others.
        """
        if self._closed:
            raise SinkUnavailable("the Kafka sink is closed")
        if not batch:
            return
        messages = await self._encoded(batch)
        self._flow.waits()
        supervisor = self._here()
        refused: list[UUID] = []
        try:
            async with asyncio.timeout(self._delivery_timeout), supervisor.turn:
                self._retire_the_stuck(supervisor)
                await self._deliver(supervisor, messages, refused)
        except Exception as error:  # whatever aiokafka raises, its events have not surely arrived
            # Turns are given in order, so a write that waits for its own never outlasts the one before it.
            supervisor.retire(_reason(error))
            if not refused:
                why = in_words(error)
                problem = f"Kafka topic {self._topic}: {why}"
                self._flow.failed(problem)
                raise SinkUnavailable(problem, reason=why) from error
        if refused:
            raise SinkRejected(refused, "too_large")

    async def close(self) -> None:
        """Stop the producer in good order within `close_timeout`, and in any within one second more."""
        if self._closed:
            return
        self._closed = True
        supervisor = self._supervisor
        if supervisor is None:
            return
        if supervisor.belongs_here:
            await supervisor.close(self._close_timeout)
        else:
            supervisor.disown()

    def _here(self) -> Supervisor:
        """Return the supervisor of this loop; one of another loop, or of the parent process, is left to it."""
        if self._supervisor is not None and not self._supervisor.belongs_here:
            self._supervisor.disown()
            self._supervisor = None
        if self._supervisor is None:
            self._supervisor = Supervisor(self._build, self._cluster.start, self._rebuilds)
        return self._supervisor

    def _build(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            enable_idempotence=True,
            acks="all",
            compression_type=self._compression,
            max_batch_size=self._batch_bytes,
            **self._cluster.options(),
        )

    async def _encoded(self, batch: Sequence[AuditEvent]) -> list[Message]:
        messages: list[Message] = []
        not_json: list[AuditEvent] = []
        for count, event in enumerate(batch, 1):
            try:
                messages.append(message_of(event))
            except (AttributeError, TypeError, ValueError, OverflowError, RecursionError):
                not_json.append(event)
            if count % _ENCODE_SLICE == 0:
                await asyncio.sleep(0)
        if not_json:
            raise SinkRejected.of(not_json, "not_json")
        large = [message.event_id for message in messages if message.size > self._max_event_bytes]
        if large:
            raise SinkRejected(large, "too_large")
        return messages

    def _retire_the_stuck(self, supervisor: Supervisor) -> None:
        # A caller that cancels its writes before the deadline must not keep a wedged producer alive.
        if self._flow.waiting_for > self._delivery_timeout:
            supervisor.retire("stuck")

    async def _deliver(self, supervisor: Supervisor, messages: Sequence[Message], refused: list[UUID]) -> None:
        rest = messages
        while rest:
            producer = await supervisor.running()
            partitions = sorted(await producer.partitions_for(self._topic))
            lanes = by_partition(rest, partitions)
            ends = await asyncio.gather(*(send_lane(producer, self._topic, lane, lanes[lane]) for lane in lanes))
            failed = [end for end in ends if end.error is not None]
            rest = self._left(failed, refused)
            if failed:
                # A batch that was refused leaves a hole in the producer's sequence, and the broker takes no more.
                supervisor.retire("too_large")
        self._flow.delivered()

    def _left(self, failed: Sequence[LaneEnd], refused: list[UUID]) -> list[Message]:
        """Return what is still to be sent after batches that were too large; any other error is raised."""
        for end in failed:
            if not isinstance(end.error, _TOO_LARGE):
                raise end.error or KafkaError()
        rest: list[Message] = []
        for end in failed:
            if len(end.failed) == 1:
                refused.append(end.failed[0].event_id)
            else:
                self._batch_bytes = min(self._batch_bytes, sum(message.size for message in end.failed) // 2)
                rest += end.failed
            rest += end.after
        return rest


def _checked_compression(compression: str | None) -> str | None:
    if compression not in (None, "gzip", *_LIBRARIES):
        raise ConfigurationError(f"compression must be gzip, lz4, snappy, zstd or None, not {compression!r}")
    if compression in _LIBRARIES and not _LIBRARIES[compression]():
        raise ConfigurationError(f'compression={compression!r} needs cramjam: pip install "tenaudit[kafka]"')
    return compression


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "deadline"
    return "fenced" if isinstance(error, _FENCED) else "error"
