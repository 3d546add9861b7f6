"""The spool without its thread: numbered records in segments, a mark, and an exact count of what is gone.

Rules of this file
1. The next record gets the number after the mark's `written`; no two acknowledged records have the same.
2. A segment holds the numbers from its own up to before the next one's; whatever else is in the file does not count.
3. After a commit that failed for another reason than a full disk, its segment takes nothing more: nobody knows what
   of it is on disk, and a second fsync would only report that the first one's failure is forgotten.
4. A number up to `written` that cannot be read is lost: counted when the reader passes it, and never waited for.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

from tenaudit.audit import SpoolBatch, SpoolError, SpoolFull
from tenaudit.backends.spool.folder import SpoolFolder
from tenaudit.backends.spool.mark import Mark, MarkFiles
from tenaudit.backends.spool.record import decoded
from tenaudit.backends.spool.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tenaudit.audit import AuditEvent
    from tenaudit.backends.spool.limits import SpoolLimits
    from tenaudit.backends.spool.record import Record
    from tenaudit.backends.spool.segment import Segment

__all__ = ["SpoolLog", "Standing", "Token"]

_log = logging.getLogger("tenaudit.audit")
_MOST_READ_BYTES = 4 * 2**20
_MOST_TRIES = 5
_HARDEN_TRIES = 2


class Token(NamedTuple):
    """What acknowledging a batch settles: everything up to *last*, of which *lost* could not be read."""

    last: int
    lost: int


class Standing(NamedTuple):
    """What the spool holds, as of its last change."""

    records: int
    bytes: int
    oldest_ms: int | None
    lost: int
    quarantined: int


class SpoolLog:
    """The records of one folder; for one thread at a time.

    Args:
        path: the folder.
        limits: how much it may hold.

    Raises:
        ConfigurationError: another spool has the folder, or a newer version filled it.
        OSError: the folder cannot be used.
    """

    def __init__(self, path: Path, limits: SpoolLimits) -> None:
        self._limits = limits
        self._folder = SpoolFolder(path)
        self._hurt: set[int] = set()
        self._passing = 0
        self._tries = 0
        self._oldest_ms: int | None = None
        # An open that fails is tried again: a file that it left open would keep SQLite's lock and look damaged then.
        with ExitStack() as undo:
            undo.callback(self._folder.close)
            self._marks = MarkFiles(path)
            undo.callback(self._marks.close)
            self._segments = Segments(self._folder, limits)
            undo.callback(self._segments.close)
            self._mark = self._recovered()
            # No segment may be there without the marks, and the mark tells nothing that a log could still undo.
            self._folder.sync()
            self._marks.settle(self._mark)
            self._clear()
            undo.pop_all()
        self._look_at_oldest()

    def _recovered(self) -> Mark:
        """Return where things stand: the mark may be one commit behind what a killed process had written."""
        firsts, last, mark = self._segments.firsts, self._segments.last, self._marks.found
        if mark is None:
            mark = Mark(0, firsts[0] - 1 if firsts else 0, 0)
            if firsts:
                _log.error(
                    "the spool's marks are gone: what its last segment has lost cannot be counted",
                    extra={"action": "audit_spool_mark_lost"},
                )
        written = max(mark.written, mark.acked, last.first - 1 if last else 0)
        if last is not None:
            # Perhaps nobody waited for the disk, or it failed: else a loss of power would make a loss of what was never
            # acknowledged. A disk that takes nothing at all is read all the same, and written by closing once more.
            for _ in range(_HARDEN_TRIES):
                with suppress(OSError):
                    last.harden()
            written = last.highest(written + 1)
            self._segments.settle(last)
            if last.first > written:
                self._segments.discard(last.first, keep=self._marks.found is None)
        return mark._replace(written=written)

    @property
    def standing(self) -> Standing:
        """What it holds now."""
        mark = self._mark
        return Standing(
            mark.written - mark.acked - self._passing,
            self._segments.bytes,
            self._oldest_ms,
            mark.lost + self._passing,
            self._segments.aside,
        )

    def fits(self, records: int, size: int) -> bool:
        """Tell whether so many records of *size* bytes together may be appended."""
        return self._segments.has_room(self._limits.growth(records, size))

    def append(self, records: Sequence[Record]) -> None:
        """Put *records* on disk: all, or none that counts.

        Raises:
            SpoolFull: the disk has no room.
            SpoolError: neither the segment nor a new one could be written.
            OSError: the folder could not.
        """
        try:
            self._append(records)
        except sqlite3.Error:
            # Rule 3. The records are still in memory: they go into another file.
            self._segments.seal()
            try:
                self._append(records)
            except sqlite3.Error as error:
                self._segments.seal()
                raise SpoolError(f"the spool cannot be written: {error}") from error
        self._mark = self._mark._replace(written=self._mark.written + len(records))
        # The records are on disk whatever becomes of the mark, which tells only what damage took later.
        with suppress(OSError):
            self._marks.write(self._mark)
        if self._oldest_ms is None:
            self._oldest_ms = _milliseconds(records[0][0])
        if self._segments.is_filled:
            self._segments.seal()

    def _append(self, records: Sequence[Record]) -> None:
        try:
            self._segments.append(records, self._mark.written + 1)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise
            raise SpoolFull(f"the spool's disk is full: {error}") from error

    def read(self, limit: int) -> SpoolBatch:
        """Return up to *limit* of the oldest records that are not acknowledged; empty when there are none.

        Raises:
            SpoolError: they cannot be read now.
        """
        position, end = self._mark.acked + 1, self._mark.written + 1
        while position < end:
            segment, stop = self._segments.at(position, end)
            events, reached = self._events(segment, position, stop, limit)
            lost = reached - self._mark.acked - len(events)
            if segment is not None and reached - position + 1 > len(events):
                self._hurt.add(segment.first)
            if events:
                self._passing = lost
                return SpoolBatch(tuple(events), Token(reached, lost))
            position = stop
        if position - 1 > self._mark.acked:
            # Nothing is left that could be read.
            self.ack(Token(position - 1, position - 1 - self._mark.acked))
        return SpoolBatch((), Token(self._mark.acked, 0))

    def _events(self, segment: Segment | None, start: int, stop: int, limit: int) -> tuple[list[AuditEvent], int]:
        """Return what can be read, and up to which number it was looked for."""
        events: list[AuditEvent] = []
        size = 0
        # What comes back is waited for, but a piece of disk that stays unreadable must not stop all that is behind it.
        patient = self._tries < _MOST_TRIES
        self._tries += 1
        for record in segment.rows(start, stop, patient=patient) if segment else ():
            event = decoded(record.body)
            if event is None:
                continue
            events.append(event)
            size += len(record.body)
            if len(events) == limit or size >= _MOST_READ_BYTES:
                self._tries = 0
                return events, record.seq
        self._tries = 0
        return events, stop - 1

    def ack(self, token: Token) -> None:
        """Settle everything up to a token's record, and remove the segments that nobody needs any more.

        Raises:
            SpoolError: that could not be written; the batch comes again.
        """
        if token.last <= self._mark.acked:
            return
        mark = self._mark._replace(acked=token.last, lost=self._mark.lost + token.lost)
        try:
            self._marks.write(mark)
        except OSError as error:
            raise SpoolError(f"the spool's mark cannot be written: {error.strerror}") from error
        self._mark, self._passing = mark, 0
        if token.lost:
            _log.error(
                "the spool lost audit events to damage",
                extra={"action": "audit_spool_lost", "events": token.lost, "total": mark.lost},
            )
        self._clear()
        self._look_at_oldest()

    def _clear(self) -> None:
        mark = self._mark
        drained = mark.acked == mark.written and self._segments.is_worth_freeing
        finished = self._segments.finished(mark.acked + 1, mark.written + 1, also_active=drained)
        if not finished:
            return
        try:
            # The numbers of a file that is gone must not be taken for lost, whatever happens to one of the marks.
            self._marks.settle(mark)
            self._segments.drop(finished, self._hurt)
        except OSError as error:
            _log.warning(
                "finished spool files cannot be removed yet",
                extra={"action": "audit_spool_not_removed", "error": error.strerror},
            )

    def _look_at_oldest(self) -> None:
        position, end = self._mark.acked + 1, self._mark.written + 1
        self._oldest_ms = None
        if position < end:
            segment, stop = self._segments.at(position, end)
            # Only a gauge: whoever reads next will meet the trouble.
            with suppress(SpoolError):
                for record in segment.rows(position, stop, patient=True) if segment else ():
                    self._oldest_ms = _milliseconds(record.id)
                    return

    def connections(self) -> list[sqlite3.Connection]:
        """Return what is open, for a forked child to leave alone."""
        return self._segments.connections()

    def close(self) -> None:
        """Close everything and give the folder up."""
        self._segments.close()
        with suppress(OSError):
            self._marks.settle(self._mark)
        self.abandon()

    def abandon(self) -> None:
        """Give the folder up without touching what is in it, as a forked child must."""
        self._marks.close()
        self._folder.close()


def _milliseconds(event_id: bytes) -> int:
    """Return the time in a UUIDv7 (RFC 9562 section 5.7)."""
    return int.from_bytes(event_id[:6], "big")
