"""Real engines behind the fault proxy: every wait ends at its deadline, and service is back after heal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tenaudit.testing.proxy import TcpFaultProxy

pytestmark = [pytest.mark.faults, pytest.mark.services]
DEADLINE = 0.5


async def answered(ask: Callable[[], Awaitable[Any]]) -> bool:
    """Tell whether *ask* answered; a refusal and a missed deadline are both no, and nothing else is allowed."""
    try:
        await asyncio.wait_for(ask(), 4 * DEADLINE)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    except Exception as error:
        if type(error).__module__.startswith("redis."):
            return False
        raise
    return True


async def through_every_fault(proxy: TcpFaultProxy, ask: Callable[[], Awaitable[Any]]) -> None:
    assert await answered(ask)
    for break_it in (proxy.half_open, proxy.refuse, proxy.accept_nowhere, proxy.cut_live):
        break_it()
        if break_it != proxy.cut_live:
            assert not await answered(ask), break_it
        proxy.heal()
        assert await answered(ask), break_it
    proxy.slice(1)
    assert await answered(ask)
    proxy.heal()
    proxy.cut(after=10)
    assert not await answered(ask)
    proxy.heal()
    assert await answered(ask)


def test_postgres_answers_again_after_every_fault(postgres_service: Any) -> None:
    server = urlsplit(postgres_service.dsn)

    async def main() -> None:
        async with TcpFaultProxy(server.hostname or "", server.port or 0) as proxy:

            async def ask() -> None:
                connection = await asyncpg.connect(
                    host=proxy.host,
                    port=proxy.port,
                    user=server.username,
                    password=server.password,
                    database=server.path.lstrip("/"),
                    ssl=False,
                    timeout=DEADLINE,
                )
                try:
                    assert await connection.fetchval("SELECT 42", timeout=DEADLINE) == 42
                finally:
                    connection.terminate()

            await through_every_fault(proxy, ask)

    asyncio.run(main())


def test_redis_answers_again_after_every_fault(redis_service: Any) -> None:
    server = urlsplit(redis_service.url)

    async def main() -> None:
        async with TcpFaultProxy(server.hostname or "", server.port or 0) as proxy:

            async def ask() -> None:
                client = Redis(
                    host=proxy.host,
                    port=proxy.port,
                    password=server.password,
                    socket_timeout=DEADLINE,
                    socket_connect_timeout=DEADLINE,
                    retry=Retry(NoBackoff(), 0),
                )
                try:
                    assert await client.ping()
                finally:
                    await client.aclose()

            await through_every_fault(proxy, ask)

    asyncio.run(main())
