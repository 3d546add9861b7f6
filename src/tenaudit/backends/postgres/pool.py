"""Connections to PostgreSQL, bounded in number and in time, and one transaction after another on them.

Rules of this file: a setting lives no longer than its transaction, and no statement is prepared for longer, so that
a pooler in transaction mode may stand between. Nothing that the driver says is passed on: it may repeat the DSN, or
the values of a row.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tenaudit._kernel.bounds import INT32_SECONDS, check_counts, check_seconds
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import StoreError
from tenaudit.backends.postgres.login import login_problem

try:
    import asyncpg
except ImportError as error:
    raise MissingExtra("postgres", "asyncpg") from error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

__all__ = ["PostgresBusy", "PostgresPool", "PostgresRefusal", "Session", "as_store_error", "checked_dsn"]

_Connection: TypeAlias = Any  # asyncpg has no types: what a pool gives out
_MAX_CONNECTIONS = 100
# A connection that works needs a moment to be given back, also where the deadline is all but reached.
_SHORTEST_RELEASE = 0.25
_DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,
    OverflowError,
)
# Data exceptions and limits of the program, then NOT NULL and CHECK: what comes again however often it is tried.
_PERMANENT_CLASSES = ("22", "54")
_PERMANENT = ("23502", "23514")
_NO_SCHEMA = ("3F000", "42P01", "42883")
_NO_GRANT = "42501"
# A lock that was not given in time, and two that waited for each other.
_LOCKED = ("55P03", "40P01")


class PostgresRefusal(StoreError):  # noqa: N818 - a refusal, as SinkRejected is
    """PostgreSQL can never take what it was given."""


class PostgresBusy(StoreError):  # noqa: N818 - a state, as SinkUnavailable is
    """Others held a lock for too long, or each waited for the other; nothing was done."""


def checked_dsn(dsn: str) -> str:
    """Return the DSN when it is a URL of PostgreSQL; the rest is asyncpg's to read.

    Raises:
        ConfigurationError: it is none; as it may hold a password, it is not repeated.
    """
    if not dsn.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError("the DSN must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return dsn


def as_store_error(error: BaseException) -> StoreError:
    """Return what a driver's error means for the store, by its class and its SQLSTATE alone."""
    state = getattr(error, "sqlstate", None) or ""
    name = type(error).__name__
    if (problem := login_problem(error)) is not None:
        return StoreError(problem)
    if state in _NO_SCHEMA:
        return StoreError(f"PostgreSQL has no tables of tenaudit ({state}); run tenaudit db migrate")
    if state == _NO_GRANT:
        return StoreError(f"PostgreSQL denies it ({state}); check what the user was granted")
    if state[:2] in _PERMANENT_CLASSES or state in _PERMANENT:
        return PostgresRefusal(f"PostgreSQL refuses the data: {name} ({state})")
    if state in _LOCKED:
        return PostgresBusy(f"PostgreSQL is busy: {name} ({state}); others hold what is needed, so try again")
    kind = f"{name} ({state})" if state else name
    return StoreError(f"PostgreSQL failed: {kind}; check that the server runs and can be reached")


class Session:
    """One transaction on one connection.

    Args:
        connection: asyncpg's.
        extend: gives the transaction its whole deadline again.
    """

    __slots__ = ("_connection", "_statements", "extend")

    def __init__(self, connection: _Connection, statements: dict[str, str], watchdog: _Watchdog) -> None:
        self._connection = connection
        self._statements = statements
        self.extend = watchdog.extend

    async def rows(self, statement: str, *values: Any) -> list[Any]:
        """Return the rows of a named statement."""
        return await self.query(self._statements[statement], *values)

    async def query(self, sql: str, *values: Any) -> list[Any]:
        """Return the rows of SQL."""
        rows: list[Any] = await self._connection.fetch(sql, *values)
        return rows

    async def value(self, statement: str, *values: Any) -> Any:
        """Return the first column of the first row of a named statement, None without one."""
        return await self._connection.fetchval(self._statements[statement], *values)

    async def row(self, statement: str, *values: Any) -> Any:
        """Return the first row of a named statement, None without one."""
        return await self._connection.fetchrow(self._statements[statement], *values)

    async def script(self, sql: str) -> None:
        """Run statements without parameters."""
        await self._connection.execute(sql)


