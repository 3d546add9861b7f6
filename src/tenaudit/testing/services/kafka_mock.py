"""librdkafka's in-process mock cluster: real sockets and wire protocol, no storage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tenaudit._kernel.extras import MissingExtra
from tenaudit.testing.services.service import KafkaService, ServiceUnavailable

try:
    from confluent_kafka import KafkaException, Producer, libversion
except ImportError as error:
    raise MissingExtra("testing", "confluent-kafka") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["mock_kafka"]

_METADATA_WITHIN = 10.0


@contextmanager
def mock_kafka(*, note: str = "") -> Iterator[KafkaService]:
    """Run a one-broker mock cluster on 127.0.0.1 inside this process.

    It speaks idempotent produce, consumer groups and offset commits. Restarts, retention, compaction and disk
    faults cannot be had from it.

    Args:
        note: why a mock is used, repeated on the service.

    Raises:
        ServiceUnavailable: the cluster does not answer.
    """
    # The cluster lives as long as the client that made it.
    owner = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    try:
        try:
            brokers = owner.list_topics(timeout=_METADATA_WITHIN).brokers.values()
        except KafkaException as error:
            raise ServiceUnavailable(f"the mock Kafka cluster does not answer: {error}") from error
        servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        yield KafkaService(bootstrap_servers=servers, kind="mock", version=libversion()[0], note=note)
    finally:
        owner.close()
