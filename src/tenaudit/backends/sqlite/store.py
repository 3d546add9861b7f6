"""The embedded store: one file, one writer thread, readers that never wait for it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import AppendResult, AuditEvent, AuditQuery, Page, StoreError, VerifyReport
from tenaudit.audit.personal import PersonalFields
from tenaudit.audit.query import CursorCodec
from tenaudit.backends.sqlite.account import AccountReader
from tenaudit.backends.sqlite.erasure import SqliteErasure
from tenaudit.backends.sqlite.follow import follow_log, log_size
from tenaudit.backends.sqlite.log import LogFile
from tenaudit.backends.sqlite.proofs import SqliteProofs, fill_subtrees
from tenaudit.backends.sqlite.retention import SqliteRetention
from tenaudit.backends.sqlite.rows import event_from_row, uuid_or_text
from tenaudit.backends.sqlite.search import search_page
from tenaudit.backends.sqlite.tally import count_stats
from tenaudit.backends.sqlite.worker import SqliteWorker

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Mapping, Sequence
    from types import TracebackType
    from uuid import UUID

    from tenaudit.audit import VerifyPart
    from tenaudit.audit.integrity import Checkpoint
    from tenaudit.audit.producer_rows import AccountWindow, StoreAccount
    from tenaudit.audit.stats import EventStats

__all__ = ["SqliteStore"]

_PACKAGE = "tenaudit.backends.sqlite"
_VERSION = 4
_FIRST_WITH_SUBTREES = 4
_APPLICATION_ID = 0x7E4A0D17
_LARGEST_WRITE = 1000


class SqliteStore(SqliteErasure, SqliteRetention, SqliteProofs):
    """Keeps events, their log and its checkpoints in one SQLite file.

    Made by `open`; awaiting it, or entering it, opens the file at once, and the first use does so otherwise. A
    process that forks does best to open it after forking; a child opens the file anew at its first use.

    Args:
        path: the file.
        clock: tells what has expired, when a checkpoint is sealed and what a purge removes.
        personal: what may have to be erased, beside actors and the addresses of clients.

    Example:
        >>> import asyncio, tempfile
        >>> from uuid import UUID
        >>> async def main():
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         async with SqliteStore.open(f"{folder}/audit.db") as store:
        ...             page = await store.search(AuditQuery(UUID(int=1)))
        ...             return page.events, (await store.verify()).verified
        >>> asyncio.run(main())
        ((), True)
    """

    def __init__(
        self, path: str | os.PathLike[str], *, clock: Clock | None = None, personal: PersonalFields | None = None
    ) -> None:
        self._path = Path(path)
        self._clock = clock or SystemClock()
        self._personal = personal or PersonalFields()
        self._sql = load_statements(_PACKAGE, "queries.sql")
        self._writer = SqliteWorker(self._path, "tenaudit-sqlite-writer", self._inspect)
        self._reader = SqliteWorker(self._path, "tenaudit-sqlite-reader", self._inspect)
        self._opening = asyncio.Lock()
        self._log: LogFile | None = None
        self._codec = CursorCodec(bytes(32))

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, clock: Clock | None = None, personal: PersonalFields | None = None
    ) -> Self:
        """Return the store of a file, which is made when it is not there.

        Raises (once it is awaited, entered or first used):
            StoreError: the file cannot be opened, is no tenaudit store, or was made by a newer version.
        """
        return cls(path, clock=clock, personal=personal)

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        try:
            await self._opened()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def append(self, events: Sequence[AuditEvent]) -> AppendResult:
        """Store each event once and give it its place in the tenant's log, in one transaction a thousand events.

        Raises:
            SinkRejected: events that have no canonical JSON, or hold U+0000, can never be stored; nothing was written
                of the thousand at hand.
            StoreError: SQLite failed; nothing was written of the thousand at hand.
        """
        log = await self._opened()
        total = AppendResult(0, 0, 0, 0)
        for start in range(0, len(events), _LARGEST_WRITE):
            part = events[start : start + _LARGEST_WRITE]
            result = await self._writer.run(log.append, part)
            total = AppendResult(*(a + b for a, b in zip(total, result, strict=True)))
        return total

    async def search(self, query: AuditQuery) -> Page:
        """Return one page of the query's tenant.

        Raises:
            InvalidCursor: the cursor was altered or belongs to another query.
        """
        await self._opened()
        return await self._reader.run(search_page, self._sql["search_events"], query, self._codec)

    async def get(self, tenant_id: UUID, event_id: UUID) -> AuditEvent | None:
        """Return one event of the tenant, or None."""
        await self._opened()
        which = {"tenant_id": str(tenant_id), "event_id": str(event_id)}
        row = await self._reader.run(lambda c: c.execute(self._sql["get_event"], which).fetchone())
        return None if row is None else event_from_row(row)

    async def count(self, tenant_id: UUID | None = None) -> int:
        """Return how many events are stored, of one tenant or of all."""
        await self._opened()
        whose = {"tenant_id": None if tenant_id is None else str(tenant_id)}
        counted = await self._reader.run(lambda c: c.execute(self._sql["count_events"], whose).fetchone())
        return int(counted[0])

    async def follow(self, tenant_id: UUID, after: int, limit: int) -> list[tuple[int, AuditEvent]]:
        """Return the tenant's events behind position *after* in the order of arrival; see `tenaudit.audit.follow`."""
        await self._opened()
        return await self._reader.run(follow_log, self._sql, tenant_id, after, limit)

    async def newest_position(self, tenant_id: UUID) -> int:
        """Return the position of the event that the tenant's log took last, 0 before the first."""
        await self._opened()
        return await self._reader.run(log_size, self._sql, tenant_id)

    async def stats(self, query: AuditQuery, *, max_events: int, seconds: float) -> EventStats:
        """Count what fits, from the newest on, within bounds; see `tenaudit.audit.stats`."""
        await self._opened()
        return await self._reader.run(count_stats, self._sql["count_stats"], query, max_events, seconds)

    async def account(
        self, window: AccountWindow, *, held: Mapping[UUID, Sequence[UUID]], seconds: float
    ) -> StoreAccount:
        """Count each producer's events from one snapshot of the file; see `tenaudit.audit.producer_rows`."""
        await self._opened()
        reader = AccountReader(self._sql, window, seconds)
        try:
            return await self._reader.run(reader.read, held)
        finally:
            # A caller that goes away must not leave the reader's one thread busy.
            reader.give_up()

    async def tenants(self) -> tuple[UUID, ...]:
        """Return every tenant that has a log, in order; one whose id was tampered with is left to `verify`."""
        await self._opened()
        rows = await self._reader.run(lambda c: c.execute(self._sql["logged_tenants"]).fetchall())
        named = (uuid_or_text(row["tenant_id"]) for row in rows)
        return tuple(tenant for tenant in named if not isinstance(tenant, str))

    async def seal(self, tenant_id: UUID | None = None) -> tuple[Checkpoint, ...]:
        """Write a checkpoint for each tenant whose log has grown, and return the new ones."""
        log = await self._opened()
        return await self._writer.run(log.seal, tenant_id)

    async def tips(self) -> tuple[Checkpoint, ...]:
        """Return the newest checkpoint of each tenant that has one, in the order of the tenants."""
        log = await self._opened()
        return await self._reader.run(log.tips)

    async def verify(
        self,
        tenant_id: UUID | None = None,
        *,
        signed: Mapping[UUID, Sequence[Checkpoint]] | None = None,
        part: VerifyPart | None = None,
    ) -> VerifyReport:
        """Recompute every leaf, every root and every checkpoint from one snapshot of the file.

        *signed* are checkpoints by tenant that were kept elsewhere and are trusted (see
        `tenaudit.audit.checkpoint_keeper`): the logs must have been what they say. Whoever can write the file can also
        read its keys and recompute everything in it, so some things only those can show: events, leaves and log cut
        off together behind the last checkpoint (or all of a tenant's rows in all tables), and a history rewritten
        whole. Not covered at all: the time at which a conflict was seen, a conflict row that is deleted, and the secret
        of the cursors. *part* names the tenants of one of several calls, which may run at the same time.
        """
        log = await self._opened()
        return await self._reader.run(log.check.report, tenant_id, signed or {}, part)

    async def close(self) -> None:
        """Close the file after the work that is already queued; a second call does nothing."""
        await self._reader.close()
        await self._writer.close()

    async def _opened(self) -> LogFile:
        if self._log is None:
            async with self._opening:
                if self._log is None:
                    cursor_key, content_key = await self._writer.run(self._prepare)
                    try:
                        self._codec = CursorCodec(cursor_key)
                    except ValueError as error:
                        raise StoreError(f"{self._path}: its cursor_key was altered: {error}") from error
                    self._log = LogFile(self._sql, content_key, self._clock, self._personal)
        return self._log

    def _prepare(self, connection: sqlite3.Connection) -> tuple[bytes, bytes]:
        """Make the schema in a new file, and return the file's two secrets."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _is_empty(connection):
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._inspect(connection)
            self._upgrade(connection)
            keys = [self._secret(connection, name) for name in ("cursor_key", "content_key")]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return keys[0], keys[1]

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        """Bring a file to this version; whoever else comes at the same time waits for the transaction."""
        found = _version(connection)
        for version in range(found + 1, _VERSION + 1):
            schema = (Path(__file__).parent / f"schema_{version}.sql").read_text(encoding="utf-8")
            # Not executescript: that would commit the transaction which makes the schema all or nothing.
            for statement in schema.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
        if found < _FIRST_WITH_SUBTREES:
            fill_subtrees(connection, self._sql)
        if found < _VERSION:
            connection.execute(f"PRAGMA user_version = {_VERSION}")

    def _inspect(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that is another application's or another version's, before anything in it is touched."""
        if _application_id(connection) != _APPLICATION_ID:
            if _is_empty(connection):
                return
            # Another process may have made the store between the two looks.
            if _application_id(connection) != _APPLICATION_ID:
                raise StoreError(f"{self._path}: is a database, but no tenaudit store; name another file")
        found = _version(connection)
        if found > _VERSION:
            raise StoreError(f"{self._path}: has schema {found}, this version reads {_VERSION}; upgrade tenaudit")

    def _secret(self, connection: sqlite3.Connection, name: str) -> bytes:
        connection.execute(self._sql["write_meta"], {"name": name, "value": os.urandom(32)})
        return bytes(connection.execute(self._sql["read_meta"], {"name": name}).fetchone()["value"])


def _application_id(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0] == 0)
