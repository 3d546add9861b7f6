"""Purges, periods and holds in the database; who calls them is a member of `tenaudit_purger`."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit.retention.kept import KeepsForATime
from tenaudit.audit.retention.records import HOLD_PLACED
from tenaudit.audit.retention.steps import PurgeBusy
from tenaudit.audit.retention.terms import RetentionSettings
from tenaudit.backends.postgres.expiry import default_days, terms_of
from tenaudit.backends.postgres.partitions import months_ahead
from tenaudit.backends.postgres.pool import PostgresPool
from tenaudit.backends.postgres.purge_log import PurgeLog
from tenaudit.backends.postgres.purge_partitions import PostgresPurgeSteps
from tenaudit.backends.postgres.rows import plain_uuid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from tenaudit.audit.retention.kept import TermsChange
    from tenaudit.audit.retention.steps import PurgeSteps

__all__ = ["PostgresRetention"]

_STATEMENTS = load_statements("tenaudit.backends.postgres", "sql/retention.sql")
# One step of a purge reads a whole partition, and whoever keeps the others out outlives a step.
_STEP_SECONDS = 120.0
_GUARD_SECONDS = 4 * _STEP_SECONDS


class PostgresRetention(KeepsForATime):
    """The part of the store that purging, periods and holds are about."""

    _dsn: str
    _pool: PostgresPool

    @abstractmethod
    async def _opened(self) -> bytes:
        """Return the secret of content hashes, once the store is open."""

    @abstractmethod
    async def _make(self, months: Sequence[date]) -> None:
        """Make the partitions of months."""

    async def retention(self) -> RetentionSettings:
        """Return the default period, and periods, holds and purges of each tenant that has a log."""
        await self._opened()
        async with self._pool.transaction(mode="READ ONLY") as session:
            rows = await session.query(_STATEMENTS["all_terms"])
            return RetentionSettings(await default_days(session), tuple(terms_of(row) for row in rows))

    @asynccontextmanager
    async def _purge_steps(self, by: str, now: datetime, *, alone: bool) -> AsyncIterator[PurgeSteps]:
        log = PurgeLog(await self._opened(), _STATEMENTS, by, now)
        # Connections of their own: the store's have a shorter deadline, and may all be busy.
        pool = PostgresPool(self._dsn, max_connections=1, deadline=_STEP_SECONDS)
        guard = PostgresPool(self._dsn, max_connections=1, deadline=_GUARD_SECONDS)
        try:
            if not alone:
                yield PostgresPurgeSteps(pool, log, None)
                return
            await self._make(months_ahead(now, 1))
            async with guard.transaction() as session:
                # Of one transaction, so that it ends with its connection, and a pooler may stand between.
                if not (await session.query(_STATEMENTS["only_purge"]))[0][0]:
                    raise PurgeBusy("another purge of the database is running; wait until it has ended")
                await session.query(_STATEMENTS["wait_idly"], str(round(_GUARD_SECONDS * 1000)))
                yield PostgresPurgeSteps(pool, log, session)
        finally:
            await pool.close()
            await guard.close()

    async def _keep_default(self, days: int, by: str, now: datetime) -> None:
        await self._opened()
        async with self._pool.transaction() as session:
            await session.query(_STATEMENTS["write_default_days"], days, by, now)

    async def _change_terms(self, change: TermsChange) -> None:
        event = change.event
        log = PurgeLog(await self._opened(), _STATEMENTS, event.actor_id or "", event.occurred_at)
        await self._make(months_ahead(event.occurred_at, 1))
        async with self._pool.transaction([event.tenant_id]) as session:
            await log.change_terms(session, change)

    async def _hold_records(self) -> list[tuple[UUID, UUID, str]]:
        held = [one.tenant_id for one in (await self.retention()).tenants if one.held]
        async with self._pool.transaction(held, mode="READ ONLY") as session:
            rows = await session.query(_STATEMENTS["held_records"], HOLD_PLACED)
        return [(plain_uuid(row["tenant_id"]), plain_uuid(row["event_id"]), row["record"]) for row in rows]
