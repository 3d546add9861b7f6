"""The outbox and the sink that `--outbox` and `--sink` name."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.backends.sqlite import SqliteSink
from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource
from tenaudit.cli.store_url import open_file_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenaudit.audit import Sink
    from tenaudit.audit.outbox import OutboxSource

__all__ = ["open_outbox", "open_sink"]

_OUTBOXES = "known are sqlite:///FILE and postgresql://USER:PASSWORD@HOST/DATABASE"
_SINKS = "known are jsonl:///FILE and sqlite:///FILE"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


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
async def open_sink(url: str) -> AsyncIterator[Sink]:
    """Give out the sink of a URL; its file is made when it is not there, its folder is not.

    Args:
        url: `jsonl:///FILE` or `sqlite:///FILE`, a store.

    Raises:
        ConfigurationError: the URL names no sink that is known, or the folder is not there.
        StoreError: the store cannot be opened.
    """
    match _scheme(url, "sink", _SINKS):
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
            async with open_file_store(url, must_exist=False) as store:
                yield SqliteSink(store)
        case other:
            raise ConfigurationError(f"no sink is known for {other}:; {_SINKS}")


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
