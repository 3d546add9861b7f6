"""Kafka: idempotent produce and group consume, on the broker at hand and on the mock."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tenaudit.testing.services import KafkaService, ServiceUnavailable, kafka
from tenaudit.testing.services.port import accepts

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]  # the first run fetches the jars

WITHIN = 30.0


def port_of(service: KafkaService) -> int:
    return int(service.bootstrap_servers.rpartition(":")[2])


async def produce(servers: str, topic: str, values: list[bytes]) -> list[int]:
    producer = AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True, acks="all")
    async with asyncio.timeout(WITHIN):
        await producer.start()
        try:
            return [(await producer.send_and_wait(topic, value, partition=0)).offset for value in values]
        finally:
            await producer.stop()


async def consume(servers: str, topic: str, group: str, count: int) -> list[bytes]:
    """Values of the next *count* records of *group*, committed one by one."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    values = []
    async with asyncio.timeout(WITHIN):
        await consumer.start()
        try:
            for _ in range(count):
                record = await consumer.getone()
                values.append(record.value)
                await consumer.commit({TopicPartition(topic, record.partition): record.offset + 1})
        finally:
            await consumer.stop()
    return values


def check_round_trip(servers: str) -> None:
    topic = f"services-smoke-{uuid.uuid4().hex}"

    async def round_trip():
        offsets = await produce(servers, topic, [b"a", b"b", b"c"])
        first = await consume(servers, topic, f"{topic}-group", 2)
        after_a_restart = await consume(servers, topic, f"{topic}-group", 1)
        return offsets, first, after_a_restart

    assert asyncio.run(round_trip()) == ([0, 1, 2], [b"a", b"b"], [b"c"])


def test_a_group_goes_on_where_it_committed(kafka_service):
    check_round_trip(kafka_service.bootstrap_servers)


def test_the_mock_does_the_same(monkeypatch):
    monkeypatch.delenv("TEST_KAFKA_BROKERS", raising=False)
    with kafka("mock") as service:
        assert service.kind == "mock"
        check_round_trip(service.bootstrap_servers)
    assert not accepts(port_of(service))


def test_the_mock_stands_in_where_java_is_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("TEST_KAFKA_BROKERS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with kafka() as service:
        assert service.kind == "mock"
        assert "Java" in service.note
    with pytest.raises(ServiceUnavailable, match="Java"), kafka("kraft"):
        pytest.fail("started without Java")


def test_the_block_ends_apache_kafka(monkeypatch, kafka_service):
    if kafka_service.kind != "kraft":
        pytest.skip(f"Apache Kafka is not at hand: {kafka_service.note or kafka_service.kind}")
    with kafka("kraft") as service:
        assert port_of(service) != port_of(kafka_service)
        assert accepts(port_of(service))
    assert not accepts(port_of(service))
    assert accepts(port_of(kafka_service))


def test_an_external_cluster_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("TEST_KAFKA_BROKERS", "127.0.0.1:1,127.0.0.1:2")
    with kafka() as service:
        assert service == KafkaService(bootstrap_servers="127.0.0.1:1,127.0.0.1:2", kind="external")
