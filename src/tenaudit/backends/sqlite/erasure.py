"""Erasing a person's values in the file: reading goes beside the writer, and each change is one transaction of it."""

from __future__ import annotations

import json
from abc import abstractmethod
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit.audit import StoreError
from tenaudit.audit.erasure.kept import ErasesSubjects
from tenaudit.audit.erasure.steps import ErasureHeld, ErasureSteps, Found, Mentions
from tenaudit.audit.erasure.subject import StoredEvent
from tenaudit.audit.integrity import canonical_json
from tenaudit.audit.integrity.commitments import openings_of
from tenaudit.audit.retention.ranges import ranges_of
from tenaudit.audit.retention.records import erasure_event, kept_record
from tenaudit.backends.sqlite.purge_log import PurgeLog
from tenaudit.backends.sqlite.rows import event_from_row
from tenaudit.backends.sqlite.transaction import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from tenaudit.audit.erasure.subject import Subject
    from tenaudit.backends.sqlite.log import LogFile
    from tenaudit.backends.sqlite.worker import SqliteWorker

__all__ = ["SqliteErasure"]

_SCANNED_AT_ONCE = 10_000


class SqliteErasure(ErasesSubjects):
    """The part of the store that erasure is about."""

    _writer: SqliteWorker
    _reader: SqliteWorker

    @abstractmethod
    async def _opened(self) -> LogFile:
        """Return the log, once the file is open."""

    @asynccontextmanager
    async def _erasure_steps(
        self, subject: Subject, tenant_id: UUID, by: str, now: datetime
    ) -> AsyncIterator[ErasureSteps]:
        log = PurgeLog(await self._opened(), by, now)
        yield _Steps(self._writer, self._reader, _ErasureLog(log, subject, tenant_id))


