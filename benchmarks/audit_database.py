"""A PostgreSQL of its own with the tables of the audit trail, and a user who may write and read them."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from tenaudit.testing.services import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AuditDatabase", "audit_database", "emptied", "execute"]

_WITHIN = 120.0


class AuditDatabase(NamedTuple):
    """Two ways into one database.

    Attributes:
        owner: the DSN of a superuser, whom row level security does not hold.
        user: the DSN of a user with the roles of a writer and of a reader, as an application has them.
    """

    owner: str
    user: str


@contextmanager
def audit_database() -> Iterator[AuditDatabase]:
    """Start a server, migrate a database of it and make the user; all is gone at the end."""
    from tenaudit.backends.postgres import migrate

    with postgres() as service:
        name, password = f"bench_{uuid.uuid4().hex[:16]}", uuid.uuid4().hex
        asyncio.run(execute(service.dsn, f"CREATE DATABASE {name}"))
        parts = urlsplit(service.dsn)
        owner = urlunsplit(parts._replace(path=f"/{name}"))
        user = urlunsplit(parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}", path=f"/{name}"))
        try:
            asyncio.run(migrate(owner))
            asyncio.run(
                execute(
                    owner,
                    f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
                    f"GRANT tenaudit_writer, tenaudit_reader TO {name}",
                )
            )
            yield AuditDatabase(owner, user)
        finally:
            # A server that was lent outlives the block.
            asyncio.run(
                execute(service.dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"DROP ROLE IF EXISTS {name}")
            )


async def execute(dsn: str, *statements: str) -> list[Any]:
    """Run statements, each in a transaction of its own, and return the rows of the last."""
    import asyncpg

    connection = await asyncpg.connect(dsn, timeout=_WITHIN, command_timeout=_WITHIN)
    try:
        rows: list[Any] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return rows
    finally:
        await connection.close(timeout=_WITHIN)


async def emptied(dsn: str) -> None:
    """Take all events away, and leave the heads of the logs as they were at the beginning."""
    await execute(
        dsn,
        "TRUNCATE tenaudit.events, tenaudit.leaves, tenaudit.checkpoints, tenaudit.conflicts",
        "UPDATE tenaudit.logs SET size = 0, frontier = '', seals = '', sealed = 0",
    )
