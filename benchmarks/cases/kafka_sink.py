"""What one audit event costs on its way into Kafka, from the batch in hand until every replica has acknowledged it.

Every side sends the same bytes under the same keys and headers, 500 events of 20 tenants at a time, to a topic with
one partition of a broker on this machine: idempotent, acks=all, batches of 128 KiB, compressed with gzip or lz4.

Ours: `KafkaSink.write`, which also makes the bytes out of the events, keeps the deadline and watches the sender.
aiokafka: a loop of `send` and one `gather` of the acknowledgements, its bytes made beforehand.

Not shown: a network, replicas, several partitions. The broker runs on the same cores.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import ExitStack
from itertools import repeat
from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry

from benchmarks.result import AtMost, TimesBetter, compare
from benchmarks.rounds import Contender, measure
from tenaudit.testing.conformance import an_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan
    from tenaudit.audit import AuditEvent

__all__ = ["run"]

_Codec = Literal["gzip", "lz4"]
_CODECS: tuple[_Codec, ...] = ("gzip", "lz4")

_BATCH = 500
_MOST = 200
_BATCH_BYTES = 128 * 1024
_WITHIN = 30.0


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield the one result."""
    from tenaudit.testing.services import kafka

    with ExitStack() as stack:
        service = stack.enter_context(kafka())
        if service.kind == "mock":
            note(f"the broker is a mock: {service.note}")
        runner = stack.enter_context(asyncio.Runner())
        events = [
            an_event(n, tenant_id=uuid.UUID(int=n % 20 + 1), payload={"amount": 1999, "currency": "EUR"})
            for n in range(_BATCH)
        ]
        for codec in _CODECS:
            sides = [build(stack, runner, service.bootstrap_servers, events, codec) for build in (_ours, _aiokafka)]
            yield compare(
                f"kafka_sink/{codec}",
                measure(sides, plan),
                unit="us",
                scale=1e6 / _BATCH,
                targets=[TimesBetter(0.8, "aiokafka"), AtMost(50)],
            )


def _ours(stack: ExitStack, runner: asyncio.Runner, servers: str, events: list[AuditEvent], codec: _Codec) -> Contender:
    from tenaudit.backends.kafka import KafkaSink

    sink = KafkaSink(
        servers,
        f"bench-{uuid.uuid4().hex}",
        compression=codec,
        batch_bytes=_BATCH_BYTES,
        delivery_timeout=_WITHIN,
        registry=CollectorRegistry(),
    )
    stack.callback(lambda: runner.run(sink.close()))

    async def write(batches: int) -> None:
        for _ in repeat(None, batches):
            await sink.write(events)

    return Contender("ours", lambda batches: runner.run(write(batches)), most=_MOST)


def _aiokafka(
    stack: ExitStack, runner: asyncio.Runner, servers: str, events: list[AuditEvent], codec: _Codec
) -> Contender:
    from aiokafka import AIOKafkaProducer

    from tenaudit.audit.consumer import encode_event, event_headers

    topic = f"bench-{uuid.uuid4().hex}"
    messages = [(str(event.tenant_id).encode(), encode_event(event), event_headers(event)) for event in events]

    async def started() -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=servers,
            enable_idempotence=True,
            acks="all",
            compression_type=codec,
            max_batch_size=_BATCH_BYTES,
        )
        await producer.start()
        return producer

    producer = runner.run(started())
    stack.callback(lambda: runner.run(producer.stop()))

    async def send(batches: int) -> None:
        async with asyncio.timeout(_WITHIN):
            for _ in repeat(None, batches):
                await asyncio.gather(
                    *[await producer.send(topic, value, key=key, headers=headers) for key, value, headers in messages]
                )

    return Contender("aiokafka", lambda batches: runner.run(send(batches)), most=_MOST)
