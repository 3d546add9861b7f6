"""Real PostgreSQL, Redis and Kafka for tests, with no container and no root.

Each context manager starts one server on a free port of 127.0.0.1 with its own temporary folder, returns once the
server answers its own protocol, and stops it when the block ends:

    with redis() as service:
        client = Redis.from_url(service.url)

`TEST_DATABASE_URL`, `TEST_REDIS_URL` and `TEST_KAFKA_BROKERS` name servers that already run.
"""

from __future__ import annotations

from tenaudit.testing.services.available import Availability, availability
from tenaudit.testing.services.kafka_broker import KafkaChoice, kafka, restartable_kraft, secured_kraft
from tenaudit.testing.services.lazy import LazyServices
from tenaudit.testing.services.postgresql import postgres, restartable_postgres
from tenaudit.testing.services.redis_server import redis
from tenaudit.testing.services.restartable import Restartable
from tenaudit.testing.services.service import (
    KafkaService,
    PortTaken,
    PostgresService,
    RedisService,
    SecuredKafka,
    ServiceUnavailable,
)

__all__ = [
    "Availability",
    "KafkaChoice",
    "KafkaService",
    "LazyServices",
    "PortTaken",
    "PostgresService",
    "RedisService",
    "Restartable",
    "SecuredKafka",
    "ServiceUnavailable",
    "availability",
    "kafka",
    "postgres",
    "redis",
    "restartable_kraft",
    "restartable_postgres",
    "secured_kraft",
]
