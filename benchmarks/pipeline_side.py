"""`python -m benchmarks.pipeline_side produce|consume ...`: one end of the pipeline case, a process of its own.

Addresses come in the environment: `BENCH_KAFKA`, `BENCH_TOPIC` and `BENCH_STORE`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time

from prometheus_client import CollectorRegistry

from benchmarks.audit_events import TENANTS, tenant
from tenaudit.audit import AuditProducer
from tenaudit.audit.consumer import Consumer
from tenaudit.security import Actor, SecurityContext, TraceContext

__all__ = ["main"]

_TICK = 0.01


def main(side: str, *numbers: str) -> None:
    asyncio.run(_produce(int(numbers[0]), float(numbers[1])) if side == "produce" else _consume())


async def _produce(rate: int, seconds: float) -> None:
    """Emit one event a tenant and say so; on a line of input emit *rate* a second and tell what became of all."""
    from tenaudit.backends.kafka import KafkaSink

    registry = CollectorRegistry()
    sink = KafkaSink(os.environ["BENCH_KAFKA"], os.environ["BENCH_TOPIC"], registry=registry)
    contexts = [
        SecurityContext(tenant(n), Actor(f"user-{n}"), frozenset(), TraceContext(f"{n + 1:032x}", None, False))
        for n in range(TENANTS)
    ]
    async with AuditProducer(sink, service="orders", registry=registry) as producer:
        for context in contexts:
            producer.emit("bench.ready", context=context)
        await producer.flush(30.0)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began, emitted = time.monotonic(), 0
        while emitted < rate * seconds:
            # Whoever was held up catches up: the rate is kept on the whole.
            due = min(rate * seconds, (time.monotonic() - began) * rate)
            while emitted < due:
                producer.emit(
                    "payment.processed",
                    resource_type="payment",
                    resource_id=f"p-{emitted}",
                    payload={"amount": emitted, "currency": "EUR", "method": "card"},
                    context=contexts[emitted % TENANTS],
                )
                emitted += 1
            await asyncio.sleep(_TICK)
        took = time.monotonic() - began
        await producer.flush(30.0)
        stats = producer.stats()
    print(json.dumps({"delivered": stats.delivered, "dropped": stats.dropped, "seconds": took}), flush=True)


async def _consume() -> None:
    from tenaudit.backends.kafka import KafkaSource
    from tenaudit.backends.postgres import PostgresStore

    source = KafkaSource(os.environ["BENCH_KAFKA"], os.environ["BENCH_TOPIC"], group="bench")
    async with PostgresStore.connect(os.environ["BENCH_STORE"]) as store:
        consumer = Consumer(source, store, _NoDeadLetters(), registry=CollectorRegistry())
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        running = asyncio.create_task(consumer.run())
        await told.wait()
        await consumer.stop()
        await running
    await source.close()


class _NoDeadLetters:
    async def put(self, _record: object, reason: str) -> None:
        raise RuntimeError(f"an event of the benchmark is refused: {reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
