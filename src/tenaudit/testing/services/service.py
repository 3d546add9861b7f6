"""What a started service hands to a test, and the one error when it cannot be had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tenaudit._kernel.error import TenauditError

__all__ = ["KafkaService", "PortTaken", "PostgresService", "RedisService", "ServiceUnavailable"]


class ServiceUnavailable(TenauditError):  # noqa: N818 - reads as a fact where it is raised
    """A service that a test asked for cannot run here; the message says how to mend it."""


class PortTaken(ServiceUnavailable):
    """Another process took the port between the choice and the server's bind."""


@dataclass(frozen=True, slots=True)
class PostgresService:
    """A PostgreSQL server that answers queries.

    Args:
        dsn: `postgresql://user:password@host:port/database`; kept out of the repr for its password.
        kind: "real" when started here, "external" when `TEST_DATABASE_URL` named it.
        version: the server's own word, such as "18.1"; empty for an external server, which is not asked.

    Example:
        >>> PostgresService(dsn="postgresql://app:hidden@127.0.0.1/app", kind="external")
        PostgresService(kind='external', version='')
    """

    dsn: str = field(repr=False)
    kind: Literal["real", "external"] = "real"
    version: str = ""


@dataclass(frozen=True, slots=True)
class RedisService:
    """A Redis server that answers PING.

    Args:
        url: `redis://host:port/0`; kept out of the repr, as an external one may carry a password.
        kind: "real" when started here, "external" when `TEST_REDIS_URL` named it.
        version: the server's own word, such as "6.2.14"; empty for an external server.

    Example:
        >>> RedisService(url="redis://127.0.0.1:6379/0", kind="external").url
        'redis://127.0.0.1:6379/0'
    """

    url: str = field(repr=False)
    kind: Literal["real", "external"] = "real"
    version: str = ""


@dataclass(frozen=True, slots=True)
class KafkaService:
    """A Kafka cluster of one broker that answers metadata requests.

    Args:
        bootstrap_servers: comma-separated `host:port`.
        kind: "kraft" for Apache Kafka started here, "mock" for librdkafka's in-process cluster, which keeps
            nothing on disk and knows no transactions log, "external" when `TEST_KAFKA_BROKERS` named it.
        version: of Apache Kafka or of librdkafka; empty for an external cluster.
        note: why a mock stands in for the real broker; empty otherwise.

    Example:
        >>> KafkaService(bootstrap_servers="127.0.0.1:9092", kind="external")
        KafkaService(bootstrap_servers='127.0.0.1:9092', kind='external', version='', note='')
    """

    bootstrap_servers: str
    kind: Literal["kraft", "mock", "external"] = "kraft"
    version: str = ""
    note: str = ""
