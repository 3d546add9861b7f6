"""The Kafka that this machine can run: Apache Kafka where it can be had, else a mock cluster."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

from tenaudit.testing.services.port import free_port
from tenaudit.testing.services.service import KafkaService, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["KafkaChoice", "kafka"]

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
