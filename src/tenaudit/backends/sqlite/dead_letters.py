"""Records that hold no event, or one that the store refuses, kept in a SQLite file until they are replayed."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import StoreError
from tenaudit.audit.consumer import DeadLetter, DeadLetterBounds, DeadLetterTotals
from tenaudit.audit.consumer.kept_record import KeptRecord, storable_text
from tenaudit.backends.sqlite.dead_letter_rows import letter_of, record_of, row_of
from tenaudit.backends.sqlite.worker import SqliteWorker

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.consumer import SourceRecord

__all__ = ["DeadLetter", "SqliteDeadLetters"]

_T = TypeVar("_T")
_SQL = load_statements("tenaudit.backends.sqlite", "dead_letters.sql")
_STORE_ID = 0x7E4A0D17
_OWN_ID = 0x7E4A0D19
_MAX_PAGE = 1000
_MAX_ID = 2**63 - 1


class SqliteDeadLetters:
    """Keeps dead letters in the file of a `SqliteStore`, or in one of their own.

    Opened at its first use; entering it opens it at once. A file that is to be a store must be made by the store
    first. Values of more than 1 MiB, which no consumer takes, are cut.

    Args:
        path: the file; made when it is not there.
        bounds: how many letters are kept; None is 10 000 letters and 256 MiB.
        clock: tells when a record came.

    Raises (once it is entered or first used):
        StoreError: the file cannot be opened, or is another application's.

    Example:
        >>> import asyncio, tempfile
        >>> from tenaudit.audit.consumer import Partition, SourceRecord
        >>> async def main():
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         async with SqliteDeadLetters(f"{folder}/dead.db") as letters:
        ...             await letters.put(SourceRecord(Partition("audit.events", 0), 7, b"{"), "not_json")
        ...             return [(letter.id, letter.reason) for letter in await letters.page()]
        >>> asyncio.run(main())
        [(1, 'not_json')]
    """

    def __init__(
        self, path: str | os.PathLike[str], *, bounds: DeadLetterBounds | None = None, clock: Clock | None = None
    ) -> None:
        self._path = Path(path)
        self._bounds = bounds or DeadLetterBounds()
        self._clock = clock or SystemClock()
        self._worker = SqliteWorker(self._path, "tenaudit-dead-letters", self._inspect)

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        try:
            await self._worker.run(_has_table)
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
            StoreError: SQLite failed; nothing was kept.
        """
        kept = KeptRecord.of(record)
        row = row_of(kept, storable_text(reason), self._clock.time_ns() / 1e9)

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                if not _has_table(connection):
                    self._create(connection)
                if not connection.execute(_SQL["seen_again"], row).rowcount:
                    self._bounds.check(_totals(connection), kept.size)
                    connection.execute(_SQL["put_letter"], row)

        await self._worker.run(work)

    async def page(self, *, limit: int = 100, after: int = 0) -> tuple[DeadLetter, ...]:
        """Return at most *limit* letters, 1 to 1000, whose ids come behind *after*, in their order.

        Raises:
            ConfigurationError: *limit* is out of range.
            StoreError: SQLite failed.
        """
        if not 1 <= limit <= _MAX_PAGE:
            raise ConfigurationError(f"limit must be 1 to {_MAX_PAGE}, not {limit}")
        wanted = {"after": min(after, _MAX_ID), "limit": limit}
        return await self._ask(
            lambda connection: tuple(letter_of(row) for row in connection.execute(_SQL["list_letters"], wanted)), ()
        )

    async def get(self, letter_id: int) -> DeadLetter | None:
        """Return what is told of one letter, or None.

        Raises:
            StoreError: SQLite failed.
        """
        row = await self._row(_SQL["get_letter"], letter_id)
        return None if row is None else letter_of(row)

    async def record(self, letter_id: int) -> SourceRecord | None:
        """Return the record of one letter, or None.

        Raises:
            StoreError: SQLite failed, or the row was tampered with.
        """
        row = await self._row(_SQL["get_record"], letter_id)
        try:
            return None if row is None else record_of(row)
        except (ValueError, TypeError) as error:
            raise StoreError(f"{self._path}: dead letter {letter_id} was altered: {error}") from None

    async def refused(self, letter_id: int, reason: str) -> None:
        """Note that a replay was in vain, and why.

        Raises:
            StoreError: SQLite failed.
        """
        told = {"id": letter_id, "reason": storable_text(reason)}
        await self._ask(lambda connection: connection.execute(_SQL["refuse_letter"], told), None)

    async def delete(self, letter_id: int) -> bool:
        """Delete a letter; False when there is none of that id.

        Raises:
            StoreError: SQLite failed.
        """
        if not 0 < letter_id <= _MAX_ID:
            return False
        which = {"id": letter_id}
        return await self._ask(
            lambda connection: connection.execute(_SQL["delete_letter"], which).rowcount == 1, default=False
        )

    async def totals(self) -> DeadLetterTotals:
        """Return how many letters there are, and how many bytes are kept of them.

        Raises:
            StoreError: SQLite failed.
        """
        return await self._ask(_totals, DeadLetterTotals(0, 0))

    async def close(self) -> None:
        """Close the file after the work that is already queued; a second call does nothing."""
        await self._worker.close()

    async def _row(self, statement: str, letter_id: int) -> sqlite3.Row | None:
        if not 0 < letter_id <= _MAX_ID:
            return None
        return await self._ask(
            lambda connection: connection.execute(statement, {"id": letter_id}).fetchone(), default=None
        )

    async def _ask(self, work: Callable[[sqlite3.Connection], _T], default: _T) -> _T:
        """Run *work* where there is a table: looking makes none, in a store that has no dead letters."""
        return await self._worker.run(lambda connection: work(connection) if _has_table(connection) else default)

    def _create(self, connection: sqlite3.Connection) -> None:
        is_new = _is_empty(connection)
        self._inspect(connection)
        connection.execute(_SQL["create_table"])
        if is_new:
            connection.execute(f"PRAGMA application_id = {_OWN_ID}")

    def _inspect(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that is another application's, before anything in it is touched."""
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        if found not in (_STORE_ID, _OWN_ID) and not _is_empty(connection):
            raise StoreError(f"{self._path}: is a database, but neither a tenaudit store nor one of dead letters")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some failures SQLite has rolled it back by itself.
        connection.rollback()
        raise


def _totals(connection: sqlite3.Connection) -> DeadLetterTotals:
    return DeadLetterTotals(*connection.execute(_SQL["totals"]).fetchone())


def _has_table(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute(_SQL["has_table"]).fetchone()[0])


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0] == 0)
