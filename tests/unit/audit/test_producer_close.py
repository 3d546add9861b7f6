"""Closing: it ends, whatever the sink does, and what is left is counted."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import AuditProducer, DeliveryUnknown
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))


def start(sink, **options):
    usual = {"linger": 0.0, "close_timeout": 0.2, "registry": CollectorRegistry()}
    return AuditProducer(sink, service="orders", **usual | options)


def emit(producer, count):
    for _ in range(count):
        producer.emit("order.created", context=CTX)


def _run(main):
    async def bounded():
        async with asyncio.timeout(60):
            return await main()

    return asyncio.run(bounded())


@pytest.mark.parametrize("ill", ["down", "hang", "bug"])
def test_closing_with_a_sick_sink_ends_in_time_and_counts_what_is_left(ill):
    async def main():
        sink = ScriptedSink()
        producer = start(sink, batch_size=4)
        async with producer:
            match ill:
                case "down":
                    sink.down = True
                case "hang":
                    sink.hang()
                case "bug":
                    sink.error = RuntimeError()
            emit(producer, 10)
            await sink.attempted(1)
            started = time.monotonic()
        assert time.monotonic() - started < 0.2 + 1.5
        assert producer.stats() == (10, 0, 10, 0, 0, 0)
        assert sink.closed == 1
        assert producer.emit("order.created", context=CTX).reason == "closed"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(main)


def test_closing_meets_a_sink_that_comes_back_within_the_deadline():
    async def main():
        sink = ScriptedSink()
        async with start(sink, close_timeout=30.0) as producer:
            sink.down = True
            emit(producer, 3)
            await sink.attempted(1)
            closing = asyncio.ensure_future(producer.close())
            await sink.attempted(4)
            sink.down = False
            await closing
        assert producer.stats() == (3, 3, 0, 0, 0, 0)

    _run(main)


def test_closing_leaves_a_sink_behind_that_will_not_be_cancelled():
    async def main():
        sink = ScriptedSink()
        sink.stubborn = True
        sink.hang()
        producer = start(sink)
        await producer.__aenter__()
        emit(producer, 5)
        await sink.attempted(1)
        started = time.monotonic()
        await producer.close()
        assert time.monotonic() - started < 0.2 + 2.5
        assert producer.stats() == (5, 0, 5, 0, 0, 0)
        sink.resume()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(left, timeout=10)
        assert producer.stats() == (5, 0, 5, 0, 0, 0)

    _run(main)


def test_closing_that_is_itself_cancelled_still_counts():
    async def main():
        sink = ScriptedSink()
        sink.hang()
        producer = start(sink, close_timeout=60.0)
        await producer.__aenter__()
        emit(producer, 5)
        await sink.attempted(1)
        closing = asyncio.ensure_future(producer.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert producer.stats() == (5, 0, 5, 0, 0, 0)

    _run(main)


def test_a_delivery_that_somebody_cancelled_leaves_a_producer_that_closes():
    async def main():
        sink = ScriptedSink()
        sink.hang()
        async with start(sink) as producer:
            emit(producer, 5)
            await sink.attempted(1)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
            emit(producer, 2)
            sink.resume()
        assert producer.stats() == (7, 0, 7, 0, 0, 0)

    _run(main)


def test_closing_tells_whoever_waits_at_once():
    async def main():
        sink = ScriptedSink()
        sink.hang()
        async with start(sink) as producer:
            waiting = asyncio.ensure_future(producer.emit_durable("order.created", context=CTX, deadline=60.0))
            flushing = asyncio.ensure_future(producer.flush(60.0))
            await sink.attempted(1)
        with pytest.raises(DeliveryUnknown):
            await waiting
        assert await flushing is False

    _run(main)


def test_a_producer_that_was_never_started_closes_and_counts():
    async def main():
        sink = ScriptedSink()
        producer = start(sink)
        emit(producer, 2)
        assert not await producer.flush(0.01)
        await producer.close()
        await producer.close()
        assert producer.stats() == (2, 0, 2, 0, 0, 0)
        assert sink.closed == 1

    _run(main)


def test_a_loop_that_ended_first_leaves_emit_and_close_working():
    sink = ScriptedSink()
    producer = start(sink)

    async def main():
        await producer.__aenter__()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(asyncio.sleep(0))
    tasks = asyncio.all_tasks(loop)
    loop.close()
    assert producer.emit("order.created", context=CTX).status == "accepted"

    async def after():
        assert await producer.flush(1) is False
        await producer.close()

    _run(after)
    assert producer.stats() == (1, 0, 1, 0, 0, 0)
    for task in tasks:
        task._log_destroy_pending = False


def test_another_running_loop_is_refused():
    sink = ScriptedSink()
    producer = start(sink)

    async def other():
        for call in (producer.flush(1), producer.close(), producer.emit_durable("order.created", context=CTX)):
            with pytest.raises(ConfigurationError, match="event loop"):
                await call

    async def main():
        async with producer:
            await asyncio.to_thread(asyncio.run, other())
            emit(producer, 1)
        assert producer.stats() == (1, 1, 0, 0, 0, 0)

    _run(main)


def test_a_second_close_waits_for_the_first():
    async def main():
        sink = ScriptedSink()
        producer = start(sink, close_timeout=30.0)
        await producer.__aenter__()
        emit(producer, 10)
        first = asyncio.create_task(producer.close())
        await asyncio.sleep(0)
        await producer.close()
        assert producer.stats().delivered == 10
        assert sink.closed == 1
        await first

    _run(main)
