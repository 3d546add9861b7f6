"""The pytest plugin: fixtures for real services, and a closing line that says which of them were used.

An absent service skips the test, with the reason; with `TENAUDIT_REQUIRE_SERVICES=1` it fails it, and a mock Kafka
does not count as Kafka unless `TENAUDIT_KAFKA=mock` asks for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

from tenaudit._kernel.extras import MissingExtra

try:
    import pytest
except ImportError as error:
    raise MissingExtra("testing", "pytest") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenaudit._kernel.error import TenauditError
    from tenaudit.testing.services import (
        KafkaChoice,
        KafkaService,
        LazyServices,
        PostgresService,
        RedisService,
    )

__all__ = ["kafka_service", "postgres_service", "redis_service", "tenaudit_services"]

_USED = pytest.StashKey[dict[str, str]]()
_WORKER_KEY = "tenaudit_services"
_NOT_STARTED = "not started"


def _required() -> bool:
    return os.environ.get("TENAUDIT_REQUIRE_SERVICES") == "1"


def _kafka_choice() -> KafkaChoice:
    match os.environ.get("TENAUDIT_KAFKA", ""):
        case "":
            return "kraft" if _required() else "auto"
        case "auto" | "kraft" | "mock" as choice:
            return choice
        case other:
            raise pytest.UsageError(f"TENAUDIT_KAFKA is {other!r}; it may be auto, kraft or mock")


def _absent(error: TenauditError) -> NoReturn:
    if _required():
        pytest.fail(f"TENAUDIT_REQUIRE_SERVICES=1, but: {error}", pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def tenaudit_services(pytestconfig: pytest.Config) -> Iterator[LazyServices]:
    """PostgreSQL, Redis and Kafka by attribute; each starts on first use and stops with the session."""
    from tenaudit.testing.services import LazyServices  # noqa: PLC0415 - a plug-in loads nothing unasked

    with LazyServices(kafka_choice=_kafka_choice(), on_absent=_absent) as services:
        yield services
        _note(pytestconfig, services.used())


@pytest.fixture(scope="session")
def postgres_service(tenaudit_services: LazyServices) -> PostgresService:
    """A PostgreSQL server, shared by the session: work in a schema of your own."""
    return tenaudit_services.postgres


@pytest.fixture(scope="session")
def redis_service(tenaudit_services: LazyServices) -> RedisService:
    """A Redis server, shared by the session: use a key prefix of your own."""
    return tenaudit_services.redis


@pytest.fixture(scope="session")
def kafka_service(tenaudit_services: LazyServices) -> KafkaService:
    """A Kafka cluster, shared by the session: use topics and groups of your own."""
    return tenaudit_services.kafka


def pytest_report_header() -> str:
    """Say what could run here; nothing is started."""
    from tenaudit.testing.services import availability  # noqa: PLC0415 - a plug-in loads nothing unasked

    return f"tenaudit services: {availability().line()}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's account of its services to the process that prints the summary."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_WORKER_KEY] = session.config.stash.get(_USED, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a pytest-xdist worker has used."""
    _note(node.config, getattr(node, "workeroutput", {}).get(_WORKER_KEY, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which services the tests really used, when they asked for any."""
    if used := config.stash.get(_USED, None):
        words = ", ".join(f"{name} {word}" for name, word in used.items())
        terminalreporter.write_line(f"tenaudit services: {words}")


def _note(config: pytest.Config, used: dict[str, str]) -> None:
    """Merge *used* into what is known; workers that did not start a service do not hide one that did."""
    known = config.stash.setdefault(_USED, {})
    for name, word in used.items():
        words = {known.get(name, _NOT_STARTED), word} - {_NOT_STARTED}
        known[name] = " + ".join(sorted(words)) or _NOT_STARTED
