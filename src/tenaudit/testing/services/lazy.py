"""Services that start when first asked for and stop together."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

from tenaudit._kernel.extras import MissingExtra
from tenaudit.testing.services.kafka_broker import kafka
from tenaudit.testing.services.postgresql import postgres
from tenaudit.testing.services.redis_server import redis
from tenaudit.testing.services.service import KafkaService, PostgresService, RedisService, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tenaudit._kernel.error import TenauditError
    from tenaudit.testing.services.kafka_broker import KafkaChoice

__all__ = ["LazyServices"]

_Service = TypeVar("_Service", PostgresService, RedisService, KafkaService)


def _told(fact: str, why: str) -> str:
    """*fact*, with the first line of *why* when there is one."""
    return f"{fact} ({why.splitlines()[0]})" if why else fact


def _raise(error: TenauditError) -> NoReturn:
    raise error


class LazyServices:
    """At most one of each service, started on first use and kept until the block ends.

    A service that could not start is not tried again: each later use reports the same error.

    Args:
        kafka_choice: as in `kafka`.
        on_absent: called with the error of a service that cannot run, instead of raising it; must not return.

    Example:
        >>> with LazyServices() as services:
        ...     services.used()
        {'postgres': 'not started', 'redis': 'not started', 'kafka': 'not started'}
    """

    def __init__(
        self,
        *,
        kafka_choice: KafkaChoice = "auto",
        on_absent: Callable[[TenauditError], NoReturn] = _raise,
    ) -> None:
        self._kafka_choice = kafka_choice
        self._on_absent = on_absent
        self._stack = ExitStack()
        self._started: dict[str, PostgresService | RedisService | KafkaService] = {}
        self._absent: dict[str, TenauditError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def postgres(self) -> PostgresService:
        """The PostgreSQL server."""
        return self._service("postgres", PostgresService, postgres)

    @property
    def redis(self) -> RedisService:
        """The Redis server."""
        return self._service("redis", RedisService, redis)

    @property
    def kafka(self) -> KafkaService:
        """The Kafka cluster."""
        return self._service("kafka", KafkaService, lambda: kafka(self._kafka_choice))

    def stop(self) -> None:
        """Stop what was started, the last one first."""
        self._stack.close()

    def used(self) -> dict[str, str]:
        """What each service turned out to be: "real 18.1", "not started", "unavailable (why)" and so on."""
        return {name: self._word(name) for name in ("postgres", "redis", "kafka")}

    def _word(self, name: str) -> str:
        if service := self._started.get(name):
            return _told(f"{service.kind} {service.version}".strip(), getattr(service, "note", ""))
        if error := self._absent.get(name):
            return _told("unavailable", str(error))
        return "not started"

    def _service(
        self, name: str, kind: type[_Service], start: Callable[[], AbstractContextManager[_Service]]
    ) -> _Service:
        if error := self._absent.get(name):
            self._on_absent(error)
        known = self._started.get(name)
        if isinstance(known, kind):
            return known
        try:
            service = self._stack.enter_context(start())
        except (ServiceUnavailable, MissingExtra) as error:
            self._absent[name] = error
            self._on_absent(error)
        self._started[name] = service
        return service
