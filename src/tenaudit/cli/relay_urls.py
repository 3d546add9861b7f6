"""The outbox and the sink that `--outbox` and `--sink` name."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.servers import servers_of
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.backends.sqlite import SqliteSink
from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource
from tenaudit.cli.store_url import open_file_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenaudit.audit import PersonalFields, Sink
    from tenaudit.audit.outbox import OutboxSource
    from tenaudit.backends.kafka import KafkaSink
    from tenaudit.cli.kafka_security import SecurityOptions

__all__ = ["open_outbox", "open_sink"]

_OUTBOXES = "known are sqlite:///FILE and postgresql://USER:PASSWORD@HOST/DATABASE"
_SINKS = "known are jsonl:///FILE, sqlite:///FILE and kafka://HOST:PORT/TOPIC"
_BROKERS = "the sink's brokers must be kafka://HOST:PORT/TOPIC"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
# Of the time that a write has: Kafka's own deadline must come before the relay's.
_KAFKA_SHARE = 0.8


@asynccontextmanager
async def open_outbox(url: str, *, create: bool, lease: float) -> AsyncIterator[OutboxSource]:
    """Give out the outbox of a URL, after a look into it.

    Args:
        url: `sqlite:///FILE` or a DSN of PostgreSQL.
        create: make the tables, and the file, when they are not there.
        lease: seconds that a claim holds.

    Raises:
        ConfigurationError: the URL names no outbox that is known, or no file is there.
        OutboxUnavailable: it cannot be read.
        MissingExtra: it is PostgreSQL's, and asyncpg is not installed.
    """
    source = await _outbox(url, create=create, lease=lease)
    try:
        await source.backlog()
        yield source
    finally:
        await source.close()


async def _outbox(url: str, *, create: bool, lease: float) -> OutboxSource:
    match _scheme(url, "outbox", _OUTBOXES):
        case "sqlite":
            path = _file(url, "outbox", _OUTBOXES)
            if not create and not path.is_file():
                raise ConfigurationError(f"there is no file {path}; check --outbox, or make it with --create")
            return SqliteOutboxSource(path, lease=lease, create=create)
        case "postgresql" | "postgres":
            from tenaudit.backends.postgres.outbox_relay import (  # noqa: PLC0415 - needs an extra, so only on use
                PostgresOutboxSource,
            )

            source = PostgresOutboxSource(url, lease=lease)
            if create:
                await source.create_tables()
            return source
        case other:
            # The rest of the URL may hold a password, so it is not repeated.
            raise ConfigurationError(f"no outbox is known for {other}:; {_OUTBOXES}")


@asynccontextmanager
async def open_sink(
    url: str, *, write_timeout: float, security: SecurityOptions, personal: PersonalFields | None = None
) -> AsyncIterator[Sink]:
    """Give out the sink of a URL; its file is made when it is not there, its folder is not.

    Args:
        url: `jsonl:///FILE`, `sqlite:///FILE`, a store, or `kafka://HOST:PORT/TOPIC`, several brokers by commas.
        write_timeout: seconds that one write will be given.
        security: of a connection to Kafka; there is none to any other sink.
        personal: what can be erased one day, where the sink is a store.

    Raises:
        ConfigurationError: the URL names no sink that is known, the folder is not there, or *security* cannot be had.
        StoreError: the store cannot be opened.
        MissingExtra: it is Kafka's, and aiokafka is not installed.
    """
    scheme = _scheme(url, "sink", _SINKS)
    if scheme != "kafka" and security.first:
        raise ConfigurationError(f"{security.first} needs a sink that is kafka://HOST:PORT/TOPIC")
    match scheme:
        case "jsonl":
            path = _file(url, "sink", _SINKS)
            if not path.parent.is_dir():
                raise ConfigurationError(f"the sink's folder {path.parent} does not exist; make it first")
            lines = JsonlSink(path)
            try:
                yield lines
            finally:
                await lines.close()
        case "sqlite":
            async with open_file_store(url, must_exist=False, personal=personal) as store:
                yield SqliteSink(store)
        case "kafka":
            topic = _kafka(url, _KAFKA_SHARE * write_timeout, security)
            try:
                yield topic
            finally:
                await topic.close()
        case other:
            raise ConfigurationError(f"no sink is known for {other}:; {_SINKS}")


def _kafka(url: str, delivery_timeout: float, security: SecurityOptions) -> KafkaSink:
    servers, slash, topic = url.partition(":")[2].removeprefix("//").partition("/")
    if "@" in url:
        # What stands before it may be a password, so it is not repeated.
        raise ConfigurationError(f"{_BROKERS}, without a user; name one with --sasl-user")
    if not slash:
        raise ConfigurationError(f"the sink needs a topic; {_SINKS}")
    from tenaudit.backends.kafka import KafkaSink  # noqa: PLC0415 - needs an extra, so only on use

    brokers = servers_of(servers, _BROKERS)
    return KafkaSink(brokers, topic, delivery_timeout=delivery_timeout, security=security.security())


def _scheme(url: str, what: str, known: str) -> str:
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ConfigurationError(f"the {what} is no URL; {known}")
    return scheme[1].lower()


def _file(url: str, what: str, known: str) -> Path:
    rest = url.partition(":")[2]
    name = rest.removeprefix("///")
    if name == rest or not name or "\0" in name:
        raise ConfigurationError(f"the {what} needs three slashes and a path; {known}")
    return Path(name)
