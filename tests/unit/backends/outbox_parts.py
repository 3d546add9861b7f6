"""What the tests of the outbox share: contexts, a database of their own, and what a sink has seen."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit
from uuid import UUID

from tenaudit.security import Actor, SecurityContext, TraceContext

__all__ = ["connected", "context_of", "firsts", "own_schema", "run", "tenant_order"]


def run(main, seconds=90):
    return asyncio.run(asyncio.wait_for(main, seconds))


def context_of(tenant: int) -> SecurityContext:
    return SecurityContext(UUID(int=tenant), Actor("u-1"), frozenset(), TraceContext("0" * 31 + "1", None, False))


@contextmanager
def own_schema(service):
    """Give out the DSN of a schema that is gone afterwards, with the tables of the outbox."""
    import asyncpg

    from tenaudit.backends.postgres.outbox import create_outbox

    schema = f"outbox_{uuid.uuid4().hex}"

    async def execute(statement):
        connection = await asyncpg.connect(service.dsn, timeout=20, command_timeout=20)
        try:
            await connection.execute(statement)
        finally:
            await connection.close(timeout=20)

    mark = "&" if urlsplit(service.dsn).query else "?"
    dsn = f"{service.dsn}{mark}search_path={schema}"

    async def prepare():
        await execute(f"CREATE SCHEMA {schema}")
        async with connected(dsn) as connection:
            await create_outbox(connection)

    run(prepare())
    try:
        yield dsn
    finally:
        run(execute(f"DROP SCHEMA {schema} CASCADE"))


@asynccontextmanager
async def connected(dsn):
    import asyncpg

    connection = await asyncpg.connect(dsn, timeout=20, command_timeout=20)
    try:
        yield connection
    finally:
        await connection.close(timeout=20)


def firsts(events):
    """Return the events at their first arrival."""
    return list({event.event_id: event for event in events}.values())


def tenant_order(events):
    """Return, of each tenant, the numbers in the payloads in the order of first arrival."""
    order = {}
    for event in firsts(events):
        order.setdefault(event.tenant_id.int, []).append(event.payload["n"])
    return order
