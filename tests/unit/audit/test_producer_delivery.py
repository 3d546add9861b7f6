"""From the queue to the sink: order, retries, refusals, and a sink that breaks every rule."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import AuditProducer
from tenaudit.backends.sqlite import SqliteSink, SqliteStore
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))


def run(case, **options):
    """Run a case on a started producer; everything within a minute, and no task left behind."""
    sink = ScriptedSink()
    usual = {"linger": 0.0, "close_timeout": 5.0, "registry": CollectorRegistry()}

    async def main():
        async with AuditProducer(sink, service="orders", **usual | options) as producer:
            await case(producer, sink)
        assert balanced(producer)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(main)


def _run(main):
    async def bounded():
        async with asyncio.timeout(60):
            return await main()

    return asyncio.run(bounded())


def balanced(producer):
    stats = producer.stats()
    return stats.emitted == stats.delivered + stats.dropped + stats.spooled + stats.queued


def emit(producer, count, start=0):
    return [producer.emit("order.created", payload={"n": start + n}, context=CTX).event_id for n in range(count)]


def numbers(sink):
    return [event.payload["n"] for event in sink.events]


def test_events_arrive_in_order_with_every_field_and_gapless_numbers():
    async def case(producer, sink):
        emit(producer, 1200)
        assert await producer.flush(30)
        assert producer.stats() == (1200, 1200, 0, 0, 0, 0)
        assert [event.seq for event in sink.events] == numbers(sink) == list(range(1200))
        first = sink.events[0]
        assert (first.actor_id, first.actor_type, first.tenant_id) == ("u-1", "user", CTX.tenant_id)
        assert first.trace_id == CTX.trace.trace_id
        assert {event.producer_id for event in sink.events} == {producer.producer_id}
        assert sink.attempts == 3

    run(case)


def test_what_was_emitted_before_the_start_is_delivered():
    sink = ScriptedSink()
    producer = AuditProducer(sink, service="orders", registry=CollectorRegistry())
    emit(producer, 3)

    async def main():
        async with producer:
            pass

    _run(main)
    assert numbers(sink) == [0, 1, 2]
    assert producer.emit("order.created", context=CTX).reason == "closed"
    assert balanced(producer)


def test_a_sink_that_was_down_gets_everything_once():
    async def case(producer, sink):
        sink.down = True
        emit(producer, 5)
        await sink.attempted(2)
        emit(producer, 5, start=5)
        assert producer.stats() == (10, 0, 0, 0, 0, 10)
        assert not await producer.flush(0.01)
        sink.down = False
        assert await producer.flush(30)
        assert numbers(sink) == list(range(10))

    run(case)


def test_an_answer_that_was_lost_is_a_duplicate_in_the_store_and_nothing_more(tmp_path):
    class Forgetful(SqliteSink):
        answers = 0

        async def write(self, batch):
            await super().write(batch)
            self.answers += 1
            if self.answers < 3:
                raise ConnectionResetError

    async def main():
        store = await SqliteStore.open(tmp_path / "audit.db")
        registry = CollectorRegistry()
        async with AuditProducer(Forgetful(store), service="orders", linger=0, registry=registry) as producer:
            emit(producer, 20)
        assert producer.stats() == (20, 20, 0, 0, 0, 0)
        assert await store.count() == 20
        await store.close()

    _run(main)


def test_a_refusal_drops_only_the_named():
    async def case(producer, sink):
        sink.refuses = lambda event: event.payload["n"] in (1, 7)
        emit(producer, 10)
        assert await producer.flush(30)
        assert numbers(sink) == [0, 2, 3, 4, 5, 6, 8, 9]
        assert producer.stats() == (10, 8, 2, 0, 0, 0)
        assert sink.attempts == 2

    run(case)


def test_a_refusal_that_names_nobody_drops_only_whom_it_means():
    async def case(producer, sink):
        sink.names_refused = False
        sink.refuses = lambda event: event.payload["n"] in (1, 7)
        emit(producer, 50)
        assert await producer.flush(30)
        assert numbers(sink) == [n for n in range(50) if n not in (1, 7)]
        assert producer.stats() == (50, 48, 2, 0, 0, 0)

    run(case)


def test_a_sink_that_refuses_everything_ends_in_counted_drops():
    async def case(producer, sink):
        sink.names_refused = False
        sink.refuses = lambda event: True
        emit(producer, 64)
        assert await producer.flush(30)
        assert producer.stats() == (64, 0, 64, 0, 0, 0)
        assert sink.attempts <= 64 + 7

    run(case)


@pytest.mark.parametrize("error", [RuntimeError("bug"), asyncio.CancelledError(), TimeoutError(), KeyError(1)])
def test_a_sink_that_raises_what_it_must_not_is_a_sink_that_is_down(error):
    async def case(producer, sink):
        sink.error = error
        emit(producer, 3)
        await sink.attempted(2)
        sink.error = None
        assert await producer.flush(30)
        assert numbers(sink) == [0, 1, 2]

    run(case)


def test_a_write_that_hangs_is_ended_and_tried_again():
    async def case(producer, sink):
        sink.hang()
        emit(producer, 3)
        await sink.attempted(2)
        sink.resume()
        assert await producer.flush(30)
        assert numbers(sink) == [0, 1, 2]

    run(case, write_timeout=0.02)


def test_a_context_that_no_event_can_have_takes_no_other_event_with_it():
    wrong = [
        SecurityContext("not a uuid", Actor("u"), frozenset(), CTX.trace),
        SecurityContext(CTX.tenant_id, Actor("u\x00"), frozenset(), CTX.trace),
        SecurityContext(CTX.tenant_id, Actor("u" * 1025), frozenset(), CTX.trace),
        SecurityContext(CTX.tenant_id, Actor("\ud800"), frozenset(), CTX.trace),
        SecurityContext(CTX.tenant_id, None, frozenset(), CTX.trace),
        SecurityContext(CTX.tenant_id, Actor("u"), frozenset(), TraceContext("short", None, False)),
    ]

    async def case(producer, sink):
        emit(producer, 1)
        for context in wrong:
            producer.emit("order.created", payload={"n": -1}, context=context)
        emit(producer, 1, start=1)
        assert await producer.flush(30)
        assert numbers(sink) == [0, 1]
        assert producer.stats() == (len(wrong) + 2, 2, len(wrong), 0, 0, 0)

    run(case)


def test_a_flush_waits_for_what_was_there_and_not_for_what_comes_later():
    async def case(producer, sink):
        sink.hang()
        emit(producer, 2)
        await sink.attempted(1)
        flushing = asyncio.ensure_future(producer.flush(30))
        await asyncio.sleep(0)
        emit(producer, 3, start=2)
        sink.refuses = lambda event: sink.hang()  # the first write goes through, and the next one hangs
        sink.resume()
        assert await flushing
        assert numbers(sink) == [0, 1]
        sink.refuses = lambda event: False
        sink.resume()

    run(case, batch_size=2)


def test_a_dead_sink_is_tried_ever_less_often_even_when_everybody_hurries():
    async def case(producer, sink):
        sink.down = True
        emit(producer, 1)
        started = time.monotonic()
        while time.monotonic() - started < 0.5:
            await producer.flush(0.002)
        assert sink.attempts <= 12
        sink.down = False

    run(case)


def test_linger_gathers_and_a_full_batch_does_not_wait():
    async def case(producer, sink):
        emit(producer, 4)
        await sink.attempted(1)
        emit(producer, 2, start=4)
        assert await producer.flush(5)
        assert sink.attempts == 2
        assert numbers(sink) == list(range(6))

    run(case, batch_size=4, linger=60.0)


def test_a_producer_starts_once():
    async def case(producer, sink):
        with pytest.raises(ConfigurationError, match="already started"):
            await producer.__aenter__()
        await producer.close()
        with pytest.raises(ConfigurationError, match="closed"):
            await producer.__aenter__()
        await producer.close()
        assert sink.closed == 1

    run(case)