class _Watchdog:
    """Ends a connection that has had its time.

    Ended, not cancelled: what asyncpg does on a cancellation waits for the very server that hangs.
    """

    def __init__(self, connection: _Connection, seconds: float, until: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self.until = until
        self._timer = self._loop.call_at(until, connection.terminate)

    def extend(self) -> None:
        self._timer.cancel()
        self.until = self._loop.time() + self._seconds
        self._timer = self._loop.call_at(self.until, self._connection.terminate)

    def stop(self) -> None:
        self._timer.cancel()


class PostgresPool:
    """A pool that is made at its first use and belongs to the event loop of that use.

    Args:
        dsn: `postgresql://user:password@host:port/database`.
        max_connections: most connections at a time, 1 to 100; who comes later waits, within the deadline.
        deadline: seconds that a transaction may take, the wait for its connection included.

    Raises:
        ConfigurationError: *dsn* is no URL of PostgreSQL, or a number is out of range.
    """

    def __init__(self, dsn: str, *, max_connections: int, deadline: float) -> None:
        check_seconds(most=INT32_SECONDS, deadline=deadline)
        check_counts(most=_MAX_CONNECTIONS, max_connections=max_connections)
        self._dsn = checked_dsn(dsn)
        self._deadline = deadline
        self._max_connections = max_connections
        # What PostgreSQL calls milliseconds: it ends what nobody waits for any more.
        self._within = str(math.ceil(deadline * 1000))
        self._statements = load_statements("tenaudit.backends.postgres", "sql/queries.sql")
        self._gate = asyncio.Semaphore(max_connections)
        self._pool: asyncpg.Pool | None = None
        self._closed = False

    @asynccontextmanager
    async def transaction(
        self,
        tenants: Sequence[UUID] = (),
        *,
        mode: str = "ISOLATION LEVEL READ COMMITTED READ WRITE",
        end: Literal["COMMIT", "ROLLBACK"] = "COMMIT",
    ) -> AsyncIterator[Session]:
        """Give out a transaction that sees the rows of *tenants*, and of no others.

        It does what *end* says at the end of the block, and is rolled back when the block raises. A block that is
        cancelled loses its connection: what still runs on it must not meet the next one.

        Raises:
            PostgresRefusal: PostgreSQL can never take what it was given.
            StoreError: PostgreSQL failed, or gave no answer within the deadline.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._deadline
        try:
            async with self._connection(until) as (connection, watchdog):
                try:
                    async with _in_transaction(connection, f"BEGIN {mode}; {self._bind(tenants)}", end):
                        yield Session(connection, self._statements, watchdog)
                except BaseException as error:
                    if not isinstance(error, Exception):
                        connection.terminate()
                    raise
                finally:
                    until = watchdog.until
        except _DRIVER_ERRORS as error:
            if loop.time() >= until:
                raise self._too_late() from None
            raise as_store_error(error) from None

    def _bind(self, tenants: Sequence[UUID]) -> str:
        # Not as parameters, so that it goes to PostgreSQL together with the BEGIN; digits are all that is in it.
        ids = ",".join([f"{tenant.int:032x}" for tenant in tenants])
        return self._statements["bind"].format(tenants=ids, within=self._within)

    @asynccontextmanager
    async def _connection(self, until: float) -> AsyncIterator[tuple[_Connection, _Watchdog]]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout_at(until):
            await self._gate.acquire()
        try:
            pool = await self._opened()
            connection = await pool.acquire(timeout=max(0, until - loop.time()))
            watchdog = _Watchdog(connection, self._deadline, until)
            try:
                yield connection, watchdog
            finally:
                watchdog.stop()
                # The outcome is known here; a connection that cannot be given back is ended by the pool.
                with suppress(Exception):
                    await pool.release(connection, timeout=max(_SHORTEST_RELEASE, watchdog.until - loop.time()))
        finally:
            self._gate.release()

    async def _opened(self) -> asyncpg.Pool:
        if self._closed:
            raise StoreError("the store in PostgreSQL is closed")
        if self._pool is None:
            # Without a connection to begin with, making a pool waits for nothing, so no two calls make one.
            self._pool = asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=self._max_connections,
                statement_cache_size=0,
                reset=_keep,
                server_settings={"application_name": "tenaudit"},
            )
        return await self._pool

    async def close(self) -> None:
        """Close every connection; a second call does nothing."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            # A pool that does not close in time is ended by asyncpg when the wait for it is.
            with suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), self._deadline)

    def _too_late(self) -> StoreError:
        return StoreError(f"PostgreSQL gave no answer within {self._deadline:g} s; check that it can be reached")


@asynccontextmanager
async def _in_transaction(connection: _Connection, begin: str, end: str) -> AsyncIterator[None]:
    try:
        await connection.execute(begin)
        yield
        await connection.execute(end)
    except Exception:
        # One that is lost already has nothing to roll back.
        with suppress(*_DRIVER_ERRORS):
            await connection.execute("ROLLBACK")
        raise


async def _keep(connection: _Connection) -> None:
    """Leave a connection as it is: transactions leave nothing on it that a reset would have to take away."""
