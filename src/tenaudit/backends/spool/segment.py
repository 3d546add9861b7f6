"""One file of the spool: a SQLite database in WAL mode that is filled once, read in order and removed whole."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from tenaudit.audit import SpoolError
from tenaudit.backends.spool.record import MOST_IN_CHUNK, chunked, unchunked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tenaudit.backends.spool.record import Placed, Record

__all__ = ["Damaged", "Segment"]

_PAGE = 4096
_BEYOND = 2**63 - 1
_PIECE = 2**20
_APPLICATION = 0x7453706C
# No event comes near this; a damaged length must not become an allocation.
_LONGEST = 8 * 2**20
# What SQLite says of a system that is ill now. Everything else that it says while reading is about the file.
_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
# The second: SQLite's message quotes a damaged schema, and that need not be text.
_SAID = (sqlite3.Error, UnicodeDecodeError)
_SCAN = "SELECT first, chunk FROM chunks WHERE first > ? AND first < ? ORDER BY first"
_LOOK = "SELECT first, chunk FROM chunks WHERE first = ?"


class Damaged(Exception):  # noqa: N818 - a finding
    """The file, or the part that was asked for, cannot be read and never will be."""


class Segment:
    """The file that holds the records from number *first* on.

    Args:
        path: the database file.
        first: the number of its first record.
    """

    __slots__ = ("_connection", "_is_hard", "_log", "_path", "first")

    def __init__(self, path: Path, first: int) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        # Whether the disk is known to hold the log: of one that an earlier connection left it is not.
        self._is_hard = False
        self.first = first
        self._connection: sqlite3.Connection | None = None

    @property
    def connection(self) -> sqlite3.Connection | None:
        """The open connection, which a forked child must keep and never close."""
        return self._connection

    def create(self, wal_pages: int) -> None:
        """Make the file.

        Args:
            wal_pages: pages in the log after which SQLite moves them into the database.

        Raises:
            sqlite3.Error, OSError: it cannot be made.
        """
        # Made here and not by SQLite, whose files everybody may read; its log gets the same mode.
        os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        self._is_hard = True
        connection = self._opened()
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        # Fetched to the end, where the commit is: one that fails would go unnoticed and leave a rollback journal, which
        # is only unlinked by later commits and may come back after a loss of power, to undo them.
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {wal_pages}")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute("CREATE TABLE chunks (first INTEGER PRIMARY KEY, chunk BLOB NOT NULL)")

    def _opened(self) -> sqlite3.Connection:
        uri = f"file:{_quoted(self._path)}?mode=rw"
        # Kept before it is used: a child that is forked meanwhile must find whatever may hold a lock.
        connection = self._connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=0
        )
        connection.text_factory = bytes
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        # The spool's lock keeps others out. Held exclusively, WAL mode needs no shared memory file, which a full
        # disk could not give.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        return connection

    def append(self, records: Sequence[Record], first: int) -> None:
        """Write *records*, numbered from *first* on, and return when they are on disk; all or none.

        Raises:
            sqlite3.Error: they could not be written; nothing of them counts.
        """
        connection = self._connection
        assert connection is not None
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("INSERT INTO chunks (first, chunk) VALUES (?, ?)", chunked(records, first))
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def rows(self, start: int, stop: int, *, patient: bool) -> Iterator[Placed]:
        """Yield what is whole from number *start* to before *stop*, in order.

        Args:
            start: the first number.
            stop: the number after the last one.
            patient: False to take what cannot be read now for what never can be.

        Raises:
            SpoolError: the system cannot read now; only if *patient*.
        """
        reached = start
        try:
            for record in self._scan(start, stop, patient=patient):
                # Damage can bend the order of a tree; what comes late was passed already.
                if reached <= record.seq < stop:
                    reached = record.seq + 1
                    yield record
        except Damaged:
            for record in self._looked_up(reached, stop, patient=patient):
                if reached <= record.seq < stop:
                    reached = record.seq + 1
                    yield record

    def _scan(self, start: int, stop: int, *, patient: bool) -> Iterator[Placed]:
        try:
            with closing(self._reader(patient=patient).execute(_SCAN, (start - MOST_IN_CHUNK, stop))) as cursor:
                for row in cursor:
                    yield from unchunked(*row)
        except _SAID as error:
            raise _finding(self._path, error, patient=patient) from error

    def _looked_up(self, start: int, stop: int, *, patient: bool) -> Iterator[Placed]:
        """Try one number after the other: around a broken page the others can still be read."""
        for first in range(max(self.first, start - MOST_IN_CHUNK + 1), stop):
            try:
                row = self._reader(patient=patient).execute(_LOOK, (first,)).fetchone()
            except _SAID as error:
                if not isinstance(finding := _finding(self._path, error, patient=patient), Damaged):
                    raise finding from error
                if self._connection is None:
                    return
            else:
                yield from unchunked(*row) if row else ()

    def harden(self) -> None:
        """Have the disk hold what can be read of the log, before SQLite moves it into the database.

        Of a log whose sync failed the system may show what the disk does not have, and never write it again. Moved
        from there, half of a change could stand in the database when the power goes, with nothing left to complete it.
        The same bytes, written once more, take no harm from being written in part.

        Raises:
            OSError: the disk does not take them.
        """
        if self._is_hard:
            return
        with suppress(FileNotFoundError), self._log.open("r+b", buffering=0) as log:
            file, place = log.fileno(), 0
            while piece := os.pread(file, _PIECE, place):
                place += os.pwrite(file, piece, place)
            os.fdatasync(file)
        self._is_hard = True

    def _reader(self, *, patient: bool) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        try:
            self.harden()
        except OSError as error:
            # What a disk shows is read in the end, even if it takes nothing any more.
            if patient:
                raise SpoolError(f"{self._path.name}: {error.strerror}") from error
        try:
            connection = self._opened()
            connection.execute(_LOOK, (0,))
        except BaseException:
            self.close()
            raise
        return connection

    def highest(self, start: int) -> int:
        """Return the highest whole number from *start* on, as far as the file can be read; *start* - 1 if none."""
        found = start - 1
        with suppress(Damaged):
            for record in self._scan(start, _BEYOND, patient=False):
                found = max(found, record.seq)
        return found

    def sizes(self) -> tuple[int, int]:
        """Return the bytes of the database and of its log."""
        return _size(self._path), _size(self._log)

    def files(self) -> list[Path]:
        """Return everything that SQLite may have made, in the order in which it may go."""
        return [self._path.with_name(self._path.name + ending) for ending in ("-wal", "-journal", "")]

    def close(self) -> None:
        """Close the connection; SQLite moves the log into the database while it does."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                self.harden()
            connection.close()
        self._is_hard = False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _quoted(path: Path) -> str:
    return path.as_posix().replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _finding(path: Path, error: sqlite3.Error | UnicodeDecodeError, *, patient: bool) -> Exception:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    kind = SpoolError if patient and code in _TROUBLE else Damaged
    return kind(f"{path.name}: {error}")
