"""`emit_durable`: it returns when the sink has the event, and says "unknown" when nobody knows."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import AuditProducer, DeliveryUnknown, EmitRejected
from tenaudit.backends.sqlite import SqliteSink, SqliteStore
from tenaudit.security import Actor, SecurityContext, TraceContext, bind_context
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))


def run(case, **options):
    async def main():
        sink = ScriptedSink()
        usual = {"close_timeout": 0.2, "registry": CollectorRegistry()}
        async with asyncio.timeout(60):
            async with AuditProducer(sink, service="orders", **usual | options) as producer:
                with bind_context(CTX):
                    await case(producer, sink)
            stats = producer.stats()
            assert stats.emitted == stats.delivered + stats.dropped + stats.queued
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_it_returns_once_the_sink_has_the_event_without_lingering():
    async def case(producer, sink):
        result = await producer.emit_durable("order.created", resource_id="o-1")
        assert result.status == "accepted"
        assert [event.event_id for event in sink.events] == [result.event_id]

    run(case, linger=3600.0)


def test_many_at_once_share_batches():
    async def case(producer, sink):
        results = await asyncio.gather(*(producer.emit_durable("order.created") for _ in range(300)))
        assert {result.event_id for result in results} == {event.event_id for event in sink.events}
        assert sink.attempts < 10

    run(case)


def test_the_store_has_it_when_it_returns(tmp_path):
    async def main():
        store = await SqliteStore.open(tmp_path / "audit.db")
        registry = CollectorRegistry()
        async with AuditProducer(SqliteSink(store), service="orders", registry=registry) as producer:
            result = await producer.emit_durable("order.created", context=CTX)
            assert await store.get(CTX.tenant_id, result.event_id) is not None
        await store.close()

    asyncio.run(main())


def test_past_the_deadline_the_outcome_is_unknown_and_the_event_still_goes_on():
    async def case(producer, sink):
        sink.hang()
        with pytest.raises(DeliveryUnknown):
            await producer.emit_durable("order.created", deadline=0.01)
        assert producer.stats().queued == 1
        sink.resume()
        assert await producer.flush(30)
        assert len(sink.events) == 1

    run(case)


def test_a_broken_limit_a_full_queue_and_a_refusal_are_rejections():
    async def case(producer, sink):
        with pytest.raises(EmitRejected) as caught:
            await producer.emit_durable("Not An Action")
        assert caught.value.reason == "invalid_action"
        sink.refuses = lambda event: event.resource_id == "bad"
        with pytest.raises(EmitRejected) as caught:
            await producer.emit_durable("order.created", resource_id="bad")
        assert caught.value.reason == "rejected_by_sink"
        sink.hang()
        producer.emit("order.created")
        await sink.attempted(2)
        producer.emit("order.created")
        with pytest.raises(EmitRejected) as caught:
            await producer.emit_durable("order.created")
        assert caught.value.reason == "queue_full"
        sink.resume()

    run(case, capacity=1, batch_size=1, linger=0.0)


def test_a_context_that_no_event_can_have_is_a_rejection():
    async def case(producer, sink):
        wrong = SecurityContext("x", Actor("u"), frozenset(), CTX.trace)
        with pytest.raises(EmitRejected) as caught:
            await producer.emit_durable("order.created", context=wrong)
        assert caught.value.reason == "invalid_context"

    run(case)


def test_a_caller_that_gives_up_leaves_nothing_behind():
    async def case(producer, sink):
        sink.hang()
        waiting = [asyncio.ensure_future(producer.emit_durable("order.created")) for _ in range(20)]
        await sink.attempted(1)
        for task in waiting:
            task.cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
        assert not producer._task.delivery.waiters
        sink.resume()
        assert await producer.flush(30)
        assert len(sink.events) == 20

    run(case)


def test_it_outlives_an_outage_within_its_deadline():
    async def case(producer, sink):
        sink.down = True
        waiting = asyncio.ensure_future(producer.emit_durable("order.created", deadline=30.0))
        await sink.attempted(3)
        sink.down = False
        assert (await waiting).status == "accepted"

    run(case)


def test_it_needs_a_started_producer_that_is_open():
    async def main():
        producer = AuditProducer(ScriptedSink(), service="orders", registry=CollectorRegistry())
        with pytest.raises(ConfigurationError, match="entered"):
            await producer.emit_durable("order.created", context=CTX)
        async with producer:
            pass
        with pytest.raises(EmitRejected) as caught:
            await producer.emit_durable("order.created", context=CTX)
        assert caught.value.reason == "closed"

    asyncio.run(main())
