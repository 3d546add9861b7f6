"""Connections for the outbox: short transactions, each with a deadline, and no word of the driver passed on."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from tenaudit._kernel.bounds import INT32_SECONDS, check_seconds
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.audit.outbox import OutboxUnavailable
from tenaudit.backends.postgres.login import login_problem

try:
    import asyncpg
except ImportError as error:
    raise MissingExtra("postgres", "asyncpg") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["DRIVER_ERRORS", "NO_TABLE", "OutboxPool", "kind_of"]

_T = TypeVar("_T")
_Connection: TypeAlias = Any  # asyncpg has no types: what a pool gives out
_MAX_CONNECTIONS = 4
# A connection that works needs a moment to be given back, also where the deadline is all but reached.
_SHORTEST_RELEASE = 0.25
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,
    OverflowError,
)
NO_TABLE = "42P01"


def kind_of(error: BaseException) -> str:
    """Return a driver's error by its class and SQLSTATE; what it says may repeat the DSN, or the values of a row."""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} ({state})" if state else type(error).__name__


class OutboxPool:
    """Runs transactions on a pool that is made at its first use, or on a ready one, which stays its maker's to close.

    Args:
        target: `postgresql://user:password@host:port/database`, or a pool of asyncpg.
        deadline: seconds that a transaction may take, the wait for its connection included.

    Raises:
        ConfigurationError: *target* is a text that is no URL of PostgreSQL, or *deadline* is not above 0 and finite.
    """

    def __init__(self, target: str | asyncpg.Pool, *, deadline: float) -> None:
        check_seconds(most=INT32_SECONDS, deadline=deadline)
        if isinstance(target, str) and not target.startswith(("postgresql://", "postgres://")):
            # It may hold a password, so it is not repeated.
            raise ConfigurationError("the DSN must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
        self._deadline = deadline
        within = math.ceil(deadline * 1000)
        self._bounds = (
            f"SET LOCAL statement_timeout = {within}; SET LOCAL idle_in_transaction_session_timeout = {within}"
        )
        self._dsn = target if isinstance(target, str) else ""
        self._pool: asyncpg.Pool | None = None if self._dsn else target
        self._closed = False

    async def run(self, work: Callable[[_Connection], Awaitable[_T]]) -> _T:
        """Run `work(connection)` in a transaction of its own, and commit it.

        Raises:
            OutboxUnavailable: PostgreSQL failed, or gave no answer within the deadline.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._deadline
        try:
            pool = await self._opened()
            connection = await pool.acquire(timeout=self._deadline)
            # Ended, not cancelled: what asyncpg does on a cancellation waits for the very server that hangs.
            watchdog = loop.call_at(until, connection.terminate)
            try:
                async with connection.transaction(isolation="read_committed"):
                    # Else a client that stands still, or whose end the network hides, keeps its shard locked for hours.
                    await connection.execute(self._bounds)
                    return await work(connection)
            finally:
                watchdog.cancel()
                # The outcome is known here; a connection that cannot be given back is ended by the pool.
                with suppress(Exception):
                    await pool.release(connection, timeout=max(_SHORTEST_RELEASE, until - loop.time()))
        except DRIVER_ERRORS as error:
            if loop.time() >= until:
                raise OutboxUnavailable(f"PostgreSQL gave no answer within {self._deadline:g} s") from None
            if getattr(error, "sqlstate", None) == NO_TABLE:
                raise OutboxUnavailable(
                    "PostgreSQL has no tables of the outbox; make them with create_outbox or tenaudit relay --create"
                ) from None
            said = login_problem(error) or f"the outbox in PostgreSQL failed: {kind_of(error)}"
            raise OutboxUnavailable(said) from None

    async def _opened(self) -> asyncpg.Pool:
        if self._closed:
            raise OutboxUnavailable("the outbox in PostgreSQL is closed")
        if self._pool is None:
            # Without a connection to begin with, making a pool waits for nothing, so no two calls make one. Nothing
            # stays prepared, so that a pooler in transaction mode may stand between.
            self._pool = asyncpg.create_pool(self._dsn, min_size=0, max_size=_MAX_CONNECTIONS, statement_cache_size=0)
        return await self._pool

    async def close(self) -> None:
        """Close the pool if it is not its maker's; a second call does nothing."""
        self._closed = True
        if self._dsn and self._pool is not None:
            pool, self._pool = self._pool, None
            # A pool that does not close in time is ended by asyncpg when the wait for it is.
            with suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), self._deadline)
