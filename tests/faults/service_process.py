"""A service in a process of its own that emits until it is told to end, and says on its output what it was told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid

from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.backends.spool import DiskSpool
from tenaudit.security import Actor, SecurityContext, TraceContext

__all__ = ["CLOSE_TIMEOUT", "main"]

CLOSE_TIMEOUT = 2.0
_TENANTS = 3


class _Sink:
    """A `JsonlSink` that can be ill: a `slow` one takes half a second for a write, a `hung` one never ends it."""

    def __init__(self, path, state):
        self._sink, self._state = JsonlSink(path), state

    async def write(self, batch):
        if self._state == "slow":
            await asyncio.sleep(0.5)
        elif self._state == "hung":
            await asyncio.Event().wait()
        await self._sink.write(batch)

    async def close(self):
        await self._sink.close()


def say(*words):
    """Write one line that no other process of the same pipe can fall into, and no death can hold back."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def emit(producer, number):
    trace = TraceContext("a" * 32, None, sampled=False)
    context = SecurityContext(uuid.UUID(int=1 + number % _TENANTS), Actor("u-1"), frozenset(), trace)
    result = producer.emit("order.created", payload={"number": number, "pid": os.getpid()}, context=context)
    if result.event_id is not None:
        say("ok" if result.status == "accepted" else "fail", result.event_id)


async def serve(folder, state, spooled):
    """Emit until SIGTERM, then close twice at once while requests still come in."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    spool = DiskSpool(f"{folder}/spool") if spooled else None
    sink = _Sink(f"{folder}/trail.jsonl", state)
    producer = AuditProducer(
        sink,
        service="orders",
        spool=spool,
        close_timeout=CLOSE_TIMEOUT,
        batch_size=20,
        linger=0.01,
        registry=CollectorRegistry(),
    )
    async with producer:
        number = 0
        while not ending.is_set():
            emit(producer, number)
            number += 1
            if number == 100:
                say("ready")
            await asyncio.sleep(0.001)
        closing = asyncio.gather(producer.close(), producer.close())
        while not closing.done():
            emit(producer, number)
            number += 1
            await asyncio.sleep(0.01)
        await closing
    say("stats", *producer.stats())


def main():
    folder, state, spooled = sys.argv[1:]
    asyncio.run(serve(folder, state, spooled == "spool"))


if __name__ == "__main__":
    main()