class _Steps(ErasureSteps):
    def __init__(self, writer: SqliteWorker, reader: SqliteWorker, log: _ErasureLog) -> None:
        self._writer, self._reader, self._log = writer, reader, log

    async def scan(self, after: UUID | None) -> Found:
        """Return the next events that mention the person, by their ids."""
        return await self._reader.run(self._log.scan, "" if after is None else str(after))

    async def read(self, ids: Sequence[UUID]) -> Sequence[StoredEvent]:
        """Return events as they are."""
        return await self._reader.run(self._log.read, ids)

    async def erase(self, ids: Sequence[UUID]) -> tuple[int, int]:
        """Erase values and write the record of it into the log, both or neither."""
        return await self._writer.run(self._log.erase, ids)

    async def mentions(self) -> Mentions:
        """Return where else the person is mentioned."""
        return await self._reader.run(self._log.mentions)

    async def remove_others(self) -> Mapping[str, int]:
        """Delete the rows beside the log that mention the person, and write the record of it."""
        return await self._writer.run(self._log.remove_others)

    async def finish(self) -> bool:
        """Bring the write-ahead log, which has the old pages, into the file and cut it off, unless it is read."""
        ((busy, *_),) = await self._writer.run(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        return bool(busy)


class _ErasureLog:
    """What erasing does with the file; every method takes the connection it works on."""

    def __init__(self, log: PurgeLog, subject: Subject, tenant_id: UUID) -> None:
        self._log = log
        self._sql = log.statements
        self._subject = subject
        self._tenant_id = tenant_id
        self._whose = {
            "tenant_id": str(tenant_id),
            "name": subject.name,
            "quoted": subject.quoted,
            "nested": canonical_json(subject.quoted).decode()[1:-1],
        }

    def scan(self, connection: sqlite3.Connection, after: str) -> Found:
        """Return the next events that mention the person, by their ids."""
        values = {**self._whose, "after": after, "limit": _SCANNED_AT_ONCE}
        rows = connection.execute(self._sql["scan_events"], values).fetchall()
        ids = tuple(_event_id(row["event_id"]) for row in rows if row["mentions"])
        return Found(ids, _event_id(rows[-1]["event_id"]) if rows else None)

    def read(self, connection: sqlite3.Connection, ids: Sequence[UUID]) -> list[StoredEvent]:
        """Return events as they are."""
        values = {**self._whose, "ids": json.dumps([*map(str, ids)])}
        return [self._stored(row) for row in connection.execute(self._sql["subject_events"], values).fetchall()]

    def _stored(self, row: sqlite3.Row) -> StoredEvent:
        event_id = _event_id(row["event_id"])
        if not (self._log.fits(row)):
            return StoredEvent(row["leaf_idx"], event_id, {}, {}, fits=False)
        openings = openings_of(row["salts"], row["commitments"])
        return StoredEvent(row["leaf_idx"], event_id, event_from_row(row).record(), openings, fits=True)

    def erase(self, connection: sqlite3.Connection, ids: Sequence[UUID]) -> tuple[int, int]:
        """Erase values and append the record of it."""
        # What a page held before is overwritten, and not just given free.
        connection.execute("PRAGMA secure_delete = ON")
        places: dict[str, list[int]] = {}
        rows: list[dict[str, Any]] = []
        with transaction(connection, "IMMEDIATE"):
            self._refuse_held(connection)
            for event in self.read(connection, ids):
                found = self._subject.erased(event) if event.fits else None
                if found is not None and event.index is not None:
                    rows.append({**self._whose, **asdict(found[1]), "event_id": str(event.event_id)})
                    for place in found[0]:
                        places.setdefault(place, []).append(event.index)
            if rows:
                connection.executemany(self._sql["write_erased"], rows)
                ranges = {place: ranges_of(indexes) for place, indexes in places.items()}
                self._record(connection, ranges, {})
        return len(rows), sum(map(len, places.values()))

    def mentions(self, connection: sqlite3.Connection) -> Mentions:
        """Return where else the person is mentioned."""
        conflicts = connection.execute(self._sql["count_mentions"], self._whose).fetchone()[0]
        archives: list[str] = []
        records = 0
        for row in connection.execute(self._sql["read_records"], self._whose):
            records += self._subject.quoted in row["record"]
            record = kept_record(row["record"], self._tenant_id, row["event_id"])
            archives += () if record is None else record.archives
        terms = self._log.terms(connection, self._tenant_id)
        held = terms is not None and terms.held
        letters = self._letters(connection)
        return Mentions({"conflicts": conflicts} if conflicts else {}, records, tuple(archives), letters, held)

    def _letters(self, connection: sqlite3.Connection) -> int:
        if connection.execute(self._sql["has_letters"]).fetchone() is None:
            return 0
        which = {"bytes": self._subject.name.encode()}
        return int(connection.execute(self._sql["count_letters"], which).fetchone()[0])

    def remove_others(self, connection: sqlite3.Connection) -> Mapping[str, int]:
        """Delete second contents that mention the person, and append the record of it."""
        connection.execute("PRAGMA secure_delete = ON")
        with transaction(connection, "IMMEDIATE"):
            self._refuse_held(connection)
            gone = connection.execute(self._sql["delete_mentions"], self._whose).rowcount
            if gone:
                self._record(connection, {}, {"conflicts": gone})
        return {"conflicts": gone} if gone else {}

    def _refuse_held(self, connection: sqlite3.Connection) -> None:
        terms = self._log.terms(connection, self._tenant_id)
        if terms is not None and terms.held:
            raise ErasureHeld(self._tenant_id)

    def _record(self, connection: sqlite3.Connection, erased: Mapping[str, Any], others: Mapping[str, int]) -> None:
        event = erasure_event(self._tenant_id, erased, others, self._log.by, self._log.now)
        self._log.write(connection, event)


def _event_id(text: str) -> UUID:
    try:
        event_id = UUID(text)
    except ValueError:
        event_id = None
    # Another spelling of an id sorts elsewhere, and a scan would not come past it.
    if event_id is None or str(event_id) != text:
        raise StoreError(f"event {text!r} was altered; verify the store")
    return event_id
