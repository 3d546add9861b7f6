"""The messages of one partition on their way: in order, one batch at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit._kernel.extras import MissingExtra
from tenaudit.audit.consumer import encode_event, event_headers
from tenaudit.backends.kafka.background import sender_task

try:
    from aiokafka.errors import KafkaError
    from aiokafka.partitioner import murmur2
except ImportError as error:
    raise MissingExtra("kafka", "aiokafka") from error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from tenaudit.audit import AuditEvent

__all__ = ["LaneEnd", "Message", "by_partition", "message_of", "send_lane"]

# What a record costs beside key, value and headers: lengths, offsets and times of a record batch of version 2.
_RECORD_OVERHEAD = 32
_TENANTS_REMEMBERED = 65_536


class Message(NamedTuple):
    """One event as Kafka takes it; *size* is in bytes, before compression."""

    event_id: UUID
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    size: int


def message_of(event: AuditEvent) -> Message:
    """Return the message of *event*, with its tenant as the key.

    Raises:
        ValueError: the event is no JSON.
    """
    key, value, headers = _key_of(event.tenant_id), encode_event(event), event_headers(event)
    size = len(key) + len(value) + _RECORD_OVERHEAD
    for name, text in headers:
        size += len(name) + len(text)
    return Message(event.event_id, key, value, headers, size)


@lru_cache(_TENANTS_REMEMBERED, typed=True)
def _key_of(tenant_id: UUID) -> bytes:
    return str(tenant_id).encode()


@lru_cache(_TENANTS_REMEMBERED)
def _hash_of(key: bytes) -> int:
    # As Kafka's default partitioner does it, so that all producers of all languages agree on a tenant's partition.
    return int(murmur2(key)) & 0x7FFFFFFF


def by_partition(messages: Sequence[Message], partitions: Sequence[int]) -> dict[int, list[Message]]:
    """Sort *messages* into the partitions of their tenants, each in the order given."""
    lanes: dict[int, list[Message]] = {}
    for message in messages:
        lanes.setdefault(partitions[_hash_of(message.key) % len(partitions)], []).append(message)
    return lanes


@dataclass(frozen=True, slots=True)
class LaneEnd:
    """Where a lane ended: with everything acknowledged, or at a batch that failed.

    Args:
        error: why, None when everything was acknowledged.
        failed: the batch that failed.
        after: what had not been sent.
    """

    error: Exception | None = None
    failed: Sequence[Message] = ()
    after: Sequence[Message] = ()


async def send_lane(producer: Any, topic: str, partition: int, messages: Sequence[Message]) -> LaneEnd:
    """Send *messages* in batches as large as the producer's, each after the one before was acknowledged.

    Sent one by one, since a batch that is refused must not be overtaken by the next of its tenant. aiokafka keeps
    only one in flight for a partition anyway.
    """
    start = 0
    while start < len(messages):
        batch = producer.create_batch()
        end = _fill(batch, messages, start)
        try:
            future = await producer.send_batch(batch, topic, partition=partition)
            await _acknowledged(future, sender_task(producer))
        except Exception as error:  # noqa: BLE001 - aiokafka raises more than its own errors, and no lane may outlive another
            return LaneEnd(error, messages[start:end], messages[end:])
        start = end
    return LaneEnd()


def _fill(batch: Any, messages: Sequence[Message], start: int) -> int:
    """Put messages from *start* on into the batch, as many as it takes; return where it ends.

    A batch takes its first message whatever the size.
    """
    end = start
    # The broker's time, not the event's: retention must not take what an importer has just brought.
    while end < len(messages) and _took(batch, messages[end]):
        end += 1
    batch.close()
    return end


def _took(batch: Any, message: Message) -> bool:
    return batch.append(timestamp=None, key=message.key, value=message.value, headers=message.headers) is not None


async def _acknowledged(future: asyncio.Future[Any], sender: asyncio.Task[None]) -> None:
    """Wait for the broker's answer, or for the end of the task that would bring it."""
    future.add_done_callback(_look)
    await asyncio.wait({future, sender}, return_when=asyncio.FIRST_COMPLETED)
    if future.cancelled() or not future.done():
        raise KafkaError("the producer was given up")
    future.result()


def _look(future: asyncio.Future[Any]) -> None:
    # Whoever was cancelled does not come back for the error.
    if not future.cancelled():
        future.exception()
