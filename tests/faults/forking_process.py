"""A server that forks its workers while it emits itself, as one with preloading does; each says what it was told."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
import traceback
import uuid

from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.security import Actor, SecurityContext, TraceContext

__all__ = ["main"]

_CONTEXT = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, sampled=False))
_THREADS = 2
_EACH = 150


def say(*words):
    """Write one line that no other process of the same pipe can fall into, and no death can hold back."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def emit(producer):
    result = producer.emit("order.created", payload={"pid": os.getpid()}, context=_CONTEXT)
    say("ok" if result.status == "accepted" else "fail", result.event_id)


def emit_until(producer, enough):
    """Emit on a thread of the parent, so that a fork may fall into any moment of it."""
    while not enough.is_set():
        emit(producer)
        time.sleep(0.0005)


async def work(producer):
    """Be a worker: emit from threads and from the loop at once, then end in good order."""
    async with producer:
        threads = [asyncio.to_thread(lambda: [emit(producer) for _ in range(_EACH)]) for _ in range(_THREADS)]
        waiting = asyncio.gather(*threads)
        for _ in range(_EACH):
            emit(producer)
            await asyncio.sleep(0)
        await waiting
        assert await producer.flush(30)
    say("stats", producer.producer_id, *producer.stats())


def fork_worker(producer):
    """Fork a worker and return its process id; the worker's own life ends in here."""
    pid = os.fork()
    if pid == 0:
        try:
            emit(producer)
            asyncio.run(work(producer))
        except BaseException:  # noqa: BLE001 - a worker must not go on as a second parent
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def main():
    path, workers, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    chance = random.Random(seed)
    producer = AuditProducer(JsonlSink(path), service="orders", linger=0.005, registry=CollectorRegistry())
    loop = asyncio.new_event_loop()
    serving = threading.Thread(target=loop.run_forever, daemon=True)
    serving.start()

    def on_loop(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    pids = [fork_worker(producer)]  # before it was ever entered
    on_loop(producer.__aenter__())
    enough = threading.Event()
    emitting = [threading.Thread(target=emit_until, args=(producer, enough)) for _ in range(_THREADS)]
    for thread in emitting:
        thread.start()
    for _ in range(workers - 1):
        time.sleep(chance.uniform(0, 0.02))
        pids.append(fork_worker(producer))
    states = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    enough.set()
    for thread in emitting:
        thread.join(30)
    emit(producer)
    on_loop(producer.flush(30))
    on_loop(producer.close())
    say("stats", producer.producer_id, *producer.stats())
    loop.call_soon_threadsafe(loop.stop)
    serving.join(30)
    sys.exit(any(states))


if __name__ == "__main__":
    main()
