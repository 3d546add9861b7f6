"""API keys in PostgreSQL, for gateways that run in several processes or on several machines."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar
from uuid import UUID

from tenaudit._kernel.bounds import INT32_SECONDS, check_seconds
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.backends.postgres.login import login_problem
from tenaudit.security import ApiKeyPage, ApiKeyRecord, ApiKeyStoreError
from tenaudit.security.api_key_record import no_such_key, prefix_taken
from tenaudit.security.api_key_secret import is_prefix
from tenaudit.security.api_key_store import check_page

try:
    import asyncpg
except ImportError as error:
    raise MissingExtra("postgres", "asyncpg") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping
    from types import TracebackType

    from tenaudit.security import ApiKeyRotation

__all__ = ["PostgresApiKeyStore"]

_T = TypeVar("_T")
_Connection: TypeAlias = Any  # asyncpg has no types: what a pool gives out
_VERSION = 1
_ADVISORY_LOCK = 0x7E4A0D18
_MAX_CONNECTIONS = 10
# A connection that works needs a moment to be given back, also where the deadline is all but reached.
_SHORTEST_RELEASE = 0.25


class PostgresApiKeyStore:
    """Keeps the records of API keys in the table `tenaudit_api_keys`, made at the first use unless it is there.

    Made by `connect`, or from a ready pool of asyncpg, which stays its maker's to close. Awaiting it, or entering it,
    looks at the tables at once, and the first use does so otherwise. It belongs to the event loop of its first use. A
    gateway that only checks keys needs no more than SELECT, once the tables are there.

    Args:
        pool: a pool of asyncpg.
        deadline: seconds that any call may take, also when the server hangs.

    Raises:
        ConfigurationError: *deadline* is not more than 0, or not finite.

    Example:
        >>> store = PostgresApiKeyStore.connect("postgresql://gateway:secret@db.example/keys")
        >>> asyncio.run(store.close())
    """

    def __init__(self, pool: asyncpg.Pool, *, deadline: float = 5.0) -> None:
        check_seconds(most=INT32_SECONDS, deadline=deadline)
        self._deadline = deadline
        self._dsn = ""
        self._pool: asyncpg.Pool | None = pool
        self._sql = load_statements("tenaudit.backends.postgres", "api_keys.sql")
        self._is_ready = False
        self._closed = False

    @classmethod
    def connect(cls, dsn: str, *, deadline: float = 5.0) -> Self:
        """Return the store of a database; it has a pool of its own, of at most ten connections.

        Args:
            dsn: `postgresql://user:password@host:port/database`; it never stands in a message.
            deadline: seconds that any call may take.

        Raises:
            ConfigurationError: *dsn* is no URL of PostgreSQL, or *deadline* is not more than 0 or not finite.

        Raises (once it is awaited, entered or first used):
            ApiKeyStoreError: there is no such server or database, or its tables were made by a newer version.
        """
        store = cls(None, deadline=deadline)
        store._dsn = _checked(dsn)
        return store

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        try:
            await self._run(_nothing)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def get(self, prefix: str) -> ApiKeyRecord | None:
        """Return the record of a prefix, or None.

        Raises:
            ApiKeyStoreError: the database cannot be used now, or the row was tampered with.
        """
        return await self._run(lambda connection: self._find(connection, "get_key", prefix))

    async def put(self, record: ApiKeyRecord) -> None:
        """Add a record, or update the one of the same key; what ended the key is not undone.

        Raises:
            ApiKeyChangeError: another key has the prefix; nothing was changed.
            ApiKeyStoreError: the database cannot be used now.
        """

        async def work(connection: _Connection) -> None:
            async with connection.transaction(isolation="read_committed"):
                await self._write(connection, (await self._claim(connection, record)).updated(record))

        await self._run(work)

    async def list(self, tenant_id: UUID | None = None, *, limit: int = 100, after: str | None = None) -> ApiKeyPage:
        """Return at most *limit* records, 1 to 1000, whose prefixes come behind *after*; of one tenant or of all.

        Raises:
            ConfigurationError: *limit* is out of range, or *after* is no prefix.
            ApiKeyStoreError: the database cannot be used now.
        """
        check_page(limit, after)

        async def work(connection: _Connection) -> ApiKeyPage:
            rows = await connection.fetch(self._sql["list_keys"], tenant_id, after or "", limit + 1)
            return ApiKeyPage.cut(map(_record, rows), limit)

        return await self._run(work)

    async def revoke(self, prefix: str, at: float) -> bool:
        """Revoke a key as of *at*, in Unix seconds; False when there is none of that prefix.

        Raises:
            ApiKeyStoreError: the database cannot be used now.
        """

        async def work(connection: _Connection) -> bool:
            async with connection.transaction(isolation="read_committed"):
                record = await self._find(connection, "lock_key", prefix)
                if record is not None:
                    await self._write(connection, record.revoked_since(at))
                return record is not None

        return await self._run(work)

    async def rotate(self, prefix: str, rotation: ApiKeyRotation) -> ApiKeyRecord:
        """Add the successor of a key and give the old one its end, in one transaction; return the successor.

        Raises:
            ApiKeyChangeError: there is no such key, it has ended, or it was rotated before; nothing was changed.
            ApiKeyStoreError: the database cannot be used now.
        """

        async def work(connection: _Connection) -> ApiKeyRecord:
            async with connection.transaction(isolation="read_committed"):
                old = await self._find(connection, "lock_key", prefix)
                if old is None:
                    raise no_such_key(prefix)
                ended, fresh = rotation.apply(old)
                if await self._claim(connection, fresh) != fresh:
                    raise prefix_taken(fresh.prefix)
                await self._write(connection, ended)
                return fresh

        return await self._run(work)

    async def close(self) -> None:
        """Close the pool if it is the store's own; a second call does nothing."""
        self._closed = True
        if self._dsn and self._pool is not None:
            pool, self._pool = self._pool, None
            # A pool that does not close in time is ended by asyncpg when the wait for it is.
            with suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), self._deadline)

    async def _run(self, work: Callable[[_Connection], Awaitable[_T]]) -> _T:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._deadline
        try:
            pool = await self._opened()
            connection = await pool.acquire(timeout=self._deadline)
            # Ended, not cancelled: what asyncpg does on a cancellation waits for the very server that hangs.
            watchdog = loop.call_at(until, connection.terminate)
            try:
                if not self._is_ready:
                    await self._prepare(connection)
                    self._is_ready = True
                return await work(connection)
            finally:
                watchdog.cancel()
                # The outcome is known here; a connection that cannot be given back is ended by the pool.
                with suppress(Exception):
                    await pool.release(connection, timeout=max(_SHORTEST_RELEASE, until - loop.time()))
        except (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            OSError,
            ValueError,
            OverflowError,
        ) as error:
            if loop.time() >= until:
                raise ApiKeyStoreError(f"PostgreSQL gave no answer within {self._deadline:g} s") from None
            # Nothing that the driver says is passed on: it may repeat the DSN, or the values of a row.
            said = login_problem(error) or f"the store of API keys in PostgreSQL failed: {_kind(error)}"
            raise ApiKeyStoreError(said) from None

    async def _opened(self) -> asyncpg.Pool:
        if self._closed:
            raise ApiKeyStoreError("the store of API keys in PostgreSQL is closed")
        if self._pool is None:
            # Without a connection to begin with, making a pool waits for nothing, so no two calls make one.
            self._pool = asyncpg.create_pool(self._dsn, min_size=0, max_size=_MAX_CONNECTIONS)
        return await self._pool

    async def _prepare(self, connection: _Connection) -> None:
        if not await connection.fetchval(self._sql["has_schema"]) or (await self._version(connection)) is None:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(self._sql["lock_schema"], _ADVISORY_LOCK)
                for name in ("create_versions", "create_table", "create_index"):
                    await connection.execute(self._sql[name])
                await connection.execute(self._sql["write_version"], _VERSION)
        found = await self._version(connection)
        if found != _VERSION:
            raise ApiKeyStoreError(f"the API keys have schema {found}, this version reads {_VERSION}; upgrade tenaudit")

    async def _version(self, connection: _Connection) -> int | None:
        version: int | None = await connection.fetchval(self._sql["read_version"])
        return version

    async def _find(self, connection: _Connection, statement: str, prefix: str) -> ApiKeyRecord | None:
        if not is_prefix(prefix):
            return None
        row = await connection.fetchrow(self._sql[statement], prefix)
        return None if row is None else _record(row)

    async def _claim(self, connection: _Connection, record: ApiKeyRecord) -> ApiKeyRecord:
        return _record(await connection.fetchrow(self._sql["claim_key"], *_parameters(record)))

    async def _write(self, connection: _Connection, record: ApiKeyRecord) -> None:
        await connection.execute(self._sql["write_key"], *_parameters(record))


