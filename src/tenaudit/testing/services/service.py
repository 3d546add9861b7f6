"""What a started service hands to a test, and the one error when it cannot be had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["KafkaService", "PortTaken", "PostgresService", "RedisService", "SecuredKafka", "ServiceUnavailable"]


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
        listeners: `host:port` of each listener of a broker started here, by its name.

    Example:
        >>> KafkaService(bootstrap_servers="127.0.0.1:9092", kind="external")
        KafkaService(bootstrap_servers='127.0.0.1:9092', kind='external', version='', note='')
    """

    bootstrap_servers: str
    kind: Literal["kraft", "mock", "external"] = "kraft"
    version: str = ""
    note: str = ""
    listeners: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """An Apache Kafka that also has a listener with TLS and a password, and one with TLS and client certificates.

    Args:
        service: the broker, by its plain listener.
        sasl_servers: `host:port` of `SASL_SSL`, where *user* may log in by `PLAIN` and by `SCRAM-SHA-512`.
        mutual_servers: `host:port` of `SSL`, where a client without a certificate is turned away.
        user: who may log in.
        password: of that user; kept out of the repr.
        authority: file with the certificate, in PEM, that the broker's is signed with. That one is good for 127.0.0.1
            and for no other name.
        client: file with a certificate that the broker takes from a client, and its key.

    Example:
        >>> from pathlib import Path
        >>> plain = KafkaService(bootstrap_servers="127.0.0.1:9092")
        >>> files = Path("ca.pem"), Path("client.pem")
        >>> kafka = SecuredKafka(plain, "127.0.0.1:9093", "127.0.0.1:9094", "audit", "hidden", *files)
        >>> "hidden" in repr(kafka)
        False
    """

    service: KafkaService
    sasl_servers: str
    mutual_servers: str
    user: str
    password: str = field(repr=False)
    authority: Path
    client: Path
