"""The steps of a purge that go by rows: each a transaction of its own, which waits for no lock for long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from tenaudit.audit.retention.steps import PurgeSteps
from tenaudit.audit.retention.terms import RetentionSettings
from tenaudit.backends.postgres.expiry import default_days, terms_of
from tenaudit.backends.postgres.partitions import least_id
from tenaudit.backends.postgres.pool import PostgresBusy, as_store_error
from tenaudit.backends.postgres.rows import plain_uuid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from tenaudit.audit.retention.records import Removal
    from tenaudit.audit.retention.steps import OldEvent
    from tenaudit.backends.postgres.pool import PostgresPool, Session
    from tenaudit.backends.postgres.purge_log import PurgeLog

__all__ = ["READ_ONLY", "RowSteps"]

_T = TypeVar("_T")
READ_ONLY = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Writers queue up behind whoever waits for a lock on their table, so it is not for long, and not at once again.
_LOCK_MS = "300"
_TRIES = 5
_FIRST = UUID(int=0)
# Importers make ids of the time of an event, or of a day after it at most.
_ID_LATE = timedelta(days=1)
_PAUSE_SECONDS = 0.2


class RowSteps(PurgeSteps):
    """Steps by rows.

    Args:
        pool: the connections of the purge.
        log: writes the records.
        guard: the transaction that keeps other purges out, None where nothing is removed.
    """

    def __init__(self, pool: PostgresPool, log: PurgeLog, guard: Session | None) -> None:
        self._pool = pool
        self._log = log
        self._sql = log.statements
        self._guard = guard
        self._after: dict[UUID, UUID] = {}

    async def settings(self) -> RetentionSettings:
        """Return the default period and what is known of each tenant."""
        async with self._pool.transaction(mode=READ_ONLY) as session:
            rows = await session.query(self._sql["all_terms"])
            return RetentionSettings(await default_days(session), tuple(terms_of(row) for row in rows))

    async def count(self, tenant_id: UUID, before: datetime) -> int:
        """Return how many events of a tenant occurred before a time."""
        async with self._pool.transaction([tenant_id], mode=READ_ONLY) as session:
            (counted,) = await session.query(self._sql["count_old"], tenant_id, before)
        return int(counted[0])

    async def old_events(self, tenant_id: UUID, before: datetime, limit: int, *, whole: bool) -> Sequence[OldEvent]:
        """Return events that occurred before a time, in the order of the log.

        By their ids first, which nearly all of them are found by: so what was deleted just before is not walked over
        again. Then by time, for ids that are younger than their events.
        """
        async with self._pool.transaction([tenant_id], mode=READ_ONLY) as session:
            rows = await self._by_id(session, tenant_id, before, limit)
            if not rows:
                rows = await session.query(self._sql["old_by_time"], tenant_id, before, limit)
            if rows and whole:
                ids = [row["event_id"] for row in rows]
                places = [row["leaf_idx"] for row in rows]
                rows = await session.query(self._sql["logged_events"], tenant_id, places, min(ids), max(ids))
        found = [self._log.old_event(row, whole=whole) for row in rows]
        return sorted(found, key=lambda event: event.index)

    async def _by_id(self, session: Session, tenant_id: UUID, before: datetime, limit: int) -> list[Any]:
        while True:
            after = self._after.get(tenant_id, _FIRST)
            bounds = (after, least_id(before + _ID_LATE))
            rows = await session.query(self._sql["old_by_id"], tenant_id, before, limit, *bounds)
            if rows:
                self._after[tenant_id] = plain_uuid(rows[-1]["event_id"])
            logged = [row for row in rows if row["leaf_idx"] is not None]
            # An event without a place was put in by hand: it is left to `verify`.
            if logged or not rows:
                return logged

    async def remove(self, tenant_id: UUID, events: Sequence[OldEvent], removal: Removal) -> None:
        """Delete events and write the record of it, both or neither."""
        work = partial(self._log.remove, tenant_id=tenant_id, events=events, removal=removal)
        await self._briefly([tenant_id], work, tries=2 * _TRIES)

    async def remove_conflicts(self, tenant_id: UUID, before: datetime) -> int:
        """Delete kept second contents that occurred before a time."""
        gone = 0
        place: tuple[UUID, bytes] | None = (UUID(int=0), b"")
        while place is not None:
            work = partial(self._log.remove_conflicts, tenant_id=tenant_id, before=before, place=place)
            part, place = await self._briefly([tenant_id], work)
            gone += part
        return gone

    async def _briefly(
        self, tenants: Sequence[UUID], work: Callable[[Session], Awaitable[_T]], *, tries: int = _TRIES
    ) -> _T:
        """Do a step in a transaction that gives up on locks soon, and try it again a few times.

        Raises:
            PostgresBusy: others held the locks each time.
        """
        attempt = 0
        while True:
            attempt += 1
            await self._still_alone()
            try:
                async with self._pool.transaction(tenants) as session:
                    await session.query(self._sql["wait_briefly"], _LOCK_MS)
                    return await work(session)
            except PostgresBusy:
                if attempt == tries:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS * min(attempt, 3))

    async def _still_alone(self) -> None:
        """See that no other purge can have begun: what keeps it out ends with its connection."""
        if self._guard is None:
            return
        try:
            await self._guard.query(self._sql["still_there"])
        except Exception as error:  # noqa: BLE001 - the driver's, which go through no port
            raise as_store_error(error) from None
        self._guard.extend()
