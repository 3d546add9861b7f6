"""Row 21: a Kafka producer that is up and forwards nothing is told within ten seconds and replaced."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka.producer.sender import Sender
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.audit.consumer import decode_event
from tenaudit.backends.kafka import KafkaSink
from tenaudit.testing.ledger import Ledger
from tests.faults.figures import show
from tests.faults.tier import rounds
from tests.faults.traffic import Traffic
from tests.unit.backends.kafka_parts import alone, eventually, new_topic, records_on, run

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(300)]

READY_WITHIN = 10.0


def senders():
    """The tasks of aiokafka that send; whoever cancels all tasks of a loop meets them too."""
    return [task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "Sender._sender_routine"]


def rebuilds(registry):
    family = "audit_kafka_producer_rebuilds"
    return sum(
        sample.value
        for metric in registry.collect()
        if metric.name == family
        for sample in metric.samples
        if sample.name == f"{family}_total"
    )


async def flows(producer, sink, traffic):
    """A fresh event arrives, and the sink says so."""
    traffic.emit()
    assert await producer.flush(30)
    assert sink.health().flowing
    assert sink.health().waiting_for == 0


def judged(ledger, records):
    events = [decode_event(record.value, record.headers) for record in records]
    verdict = ledger.settle({event.event_id for event in events})
    assert verdict.holds, str(verdict)
    assert len(verdict.stored) == len(ledger)
    orders = {}
    for event in events:
        orders.setdefault(event.tenant_id, {}).setdefault(event.seq)
    assert all(list(order) == sorted(order) for order in orders.values())


def test_a_sender_that_lives_and_sends_nothing_is_told_and_replaced(kafka_service, monkeypatch, capsys):
    ledger, registry = Ledger(), CollectorRegistry()

    async def stuck(self, *_):
        await asyncio.Event().wait()

    async def main():
        topic = await new_topic(kafka_service)
        # Its own default deadlines: what a service gets that sets none.
        sink = KafkaSink(kafka_service.bootstrap_servers, topic, registry=registry)
        async with AuditProducer(sink, service="orders", registry=registry) as producer:
            traffic = Traffic(producer, ledger.note)
            await flows(producer, sink, traffic)
            with monkeypatch.context() as patch:
                patch.setattr(Sender, "_send_produce_req", stuck)
                began = time.monotonic()
                traffic.emit(10)
                await eventually(lambda: sink.health().waiting_for > 1)
                # Alive to everyone who only asks whether it runs, for all_tasks leaves out what has ended.
                assert senders()
                await eventually(lambda: not sink.health().flowing)
                told_after = time.monotonic() - began
                assert registry.get_sample_value("audit_queue_depth") <= 10
                await eventually(lambda: rebuilds(registry) >= 1)
            await flows(producer, sink, traffic)
        await alone()
        return told_after, await records_on(kafka_service, topic)

    told_after, records = run(main())
    show(capsys, f"not ready after {told_after:.1f} s")
    assert told_after < READY_WITHIN
    judged(ledger, records)
    assert registry.get_sample_value("audit_emit_failures_total", {"sink": "KafkaSink"}) >= 1


def test_a_sender_that_somebody_cancels_while_events_flow_is_replaced_at_once(kafka_service):
    ledger, registry = Ledger(), CollectorRegistry()

    async def main():
        topic = await new_topic(kafka_service, partitions=2)
        sink = KafkaSink(kafka_service.bootstrap_servers, topic, registry=registry)
        async with AuditProducer(sink, service="orders", registry=registry, linger=0.005) as producer:
            traffic = Traffic(producer, ledger.note)
            await flows(producer, sink, traffic)
            for turn in range(rounds(3, 50)):
                flowing = asyncio.ensure_future(traffic.flow(0.3, 500))
                await asyncio.wait({flowing}, timeout=0.1)
                for task in senders():
                    task.cancel()
                began = time.monotonic()
                await flowing
                await flows(producer, sink, traffic)
                assert time.monotonic() - began < READY_WITHIN
                assert rebuilds(registry) >= turn + 1
        await alone()
        return await records_on(kafka_service, topic)

    judged(ledger, run(main()))
