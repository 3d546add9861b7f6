"""The store in PostgreSQL: partitions by time, tenants kept apart by the database, a log that proves every row."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit.audit import AppendResult, AuditEvent, SinkRejected, StoreError, VerifyReport
from tenaudit.audit.personal import PersonalFields
from tenaudit.audit.query import CursorCodec
from tenaudit.audit.retention.moments import wall_time
from tenaudit.backends.postgres.batch import parts, refused_events, sealed_rows, staged_rows, tenants_of
from tenaudit.backends.postgres.check import self_check
from tenaudit.backends.postgres.erasure import PostgresErasure
from tenaudit.backends.postgres.log import append_rows, read_tips, seal_logs
from tenaudit.backends.postgres.partitions import KnownDays, month_after, months_ahead
from tenaudit.backends.postgres.pool import PostgresPool, PostgresRefusal
from tenaudit.backends.postgres.proofs import PostgresProofs
from tenaudit.backends.postgres.reading import READ, PostgresReading
from tenaudit.backends.postgres.retention import PostgresRetention
from tenaudit.backends.postgres.rows import plain_uuid
from tenaudit.backends.postgres.verify import Basis, verify_tenants

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
    from datetime import date
    from types import TracebackType
    from uuid import UUID

    from tenaudit.audit import VerifyPart
    from tenaudit.audit.integrity import Checkpoint
    from tenaudit.backends.postgres.rows import SealedRow

__all__ = ["PostgresStore"]

_SEALED_AT_ONCE = 500
_MOST_KNOWN_TENANTS = 100_000


class PostgresStore(PostgresReading, PostgresErasure, PostgresRetention, PostgresProofs):
    """Keeps events, their log and its checkpoints in the tables that `migrate` makes.

    Made by `connect`; awaiting it, or entering it, checks the database at once, and the first use does so otherwise.
    It belongs to the event loop of its first use, and a process that forks opens it after forking.

    Each transaction names the tenants that it is about, and PostgreSQL gives it no row of another, whatever the query
    says. A pooler in transaction mode may stand between.

    Args:
        dsn: `postgresql://user:password@host:port/database`; it never stands in a message. The user is a member of
            `tenaudit_writer`, or of `tenaudit_reader` where nothing is written.
        max_connections: most connections at a time, 1 to 100; who comes later waits, within the deadline.
        deadline: seconds that a transaction may take, the wait for a connection and for locks included.
        clock: tells what has expired, when a checkpoint is sealed and what a purge removes.
        personal: what may have to be erased, beside actors and the addresses of clients.

    Raises:
        ConfigurationError: *dsn* is no URL of PostgreSQL, or a number is out of range.

    Example:
        >>> store = PostgresStore.connect("postgresql://audit:secret@db.example/audit", max_connections=4)
        >>> asyncio.run(store.close())
    """

    def __init__(
        self,
        dsn: str,
        *,
        max_connections: int = 10,
        deadline: float = 5.0,
        clock: Clock | None = None,
        personal: PersonalFields | None = None,
    ) -> None:
        self._dsn = dsn
        self._personal = personal or PersonalFields()
        self._clock = clock or SystemClock()
        self._pool = PostgresPool(dsn, max_connections=max_connections, deadline=deadline)
        self._opening = asyncio.Lock()
        self._key: bytes | None = None
        self._codec = CursorCodec(bytes(32))
        self._days = KnownDays()
        self._begun: frozenset[UUID] = frozenset()

    @classmethod
    def connect(
        cls,
        dsn: str,
        *,
        max_connections: int = 10,
        deadline: float = 5.0,
        clock: Clock | None = None,
        personal: PersonalFields | None = None,
    ) -> Self:
        """Return the store of a database; all but the arguments is checked once it is awaited, entered or first used.

        Raises:
            ConfigurationError: *dsn* is no URL of PostgreSQL, or a number is out of range; the tables are missing or of
                another version, or the user or the tables are such that tenants would not be kept apart; it names all
                that is wrong.
            StoreError: there is no such server or database.
        """
        return cls(dsn, max_connections=max_connections, deadline=deadline, clock=clock, personal=personal)

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
        """Store each event once and give it its place in its tenant's log, in one transaction 2000 events or 16 MiB.

        Raises:
            SinkRejected: events that have no canonical JSON, hold U+0000, or that PostgreSQL can never take; nothing
                was written of the transaction at hand.
            StoreError: PostgreSQL failed, or gave no answer in time: what became of the transaction at hand is then
                not known, and appending the same events again is harmless.
        """
        return await self._append_all(sealed_rows(events, await self._opened(), self._personal))

    async def stage(self, events: Sequence[AuditEvent]) -> Callable[[], Awaitable[AppendResult]] | None:
        """Return the call that appends *events*, with all done that needs no database; None before the first use.

        Who appends batch after batch stages the next while PostgreSQL has the one before.

        Raises:
            SinkRejected: as `append` does, which names all of them.
        """
        return (
            None
            if self._key is None
            else partial(self._append_all, await staged_rows(events, self._key, self._personal))
        )

    async def seal(self, tenant_id: UUID | None = None) -> tuple[Checkpoint, ...]:
        """Write a checkpoint for each tenant whose log has grown, and return the new ones."""
        await self._opened()
        async with self._pool.transaction(mode=READ) as session:
            grown = [plain_uuid(row["tenant_id"]) for row in await session.rows("grown_logs", tenant_id)]
        sealed: tuple[Checkpoint, ...] = ()
        for start in range(0, len(grown), _SEALED_AT_ONCE):
            part = grown[start : start + _SEALED_AT_ONCE]
            async with self._pool.transaction(part) as session:
                sealed += await seal_logs(session, part, wall_time(self._clock))
        return sealed

    async def tips(self) -> tuple[Checkpoint, ...]:
        """Return the newest checkpoint of each tenant that has one, in the order of the tenants."""
        return await read_tips(self._pool, await self.tenants(), READ)

    async def verify(
        self,
        tenant_id: UUID | None = None,
        *,
        signed: Mapping[UUID, Sequence[Checkpoint]] | None = None,
        part: VerifyPart | None = None,
    ) -> VerifyReport:
        """Recompute every leaf, every root and every checkpoint, each tenant from one snapshot of the database.

        Each page has the deadline anew. *signed* are trusted checkpoints by tenant that were kept elsewhere (see
        `CheckpointKeeper`): whoever can write all tables can recompute everything, so only these show what was cut off
        behind the last checkpoint, or rewritten. Not covered: when a conflict was seen, one deleted, the cursor secret.
        *part* names the tenants of one of several calls, which may run at the same time.
        """
        key = await self._opened()
        basis = Basis(key, signed or {}, wall_time(self._clock))
        tenants = sorted({*await self._known_tenants(), *basis.signed}) if tenant_id is None else [tenant_id]
        chosen = [tenant for tenant in tenants if part is None or part.has(tenant)]
        return await verify_tenants(self._pool, chosen, basis)

    async def self_check(self) -> None:
        """Refuse a database or a user with which tenants would not be kept apart, as the first use does.

        Raises:
            ConfigurationError: it names all that is wrong; a StoreError says that PostgreSQL did not answer.
        """
        async with self._pool.transaction(mode=READ) as session:
            await self_check(session)

    async def make_partitions(self, ahead: int = 2) -> None:
        """Make the partitions of this month and of those *ahead*, unless they are there.

        Appending makes those of an event's month and the next, so this spares the first event of a month its wait.
        """
        await self._opened()
        await self._make(months_ahead(datetime.now(UTC), ahead))

    async def close(self) -> None:
        """Close every connection; a second call does nothing."""
        await self._pool.close()

    async def _opened(self) -> bytes:
        if self._key is None:
            async with self._opening:
                self._key = await self._open()
        return self._key

    async def _open(self) -> bytes:
        # Of several that come first, one has opened it by the time that the others get here.
        if self._key is not None:
            return self._key
        async with self._pool.transaction(mode=READ) as session:
            await self_check(session)
            secrets = [await session.value("read_secret", name) for name in ("cursor_key", "content_key")]
        try:
            self._codec = CursorCodec(secrets[0] or b"")
        except ValueError as error:
            raise StoreError(f"the cursor_key in PostgreSQL was altered: {error}; verify the store") from error
        return secrets[1] or b""

    async def _known_tenants(self) -> list[UUID]:
        async with self._pool.transaction(mode=READ) as session:
            return [plain_uuid(row["tenant_id"]) for row in await session.rows("known_tenants")]

    async def _append_all(self, rows: Sequence[SealedRow]) -> AppendResult:
        total = AppendResult(0, 0, 0, 0)
        for part in parts(rows):
            result = await self._append(part)
            total = AppendResult(*(a + b for a, b in zip(total, result, strict=True)))
        return total

    async def _append(self, rows: Sequence[SealedRow]) -> AppendResult:
        ids = [row.event_id for row in rows]
        if months := self._days.missing(ids):
            await self._make(sorted({*months, *map(month_after, months)}))
            self._days.add(ids)
        tenants, now = tenants_of(rows), wall_time(self._clock)
        try:
            async with self._pool.transaction(tenants) as session:
                result = await append_rows(session, rows, self._begun, now)
        except PostgresRefusal as refusal:
            refused = await refused_events(self._pool, rows, now)
            if refused:
                raise SinkRejected(refused, "refused_by_postgresql") from refusal
            raise
        known = self._begun if len(self._begun) < _MOST_KNOWN_TENANTS else frozenset()
        self._begun = known.union(tenants)
        return result

    async def _make(self, months: Sequence[date]) -> None:
        for month in months:
            async with self._pool.transaction() as session:
                await session.value("make_partition", month)
