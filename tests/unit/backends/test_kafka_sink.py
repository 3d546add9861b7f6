"""The Kafka sink on a broker: what is on the topic, in which order, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from prometheus_client import CollectorRegistry

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import AuditEvent, SinkRejected, SinkUnavailable
from tenaudit.audit.consumer import decode_event
from tenaudit.backends.kafka import KafkaSecurity, KafkaSink
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance import SinkConformance, an_event
from tests.unit.backends.kafka_parts import alone, new_topic, records_on, run

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]


def sink_on(service, topic, **options):
    return KafkaSink(service.bootstrap_servers, topic, registry=CollectorRegistry(), **options)


class TestKafkaSink(SinkConformance):
    @pytest.fixture(autouse=True)
    def broker(self, kafka_service):
        self.service = kafka_service

    async def open_sink(self, folder):
        self.topic = await new_topic(self.service)
        return sink_on(self.service, self.topic, delivery_timeout=20)

    async def stored(self, sink, folder):
        return [AuditEvent.model_validate_json(record.value) for record in await records_on(self.service, self.topic)]


def test_a_record_is_the_wire_form_under_its_tenant_with_format_and_trace(kafka_service):
    event = an_event(1, payload={"text": "é\n"})

    async def main():
        topic = await new_topic(kafka_service)
        sink = sink_on(kafka_service, topic)
        await sink.write([event, an_event(2, trace_id=None)])
        await sink.close()
        return await records_on(kafka_service, topic)

    record, untraced = run(main())
    assert record.key == str(event.tenant_id).encode()
    assert json.loads(record.value) == event.record()
    headers = dict(record.headers)
    assert headers["content-type"] == b"application/vnd.tenaudit.event+json; version=1"
    assert headers["traceparent"].decode() == f"00-{event.trace_id}-{event.event_id.hex[16:]}-00"
    assert decode_event(record.value, record.headers) == event
    assert [name for name, _ in untraced.headers] == ["content-type"]


@pytest.mark.parametrize("compression", ["lz4", "gzip", "snappy", "zstd", None])
def test_each_tenant_keeps_its_order_over_partitions_and_batches(kafka_service, compression):
    tenants = [uuid.UUID(int=n) for n in range(7)]
    events = [an_event(n, tenant_id=tenants[n % 7]) for n in range(700)]

    async def main():
        topic = await new_topic(kafka_service, partitions=4)
        sink = sink_on(kafka_service, topic, batch_bytes=4096, compression=compression)
        for start in range(0, 700, 100):
            await sink.write(events[start : start + 100])
        await sink.close()
        return await records_on(kafka_service, topic)

    records = run(main())
    kept = [decode_event(record.value, record.headers) for record in records]
    for tenant in tenants:
        assert [event for event in kept if event.tenant_id == tenant] == events[tenants.index(tenant) :: 7]
    assert len({record.partition for record in records}) > 1
    for tenant in tenants:
        assert len({record.partition for record in records if record.key == str(tenant).encode()}) == 1


def test_a_tenant_is_on_the_partition_that_other_producers_choose(kafka_service):
    from aiokafka import AIOKafkaProducer

    async def main():
        topic = await new_topic(kafka_service, partitions=5)
        sink = sink_on(kafka_service, topic)
        events = [an_event(n, tenant_id=uuid.UUID(int=n)) for n in range(10)]
        await sink.write(events)
        await sink.close()
        async with AIOKafkaProducer(bootstrap_servers=kafka_service.bootstrap_servers) as producer:
            for event in events:
                await producer.send_and_wait(topic, b"x", key=str(event.tenant_id).encode())
        return await records_on(kafka_service, topic)

    places = {}
    for record in run(main()):
        places.setdefault(record.key, set()).add(record.partition)
    assert len(places) == 10
    assert all(len(partitions) == 1 for partitions in places.values())


def test_an_event_that_the_topic_does_not_take_is_refused_alone(kafka_service):
    if kafka_service.kind == "mock":
        pytest.skip("the mock takes messages of any size")
    noise = [os.urandom(30_000).hex(), os.urandom(40_000).hex()]
    events = [an_event(n, payload={"noise": noise[n % 2]} if n in (3, 8) else {"n": n}) for n in range(12)]

    async def main():
        topic = await new_topic(kafka_service, max_message_bytes=20_000)
        sink = sink_on(kafka_service, topic, delivery_timeout=20)
        with pytest.raises(SinkRejected) as refusal:
            await sink.write(events)
        rest = [event for event in events if event.event_id not in refusal.value.event_ids]
        await sink.write(rest)
        await sink.close()
        return refusal.value, rest, await records_on(kafka_service, topic)

    refusal, rest, records = run(main())
    assert refusal.event_ids == {events[3].event_id, events[8].event_id}
    assert refusal.reason == "too_large"
    first_arrivals = list(dict.fromkeys(decode_event(record.value).event_id for record in records))
    assert first_arrivals == [event.event_id for event in rest]


def test_a_batch_that_is_too_large_as_a_whole_is_sent_in_smaller_ones(kafka_service):
    if kafka_service.kind == "mock":
        pytest.skip("the mock takes messages of any size")
    registry = CollectorRegistry()
    events = [an_event(n, payload={"noise": os.urandom(500).hex()}) for n in range(60)]

    async def main():
        topic = await new_topic(kafka_service, max_message_bytes=20_000)
        sink = KafkaSink(kafka_service.bootstrap_servers, topic, registry=registry, delivery_timeout=20)
        await sink.write(events)
        rebuilt = registry.get_sample_value("audit_kafka_producer_rebuilds_total", {"reason": "too_large"})
        await sink.write(events[:40])
        await sink.close()
        return rebuilt, await records_on(kafka_service, topic)

    rebuilt, records = run(main())
    assert [decode_event(record.value) for record in records] == events + events[:40]
    assert rebuilt >= 1
    # It has learned: the second write needed no other try.
    assert registry.get_sample_value("audit_kafka_producer_rebuilds_total", {"reason": "too_large"}) == rebuilt


def test_a_message_over_the_own_limit_is_refused_before_anything_is_sent(kafka_service):
    async def main():
        topic = await new_topic(kafka_service)
        sink = sink_on(kafka_service, topic, max_event_bytes=2000)
        with pytest.raises(SinkRejected, match="too_large") as refusal:
            await sink.write([an_event(0), an_event(1, payload={"a": "x" * 2000})])
        await sink.close()
        assert refusal.value.event_ids == {an_event(1).event_id}
        return await records_on(kafka_service, topic)

    assert run(main()) == []


def test_a_closed_sink_is_unavailable_and_one_that_never_wrote_closes(kafka_service):
    async def main():
        sink = sink_on(kafka_service, "audit.events")
        await sink.close()
        await sink.close()
        with pytest.raises(SinkUnavailable, match="closed"):
            await sink.write([an_event(0)])

    run(main())


def test_a_sink_goes_on_on_another_loop(kafka_service):
    async def first():
        topic = await new_topic(kafka_service)
        sink = sink_on(kafka_service, topic)
        await sink.write([an_event(0)])
        return sink, topic

    async def second(sink, topic):
        await sink.write([an_event(1)])
        await sink.close()
        return await records_on(kafka_service, topic)

    # Its producer of the first loop lives until that loop's connections are dropped.
    with asyncio.Runner() as runner:
        sink, topic = runner.run(first())
        records = run_in_thread(second(sink, topic))
        assert [json.loads(record.value)["seq"] for record in records] == [0, 1]


def test_many_events_that_the_topic_does_not_take_are_all_told_in_the_end(kafka_service):
    if kafka_service.kind == "mock":
        pytest.skip("the mock takes messages of any size")
    events = [an_event(n, payload={"noise": os.urandom(2_000).hex()}) for n in range(60)]

    async def main():
        topic = await new_topic(kafka_service, max_message_bytes=1000)
        # Each costs a producer, so one write has no time for all; on a busy machine it has none for a single one.
        sink = sink_on(kafka_service, topic, delivery_timeout=0.5)
        left, writes = [*events, an_event(100)], 0
        while left:
            writes += 1
            try:
                await sink.write(left)
                left = []
            except SinkRejected as refusal:
                left = [event for event in left if event.event_id not in refusal.event_ids]
                told.extend(refusal.event_ids)
            except SinkUnavailable:
                pass
        await sink.close()
        return writes, await records_on(kafka_service, topic)

    told = []
    writes, records = run(main())
    assert writes > 1
    assert sorted(told) == [event.event_id for event in events]
    assert {decode_event(record.value).seq for record in records} == {100}


def test_a_sink_that_never_reached_a_broker_closes_on_another_loop():
    async def first():
        sink = KafkaSink("127.0.0.1:1", registry=CollectorRegistry())
        with pytest.raises(SinkUnavailable):
            await sink.write([an_event(0)])
        await alone()
        return sink

    run(run(first()).close())


def test_a_sink_closes_on_another_loop_and_leaves_its_producer_there(kafka_service):
    async def first():
        sink = sink_on(kafka_service, await new_topic(kafka_service))
        await sink.write([an_event(0)])
        return sink

    with asyncio.Runner() as runner:
        sink = runner.run(first())
        run_in_thread(sink.close())
        with pytest.raises(SinkUnavailable, match="closed"):
            runner.run(sink.write([an_event(1)]))


def run_in_thread(main):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run, main).result(60)


def test_health_tells_when_events_last_arrived(kafka_service):
    clock = ManualClock(start=1000.0)
    registry = CollectorRegistry()

    async def main():
        sink = KafkaSink(
            kafka_service.bootstrap_servers, await new_topic(kafka_service), clock=clock, registry=registry
        )
        before = sink.health()
        await sink.write([an_event(0)])
        clock.advance(500)
        after = sink.health()
        await sink.close()
        return before, after

    before, after = run(main())
    assert (before.flowing, before.delivered_at, before.waiting_for) == (True, None, 0.0)
    assert (after.flowing, after.delivered_at, after.waiting_for) == (True, 1000.0, 0.0)
    assert registry.get_sample_value("audit_kafka_last_delivery_timestamp_seconds") == 1000.0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"bootstrap_servers": ""}, "bootstrap_servers"),
        ({"bootstrap_servers": []}, "bootstrap_servers"),
        ({"topic": "no spaces"}, "topic"),
        ({"topic": ".."}, "topic"),
        ({"topic": "a\n"}, "topic"),
        ({"delivery_timeout": 0}, "delivery_timeout"),
        ({"close_timeout": -1}, "close_timeout"),
        ({"batch_bytes": 0}, "batch_bytes"),
        ({"max_event_bytes": 0}, "max_event_bytes"),
        ({"compression": "brotli"}, "compression"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(options, told):
    with pytest.raises(ConfigurationError, match=told):
        KafkaSink(**{"bootstrap_servers": "127.0.0.1:9092"} | options)


def test_a_compression_without_its_library_names_it(monkeypatch):
    monkeypatch.setattr("aiokafka.codec.cramjam", None)
    with pytest.raises(ConfigurationError, match="cramjam"):
        KafkaSink("127.0.0.1:9092", compression="zstd")


def test_security_that_cannot_work_is_refused_and_secrets_are_not_shown():
    with pytest.raises(ConfigurationError, match="protocol"):
        KafkaSecurity("TLS")
    with pytest.raises(ConfigurationError, match="ssl_context"):
        KafkaSecurity("SASL_SSL")
    for mechanism, told in (
        ("DIGEST-MD5", "sasl_mechanism must be one of PLAIN, .*, not 'DIGEST-MD5'"),
        ("PLAIN", "PLAIN needs a username"),
        ("SCRAM-SHA-512", "SCRAM-SHA-512 needs a username"),
        ("OAUTHBEARER", "OAUTHBEARER needs a token_provider"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            KafkaSecurity("SASL_PLAINTEXT", sasl_mechanism=mechanism, password="hidden")
    with pytest.raises(ConfigurationError, match="PLAIN needs a password"):
        KafkaSecurity("SASL_PLAINTEXT", username="u")
    assert "hidden" not in repr(KafkaSecurity("SASL_PLAINTEXT", username="u", password="hidden"))


def test_credentials_reach_the_broker(kafka_service):
    if kafka_service.kind == "mock":
        pytest.skip("the mock knows no SASL")

    async def main():
        security = KafkaSecurity("SASL_PLAINTEXT", username="audit", password="hidden")
        sink = sink_on(kafka_service, "audit.events", security=security, delivery_timeout=3)
        # This broker takes plain connections only, and says so to one that wants to log in.
        with pytest.raises(SinkUnavailable, match="the port is one without SASL"):
            await sink.write([an_event(0)])
        await sink.close()

    run(main())


def test_what_nobody_validated_is_refused_and_named_where_it_can_be():
    far = an_event(0).model_copy(update={"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))})

    async def main():
        # Before any broker is asked: nobody listens there.
        sink = KafkaSink("127.0.0.1:1", registry=CollectorRegistry())
        nameless = AuditEvent.model_construct()
        for batch, named in (([far, nameless], {far.event_id}), ([nameless], set())):
            with pytest.raises(SinkRejected) as caught:
                await sink.write(batch)
            assert caught.value.event_ids == named
        await sink.close()

    run(main())
