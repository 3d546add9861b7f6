"""Reading the tables: pages, single events, the order of arrival, counts and accounts, each about its own tenants."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from tenaudit._kernel.sqlfile import load_statements
from tenaudit.backends.postgres.account import read_account
from tenaudit.backends.postgres.rows import event_from_row, plain_uuid
from tenaudit.backends.postgres.search import page_of, search_statement
from tenaudit.backends.postgres.tally import count_stats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from tenaudit.audit import AuditEvent, AuditQuery, Page
    from tenaudit.audit.producer_rows import AccountWindow, StoreAccount
    from tenaudit.audit.query import CursorCodec
    from tenaudit.audit.stats import EventStats
    from tenaudit.backends.postgres.pool import PostgresPool

__all__ = ["READ", "PostgresReading"]

_STATEMENTS = load_statements("tenaudit.backends.postgres", "sql/queries.sql")
READ = "READ ONLY"
_SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresReading:
    """The part of the store that reads events."""

    _pool: PostgresPool
    _codec: CursorCodec

    @abstractmethod
    async def _opened(self) -> bytes:
        """Return the secret of content hashes, once the store is open."""

    async def search(self, query: AuditQuery) -> Page:
        """Return one page of the query's tenant.

        Raises:
            InvalidCursor: the cursor was altered or belongs to another query.
            StoreError: PostgreSQL failed, or gave no answer in time.
        """
        await self._opened()
        point = self._codec.read(query)
        statement = search_statement(_STATEMENTS["search_events"], query, point)
        async with self._pool.transaction([query.tenant_id], mode=READ) as session:
            rows = await session.query(statement.sql, *statement.values)
        return page_of(query, point, [event_from_row(row) for row in rows], self._codec)

    async def get(self, tenant_id: UUID, event_id: UUID) -> AuditEvent | None:
        """Return one event of the tenant, or None."""
        await self._opened()
        async with self._pool.transaction([tenant_id], mode=READ) as session:
            row = await session.row("get_event", tenant_id, event_id)
        return None if row is None else event_from_row(row)

    async def count(self, tenant_id: UUID | None = None) -> int:
        """Return how many events are stored, of one tenant or of all that have a log."""
        tenants = await self.tenants() if tenant_id is None else (tenant_id,)
        await self._opened()
        async with self._pool.transaction(tenants, mode=READ) as session:
            return int(await session.value("count_events", tenants))

    async def follow(self, tenant_id: UUID, after: int, limit: int) -> list[tuple[int, AuditEvent]]:
        """Return the tenant's events behind position *after* in the order of arrival; see `tenaudit.audit.follow`."""
        await self._opened()
        async with self._pool.transaction([tenant_id], mode=READ) as session:
            rows = await session.rows("follow_log", tenant_id, after, limit)
        return [(row["leaf_idx"] + 1, event_from_row(row)) for row in rows]

    async def newest_position(self, tenant_id: UUID) -> int:
        """Return the position of the event that the tenant's log took last, 0 before the first."""
        await self._opened()
        async with self._pool.transaction([tenant_id], mode=READ) as session:
            head = await session.row("read_log", tenant_id)
        return 0 if head is None else int(head["size"])

    async def stats(self, query: AuditQuery, *, max_events: int, seconds: float) -> EventStats:
        """Count what fits, from the newest on, within bounds; see `tenaudit.audit.stats`."""
        await self._opened()
        async with self._pool.transaction([query.tenant_id], mode=_SNAPSHOT) as session:
            return await count_stats(session, _STATEMENTS["count_stats"], query, max_events, seconds)

    async def account(
        self, window: AccountWindow, *, held: Mapping[UUID, Sequence[UUID]], seconds: float
    ) -> StoreAccount:
        """Count each producer's events from one snapshot, about one tenant after the other; each part has the deadline.

        See `tenaudit.audit.producer_rows`.
        """
        await self._opened()
        async with self._pool.transaction(mode=_SNAPSHOT) as session:
            return await read_account(session, window, held, seconds)

    async def tenants(self) -> tuple[UUID, ...]:
        """Return every tenant that has a log, in order."""
        await self._opened()
        async with self._pool.transaction(mode=READ) as session:
            return tuple(plain_uuid(row["tenant_id"]) for row in await session.rows("logged_tenants"))
