"""Records that hold no event, or one that the store refuses, kept in PostgreSQL until they are replayed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import StoreError
from tenaudit.audit.consumer import DeadLetter, DeadLetterBounds, DeadLetterTotals, Partition
from tenaudit.audit.consumer.kept_record import KeptRecord, storable_text
from tenaudit.backends.postgres.pool import PostgresPool

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.consumer import SourceRecord

__all__ = ["PostgresDeadLetters"]

_SQL = load_statements("tenaudit.backends.postgres", "sql/dead_letters.sql")
_READ = "READ ONLY"
_MAX_PAGE = 1000
_MAX_ID = 2**63 - 1


class PostgresDeadLetters:
    """Keeps dead letters in the table that `migrate` makes, where every consumer of a store finds them.

    They belong to no tenant, since nobody can tell whose a record without an event is. The user is a member of
    `tenaudit_writer`; deleting takes `tenaudit_purger`, and a `tenaudit_reader` sees everything but the records.

    Args:
        dsn: `postgresql://user:password@host:port/database`; it never stands in a message.
        bounds: how many letters are kept; None is 10 000 letters and 256 MiB.
        max_connections: most connections at a time, 1 to 100.
        deadline: seconds that a transaction may take, the wait for a connection and for locks included.
        clock: tells when a record came.

    Raises:
        ConfigurationError: *dsn* is no URL of PostgreSQL, or a number is out of range.

    Example:
        >>> import asyncio
        >>> letters = PostgresDeadLetters("postgresql://audit:secret@db.example/audit")
        >>> asyncio.run(letters.close())
    """

    def __init__(
        self,
        dsn: str,
        *,
        bounds: DeadLetterBounds | None = None,
        max_connections: int = 2,
        deadline: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self._pool = PostgresPool(dsn, max_connections=max_connections, deadline=deadline)
        self._bounds = bounds or DeadLetterBounds()
        self._clock = clock or SystemClock()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        try:
            await self.get(1)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def put(self, record: SourceRecord, reason: str) -> None:
        """Keep a record, once for each position and value; one that comes again is counted, also when there is no room.

        Raises:
            DeadLettersFull: there is no room for another one.
            StoreError: PostgreSQL failed, or gave no answer in time; putting it again is harmless.
        """
        kept = KeptRecord.of(record)
        now = datetime.fromtimestamp(self._clock.time_ns() / 1e9, UTC)
        which = (kept.topic, kept.number, kept.place, kept.digest, storable_text(reason), now)
        what = (kept.key, kept.value, kept.value_bytes, kept.headers, kept.is_whole, kept.written_ms)
        async with self._pool.transaction() as session:
            await session.query(_SQL["lock"])
            if not await session.query(_SQL["seen_again"], *which):
                (totals,) = await session.query(_SQL["totals"])
                self._bounds.check(DeadLetterTotals(*totals), kept.size)
                await session.query(_SQL["put_letter"], *which, *what)

    async def page(self, *, limit: int = 100, after: int = 0) -> tuple[DeadLetter, ...]:
        """Return at most *limit* letters, 1 to 1000, whose ids come behind *after*, in their order.

        Raises:
            ConfigurationError: *limit* is out of range.
            StoreError: PostgreSQL failed, or gave no answer in time.
        """
        if not 1 <= limit <= _MAX_PAGE:
            raise ConfigurationError(f"limit must be 1 to {_MAX_PAGE}, not {limit}")
        async with self._pool.transaction(mode=_READ) as session:
            rows = await session.query(_SQL["list_letters"], min(after, _MAX_ID), limit)
        return tuple(_letter_of(row) for row in rows)

    async def get(self, letter_id: int) -> DeadLetter | None:
        """Return what is told of one letter, or None.

        Raises:
            StoreError: PostgreSQL failed, or gave no answer in time.
        """
        row = await self._row("get_letter", letter_id)
        return None if row is None else _letter_of(row)

    async def record(self, letter_id: int) -> SourceRecord | None:
        """Return the record of one letter, or None.

        Raises:
            StoreError: PostgreSQL failed, denies it to this user, or gave no answer in time; or the row was tampered
                with.
        """
        row = await self._row("get_record", letter_id)
        try:
            return None if row is None else KeptRecord(*row).record()
        except (ValueError, TypeError) as error:
            raise StoreError(f"dead letter {letter_id} in PostgreSQL was altered: {error}") from None

    async def refused(self, letter_id: int, reason: str) -> None:
        """Note that a replay was in vain, and why.

        Raises:
            StoreError: PostgreSQL failed, or gave no answer in time.
        """
        async with self._pool.transaction() as session:
            await session.query(_SQL["refuse_letter"], letter_id, storable_text(reason))

    async def delete(self, letter_id: int) -> bool:
        """Delete a letter; False when there is none of that id.

        Raises:
            StoreError: the user may not, PostgreSQL failed, or gave no answer in time.
        """
        if not 0 < letter_id <= _MAX_ID:
            return False
        async with self._pool.transaction() as session:
            ((may, who),) = await session.query(_SQL["may_delete"])
            if not may:
                raise StoreError(f"the user {who} may not delete dead letters; grant tenaudit_purger")
            return bool(await session.query(_SQL["delete_letter"], letter_id))

    async def totals(self) -> DeadLetterTotals:
        """Return how many letters there are, and how many bytes are kept of them.

        Raises:
            StoreError: PostgreSQL failed, denies it to this user, or gave no answer in time.
        """
        async with self._pool.transaction(mode=_READ) as session:
            (totals,) = await session.query(_SQL["totals"])
        return DeadLetterTotals(*totals)

    async def close(self) -> None:
        """Close every connection; a second call does nothing."""
        await self._pool.close()

    async def _row(self, statement: str, letter_id: int) -> Any:
        if not 0 < letter_id <= _MAX_ID:
            return None
        async with self._pool.transaction(mode=_READ) as session:
            rows = await session.query(_SQL[statement], letter_id)
        return rows[0] if rows else None


def _letter_of(row: Any) -> DeadLetter:
    place = Partition(row["topic"], row["number"])
    first, last = row["first_seen"].timestamp(), row["last_seen"].timestamp()
    told = (row["place"], row["reason"], row["value_bytes"], row["is_whole"])
    return DeadLetter(row["id"], place, *told, first, last, row["times_seen"], row["replays"])
