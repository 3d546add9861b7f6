"""Emitting from other threads: nothing is lost, order is kept, and a full queue makes them wait."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import defaultdict

from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))


def run(case, **options):
    async def main():
        sink = ScriptedSink()
        usual = {"linger": 0.0, "registry": CollectorRegistry()}
        async with asyncio.timeout(90):
            async with AuditProducer(sink, service="orders", **usual | options) as producer:
                await case(producer, sink)
            stats = producer.stats()
            assert stats.emitted == stats.delivered + stats.dropped + stats.queued

    asyncio.run(main())


def emit(producer, worker, count):
    return [producer.emit("order.created", payload={"w": worker, "n": n}, context=CTX) for n in range(count)]


def test_eight_threads_lose_nothing_and_keep_their_order():
    async def case(producer, sink):
        await asyncio.gather(*(asyncio.to_thread(emit, producer, worker, 1000) for worker in range(8)))
        assert await producer.flush(60)
        per_worker = defaultdict(list)
        for event in sink.events:
            per_worker[event.payload["w"]].append((event.payload["n"], event.seq))
        assert sorted(per_worker) == list(range(8))
        for seen in per_worker.values():
            assert [n for n, _ in seen] == list(range(1000))
            assert seen == sorted(seen)
        assert sorted(event.seq for event in sink.events) == list(range(8000))
        assert len({event.event_id for event in sink.events}) == 8000
        assert producer.stats() == (8000, 8000, 0, 0, 0, 0)

    run(case, capacity=10_000)


def test_a_parked_loop_is_woken_by_a_foreign_thread_every_time():
    rounds = 1500

    async def case(producer, sink):
        arrived = threading.Semaphore(0)
        sink.refuses = lambda event: arrived.release()

        def ping_pong():
            for n in range(rounds):
                producer.emit("order.created", payload={"n": n}, context=CTX)
                # The loop parks again while the next event comes: a wake-up that is lost stops everything here.
                if not arrived.acquire(timeout=20):
                    return n
            return rounds

        assert await asyncio.to_thread(ping_pong) == rounds

    run(case)


def test_two_threads_racing_for_a_parked_loop_are_both_served():
    async def case(producer, sink):
        arrived = threading.Semaphore(0)
        sink.refuses = lambda event: arrived.release()
        start = threading.Barrier(2)

        def racer():
            for _ in range(400):
                start.wait(timeout=20)
                producer.emit("order.created", context=CTX)
                if not arrived.acquire(timeout=20):
                    return False
            return True

        assert await asyncio.gather(*(asyncio.to_thread(racer) for _ in range(2))) == [True, True]

    run(case)


def test_a_full_queue_makes_a_thread_wait_until_there_is_room():
    async def case(producer, sink):
        sink.hang()
        results = asyncio.ensure_future(asyncio.to_thread(emit, producer, 0, 50))
        await sink.attempted(1)
        sink.resume()
        assert {result.status for result in await results} == {"accepted"}
        assert await producer.flush(30)
        assert [event.payload["n"] for event in sink.events] == list(range(50))

    run(case, capacity=2, batch_size=1, overflow="block", block_timeout=30.0)


def test_a_thread_that_waited_its_time_drops():
    async def case(producer, sink):
        sink.hang()
        results = await asyncio.to_thread(emit, producer, 0, 5)
        assert [result.status for result in results][-1] == "dropped"
        assert results[-1].reason == "queue_full"
        assert producer.emit("order.created", context=CTX).status == "dropped"  # here waiting would stop the delivery
        sink.resume()

    run(case, capacity=1, batch_size=1, overflow="block", block_timeout=0.01)


def test_closing_frees_threads_that_wait_for_room():
    async def case(producer, sink):
        sink.hang()
        results = asyncio.ensure_future(asyncio.to_thread(emit, producer, 0, 4))
        await sink.attempted(1)
        await producer.close()
        assert (await results)[-1].reason == "closed"

    run(case, capacity=1, batch_size=1, overflow="block", block_timeout=60.0, close_timeout=0.1)