async def _nothing(connection: _Connection) -> None:
    """Ask nothing: opening is all that is wanted."""


def _checked(dsn: str) -> str:
    # The rest is asyncpg's to read: several hosts, sockets, settings of the server.
    if not dsn.startswith(("postgresql://", "postgres://")):
        # It may hold a password, so it is not repeated.
        raise ConfigurationError("the DSN must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return dsn


def _kind(error: Exception) -> str:
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} ({state})" if state else type(error).__name__


def _record(row: Mapping[str, Any]) -> ApiKeyRecord:
    values = dict(row)
    try:
        # A plain UUID and not asyncpg's own kind.
        own = {"tenant_id": UUID(int=values["tenant_id"].int), "roles": frozenset(values["roles"])}
        return ApiKeyRecord(**values | own)
    except (ConfigurationError, TypeError) as error:
        raise ApiKeyStoreError(f"a row of the API keys in PostgreSQL was altered: {error}") from None


def _parameters(record: ApiKeyRecord) -> tuple[Any, ...]:
    return (
        record.prefix,
        record.secret_hash,
        record.tenant_id,
        sorted(record.roles),
        record.expires_at,
        record.revoked,
        record.created_at,
        record.revoked_at,
        record.name,
        record.description,
        record.rotated_from,
        record.replaced_by,
    )
