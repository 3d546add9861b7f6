"""A topic that is not there, on a cluster that makes none: the sink and the consumer say which, and what to do."""

from __future__ import annotations

import logging
import os
import signal

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from prometheus_client import CollectorRegistry

from tenaudit.audit import SinkUnavailable
from tenaudit.backends.kafka import KafkaSink
from tenaudit.cli import main as command
from tenaudit.testing.conformance import an_event
from tests.faults.servers import or_skipped
from tests.unit.backends.kafka_parts import run

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

NO_TOPIC = "the cluster knows no such topic; make it, or check its name"


@pytest.fixture(scope="module")
def service():
    """Kafka as most clusters are run: nobody gets a topic by a slip of the pen."""
    from tenaudit.testing.services.kafka_kraft import kraft

    with or_skipped(kraft(makes_topics=False)) as service:
        yield service


async def make(service, topic):
    admin = AIOKafkaAdminClient(bootstrap_servers=service.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


def test_a_write_and_the_health_name_it_until_it_is_made(service):
    async def main():
        sink = KafkaSink(service.bootstrap_servers, "audit.later", registry=CollectorRegistry(), delivery_timeout=4)
        assert sink.health().problem is None
        with pytest.raises(SinkUnavailable) as caught:
            await sink.write([an_event(0)])
        assert str(caught.value) == sink.health().problem == f"Kafka topic audit.later: {NO_TOPIC}"
        await make(service, "audit.later")
        await sink.write([an_event(0)])
        assert sink.health().problem is None
        await sink.close()

    run(main())


class Killer(logging.Handler):
    """Ends this process's command at its first warning."""

    def emit(self, _record):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_consumer_notes_it_and_waits(service, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    killer = Killer(logging.WARNING)
    logging.getLogger("tenaudit.audit").addHandler(killer)
    words = ["--kafka", service.bootstrap_servers, "--topic", "audit.evnets", "--store", "sqlite:///audit.db"]
    try:
        assert command(["consume", *words]) == 0
    finally:
        logging.getLogger("tenaudit.audit").removeHandler(killer)
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "note: the consumer's Kafka topic is not there yet; make it, or check its name: audit.evnets"
