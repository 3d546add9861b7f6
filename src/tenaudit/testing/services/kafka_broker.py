"""The Kafka that this machine can run: Apache Kafka where it can be had, else a mock cluster."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

from tenaudit.testing.services.port import free_port, kept_port
from tenaudit.testing.services.service import KafkaService, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenaudit.testing.services.restartable import Restartable
    from tenaudit.testing.services.service import SecuredKafka

__all__ = ["KafkaChoice", "kafka", "restartable_kraft", "secured_kraft"]

KafkaChoice = Literal["auto", "kraft", "mock"]


@contextmanager
def kafka(choice: KafkaChoice = "auto", *, pick_port: Callable[[], int] = free_port) -> Iterator[KafkaService]:
    """Run a one-broker Kafka on a free port of 127.0.0.1.

    With `TEST_KAFKA_BROKERS` set that cluster is used and nothing is started.

    Args:
        choice: "kraft" is Apache Kafka or an error; "mock" is librdkafka's mock cluster; "auto" is the first
            and, where it cannot be had, the second, with the reason in `KafkaService.note`.
        pick_port: chooses Apache Kafka's port; asked again when another process was faster.

    Raises:
        MissingExtra: `confluent-kafka` is not installed.
        ServiceUnavailable: no such broker can be had.
    """
    if brokers := os.environ.get("TEST_KAFKA_BROKERS"):
        yield KafkaService(bootstrap_servers=brokers, kind="external")
        return
    with ExitStack() as stack:
        yield _enter(stack, choice, pick_port)


@contextmanager
def restartable_kraft(*, pick_port: Callable[[], int] = kept_port) -> Iterator[Restartable[KafkaService]]:
    """Run an Apache Kafka of one's own that may be killed: what it has acknowledged is there after the next start.

    A start takes some seconds. Topics are made on first use, with one partition; session timeouts of groups may be as
    low as one second. `TEST_KAFKA_BROKERS` changes nothing here.

    Args:
        pick_port: chooses a port that stays free while the broker is down; asked again when another process was
            faster.

    Raises:
        MissingExtra: `confluent-kafka` is not installed.
        ServiceUnavailable: Java or the jars cannot be had, or the broker does not start.
    """
    from tenaudit.testing.services.kafka_kraft import killable_kraft  # noqa: PLC0415 - needs confluent-kafka

    with killable_kraft(pick_port=pick_port) as server:
        yield server


@contextmanager
def secured_kraft(*, pick_port: Callable[[], int] = free_port) -> Iterator[SecuredKafka]:
    """Run an Apache Kafka of one's own with TLS, passwords and client certificates, which are made for it alone.

    `TEST_KAFKA_BROKERS` changes nothing here.

    Args:
        pick_port: chooses the port of the plain listener; asked again when another process was faster.

    Raises:
        MissingExtra: `confluent-kafka` or `cryptography` is not installed.
        ServiceUnavailable: Java or the jars cannot be had, or the broker does not start.
    """
    from tenaudit.testing.services.kafka_secured import secured  # noqa: PLC0415 - needs both

    with secured(pick_port=pick_port) as server:
        yield server


def _enter(stack: ExitStack, choice: KafkaChoice, pick_port: Callable[[], int]) -> KafkaService:
    # Both need confluent-kafka, which an external cluster does not.
    from tenaudit.testing.services.kafka_kraft import kraft  # noqa: PLC0415 - see above
    from tenaudit.testing.services.kafka_mock import mock_kafka  # noqa: PLC0415 - see above

    if choice == "mock":
        return stack.enter_context(mock_kafka())
    try:
        return stack.enter_context(kraft(pick_port=pick_port))
    except ServiceUnavailable as error:
        if choice == "kraft":
            raise
        return stack.enter_context(mock_kafka(note=str(error)))
