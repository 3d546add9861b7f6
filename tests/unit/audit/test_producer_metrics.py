"""The producer's metrics: what a scrape sees agrees with the account, and a metric that fails harms nobody."""

from __future__ import annotations

import asyncio
import gc
import uuid

from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.errors.instruments import counter
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))


def make(registry, sink=None, **options):
    return AuditProducer(sink or ScriptedSink(), service="orders", registry=registry, linger=0.0, **options)


def emit(producer, count):
    for _ in range(count):
        producer.emit("order.created", context=CTX)


def test_the_counters_agree_with_the_account():
    registry = CollectorRegistry()
    value = registry.get_sample_value

    async def main():
        sink = ScriptedSink()
        async with make(registry, sink, capacity=10, close_timeout=0.1) as producer:
            emit(producer, 12)
            producer.emit("Wrong", context=CTX)
            producer.emit("order.created")
            sink.error = RuntimeError()
            await sink.attempted(2)
            sink.error = None
            assert await producer.flush(30)
            sink.refuses = lambda event: True
            emit(producer, 1)
            assert await producer.flush(30)
            sink.hang()
            emit(producer, 3)
        return producer.stats()

    stats = asyncio.run(main())
    assert stats == (16, 10, 6, 2, 0, 0)
    # What was lost after it had been accepted is no second outcome of its call.
    assert value("audit_events_emitted_total", {"outcome": "accepted"}) == 14
    assert value("audit_events_emitted_total", {"outcome": "dropped"}) == 2
    assert value("audit_events_emitted_total", {"outcome": "rejected"}) == 2
    assert value("audit_events_rejected_total", {"reason": "invalid_action"}) == 1
    assert value("audit_events_rejected_total", {"reason": "no_context"}) == 1
    assert value("audit_events_dropped_total", {"reason": "queue_full"}) == 2
    assert value("audit_events_dropped_total", {"reason": "rejected_by_sink"}) == 1
    assert value("audit_events_dropped_total", {"reason": "not_delivered_at_close"}) == 3
    assert value("audit_emit_failures_total", {"sink": "ScriptedSink"}) >= 1
    assert value("audit_emit_latency_seconds_count") >= 1


def test_the_gauges_add_up_over_living_producers():
    registry = CollectorRegistry()

    def gauges():
        return [registry.get_sample_value(f"audit_queue_{name}") for name in ("depth", "capacity", "high_water")]

    first, second = make(registry, capacity=10), make(registry, capacity=5)
    emit(first, 3)
    emit(second, 2)
    assert gauges() == [5, 15, 5]
    del second
    gc.collect()
    assert gauges() == [3, 10, 3]


def test_a_metric_that_fails_fails_neither_emit_nor_delivery():
    registry = CollectorRegistry()
    # The same names without labels: every count of the producer now raises.
    for name in ("audit_events_emitted_total", "audit_events_rejected_total", "audit_events_dropped_total"):
        counter(registry, name, "An intruder.")

    async def main():
        sink = ScriptedSink()
        async with make(registry, sink, capacity=4) as producer:
            assert producer.emit("Wrong", context=CTX).status == "rejected"
            emit(producer, 5)
            assert await producer.flush(30)
            sink.refuses = lambda event: True
            emit(producer, 1)
            assert await producer.flush(30)
        assert producer.stats() == (6, 4, 2, 1, 0, 0)

    asyncio.run(main())


def test_a_flood_of_drops_is_no_flood_of_log_lines(caplog):
    producer = make(CollectorRegistry(), capacity=1)
    emit(producer, 500)
    assert len([record for record in caplog.records if record.action == "audit_events_dropped"]) <= 2
