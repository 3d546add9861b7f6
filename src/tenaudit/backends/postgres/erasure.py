"""Erasing a person's values in the database; who calls it is a member of `tenaudit_purger`."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import StoreError
from tenaudit.audit.erasure.kept import ErasesSubjects
from tenaudit.audit.erasure.steps import ErasureHeld, ErasureSteps, Found, Mentions
from tenaudit.audit.erasure.subject import StoredEvent
from tenaudit.audit.integrity.commitments import openings_of
from tenaudit.audit.retention.ranges import ranges_of
from tenaudit.audit.retention.records import erasure_event, kept_record
from tenaudit.backends.postgres.partitions import months_ahead
from tenaudit.backends.postgres.pool import PostgresPool
from tenaudit.backends.postgres.purge_log import PurgeLog
from tenaudit.backends.postgres.rows import actual_leaf, event_from_row, plain_uuid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import date, datetime
    from typing import Any

    from tenaudit.audit.erasure.subject import ErasedRow, Subject
    from tenaudit.backends.postgres.pool import Session

__all__ = ["PostgresErasure"]

_STATEMENTS = load_statements("tenaudit.backends.postgres", "sql/erasure.sql")
_RETENTION = load_statements("tenaudit.backends.postgres", "sql/retention.sql")
_STEP_SECONDS = 120.0
# Whole payloads are looked through, and one may have 64 KiB.
_SCANNED_AT_ONCE = 5_000
_RECORDS_AT_ONCE = 1000
_FIRST = UUID(int=0)
_number = attrgetter("int")


class PostgresErasure(ErasesSubjects):
    """The part of the store that erasure is about."""

    _dsn: str

    @abstractmethod
    async def _opened(self) -> bytes:
        """Return the secret of content hashes, once the store is open."""

    @abstractmethod
    async def _make(self, months: Sequence[date]) -> None:
        """Make the partitions of months."""

    @asynccontextmanager
    async def _erasure_steps(
        self, subject: Subject, tenant_id: UUID, by: str, now: datetime
    ) -> AsyncIterator[ErasureSteps]:
        key = await self._opened()
        # The record of an erasure is an event of now.
        await self._make(months_ahead(now, 1))
        # Connections of its own: the store's have a shorter deadline, and may all be busy.
        pool = PostgresPool(self._dsn, max_connections=1, deadline=_STEP_SECONDS)
        try:
            yield _Steps(pool, subject, tenant_id, key, PurgeLog(key, _RETENTION, by, now))
        finally:
            await pool.close()


class _Steps(ErasureSteps):
    def __init__(self, pool: PostgresPool, subject: Subject, tenant_id: UUID, key: bytes, log: PurgeLog) -> None:
        self._pool = pool
        self._subject = subject
        self._tenant_id = tenant_id
        self._key = key
        self._log = log

    async def scan(self, after: UUID | None) -> Found:
        """Return the next events that mention the person, by their ids."""
        values = (self._tenant_id, after or _FIRST, self._subject.name, self._subject.quoted, _SCANNED_AT_ONCE)
        async with self._pool.transaction([self._tenant_id], mode="READ ONLY") as session:
            (part,) = await session.query(_STATEMENTS["scan_events"], *values)
        reached = part["reached"]
        return Found(tuple(map(plain_uuid, part["ids"])), None if reached is None else plain_uuid(reached))

    async def read(self, ids: Sequence[UUID]) -> Sequence[StoredEvent]:
        """Return events as they are."""
        async with self._pool.transaction([self._tenant_id], mode="READ ONLY") as session:
            return await self._read(session, ids)

    async def _read(self, session: Session, ids: Sequence[UUID]) -> list[StoredEvent]:
        bounds = (min(ids, key=_number), max(ids, key=_number))
        rows = await session.query(_STATEMENTS["subject_events"], self._tenant_id, ids, *bounds)
        return [self._stored(row) for row in rows]

    def _stored(self, row: Mapping[str, Any]) -> StoredEvent:
        event_id = plain_uuid(row["event_id"])
        if actual_leaf(row, self._key) != row["leaf_hash"]:
            return StoredEvent(row["leaf_idx"], event_id, {}, {}, fits=False)
        openings = openings_of(row["salts"], row["commitments"])
        return StoredEvent(row["leaf_idx"], event_id, event_from_row(row).record(), openings, fits=True)

    async def erase(self, ids: Sequence[UUID]) -> tuple[int, int]:
        """Erase values and write the record of it into the log, both or neither."""
        async with self._pool.transaction([self._tenant_id]) as session:
            await self._lock(session)
            places: dict[str, list[int]] = {}
            rows: list[ErasedRow] = []
            for event in sorted(await self._read(session, ids), key=lambda one: one.index or 0):
                found = self._subject.erased(event) if event.fits else None
                if found is not None and event.index is not None:
                    rows.append(found[1])
                    for place in found[0]:
                        places.setdefault(place, []).append(event.index)
            if rows:
                await self._write(session, rows)
                ranges = {place: ranges_of(indexes) for place, indexes in places.items()}
                await self._record(session, ranges, {})
        return len(rows), sum(map(len, places.values()))

    async def _write(self, session: Session, rows: Sequence[ErasedRow]) -> None:
        ids = [row.event_id for row in rows]
        columns = [
            [row.actor_id for row in rows],
            [row.resource_id for row in rows],
            [row.payload for row in rows],
            [row.commitments for row in rows],
        ]
        bounds = (min(ids, key=_number), max(ids, key=_number))
        (written,) = await session.query(_STATEMENTS["write_erased"], self._tenant_id, ids, *columns, *bounds)
        if written[0] != len(rows):
            raise StoreError(f"tenant {self._tenant_id}: an event that was about to be erased is gone; try again")

    async def mentions(self) -> Mentions:
        """Return where else the person is mentioned."""
        archives: list[str] = []
        records = 0
        async with self._pool.transaction([self._tenant_id], mode="READ ONLY") as session:
            rows = {
                "conflicts": await self._count(session, "count_conflicts", *self._in_conflicts()),
                "dead_letters": await self._count(session, "count_letters", *self._in_letters()),
            }
            name = self._subject.name.encode()
            letters = await self._count(session, "count_other_letters", *self._in_letters(), name)
            head = await session.row("read_log", self._tenant_id)
            place: int | None = None
            while page := await session.rows("read_records", self._tenant_id, place, _RECORDS_AT_ONCE):
                session.extend()
                place = page[-1]["idx"]
                for row in page:
                    records += self._subject.quoted in row["record"]
                    record = kept_record(row["record"], self._tenant_id, row["event_id"])
                    archives += () if record is None else record.archives
        there = {name: count for name, count in rows.items() if count}
        return Mentions(there, records, tuple(archives), letters, head is not None and head["held"])

    async def remove_others(self) -> Mapping[str, int]:
        """Delete the rows beside the log that mention the person, and write the record of it."""
        async with self._pool.transaction([self._tenant_id]) as session:
            await self._lock(session)
            rows = {
                "conflicts": await self._count(session, "delete_conflicts", *self._in_conflicts()),
                "dead_letters": await self._count(session, "delete_letters", *self._in_letters()),
            }
            gone = {name: count for name, count in rows.items() if count}
            if gone:
                await self._record(session, {}, gone)
        return gone

    def _in_conflicts(self) -> tuple[object, ...]:
        return self._tenant_id, self._subject.quoted, self._subject.name

    def _in_letters(self) -> tuple[object, ...]:
        return str(self._tenant_id).encode(), [name.encode() for name in self._subject.spellings]

    async def finish(self) -> bool:
        """Leave what is to be done to VACUUM, which asks for an owner."""
        return False

    async def _lock(self, session: Session) -> None:
        ((may, who),) = await session.query(_STATEMENTS["may_erase"])
        if not may:
            raise StoreError(f"the user {who} may not erase; grant tenaudit_purger")
        heads = await session.rows("lock_logs", [self._tenant_id])
        if any(head["held"] for head in heads):
            raise ErasureHeld(self._tenant_id)

    async def _record(self, session: Session, erased: Mapping[str, Any], others: Mapping[str, int]) -> None:
        event = erasure_event(self._tenant_id, erased, others, self._log.by, self._log.now)
        await self._log.write(session, [event])

    async def _count(self, session: Session, statement: str, *values: object) -> int:
        (counted,) = await session.query(_STATEMENTS[statement], *values)
        return int(counted[0])
