"""The segments of a folder: which numbers each holds, which one is being filled, and how large they are together."""

from __future__ import annotations

from bisect import bisect_right, insort
from contextlib import suppress
from typing import TYPE_CHECKING

from tenaudit.backends.spool.segment import Segment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from tenaudit.backends.spool.folder import SpoolFolder
    from tenaudit.backends.spool.limits import SpoolLimits
    from tenaudit.backends.spool.record import Record

__all__ = ["Segments"]

_MOST_ASIDE = 2
_ASKED_EVERY = 2**20


class Segments:
    """Every segment of *folder*; what an earlier owner left is read and never filled again."""

    def __init__(self, folder: SpoolFolder, limits: SpoolLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._firsts = folder.segments()
        self._known = {first: Segment(folder.segment(first), first) for first in self._firsts}
        self._sealed_bytes = {first: sum(segment.sizes()) for first, segment in self._known.items()}
        self._aside = [(path, _size(path)) for path in folder.aside()]
        self._active: Segment | None = None
        self._active_sizes = (0, 0)
        self._filled = 0
        self._allowance = 0

    @property
    def firsts(self) -> Sequence[int]:
        """The first numbers of all segments, in order."""
        return self._firsts

    @property
    def last(self) -> Segment | None:
        """The segment with the highest numbers."""
        return self._known[self._firsts[-1]] if self._firsts else None

    @property
    def bytes(self) -> int:
        """Size of all files, those set aside included."""
        return sum(self._active_sizes) + sum(self._sealed_bytes.values()) + sum(size for _, size in self._aside)

    @property
    def aside(self) -> int:
        """How many damaged segments are kept."""
        return len(self._aside)

    def at(self, number: int, end: int) -> tuple[Segment | None, int]:
        """Return the segment that holds *number*, and the number before which its part of them ends.

        Args:
            number: the record that is looked for.
            end: the number after the last one that was written.
        """
        place = bisect_right(self._firsts, number)
        stop = self._firsts[place] if place < len(self._firsts) else end
        return (self._known[self._firsts[place - 1]] if place else None), min(stop, end)

    def has_room(self, growth: int) -> bool:
        """Tell whether *growth* bytes more stay within the bounds; damaged files that were set aside give way."""
        while self.bytes + self._active_sizes[1] + growth > self._limits.max_bytes:
            if not self._aside:
                return False
            self._forget_oldest()
        if growth > self._allowance:
            # The disk is asked once for several commits: what others write meanwhile is what the reserve is for.
            spare = self._folder.free() - self._limits.reserve_bytes
            if growth > spare:
                return False
            self._allowance = min(spare, growth + _ASKED_EVERY)
        self._allowance -= growth
        return True

    def append(self, records: Sequence[Record], first: int) -> None:
        """Write *records* from number *first* on into the segment that is being filled, or a new one.

        Raises:
            sqlite3.Error, OSError: they are not written.
        """
        segment = self._active or self._created(first)
        try:
            segment.append(records, first)
        finally:
            self._active_sizes = segment.sizes()
        self._filled += sum([len(body) for _, body in records])

    def _created(self, first: int) -> Segment:
        segment = Segment(self._folder.segment(first), first)
        if first in self._known:
            # The commit that failed was the first into a file of this name.
            self.discard(first, keep=False)
        self._active, self._filled = segment, 0
        try:
            segment.create(self._limits.log_pages)
            self._folder.sync()
        except BaseException:
            self._active = None
            segment.close()
            with suppress(OSError):
                self._folder.remove(segment.files())
            raise
        insort(self._firsts, first)
        self._known[first] = segment
        return segment

    @property
    def is_filled(self) -> bool:
        """Whether the active segment has what one file may hold."""
        return self._active is not None and self._filled >= self._limits.segment_bytes

    @property
    def is_worth_freeing(self) -> bool:
        """Whether the active segment is large enough for a new one to cost less than the space it holds."""
        return self._active is not None and self._filled >= self._limits.segment_bytes // 4

    def seal(self) -> None:
        """Take nothing more into the active segment; it stays to be read."""
        segment, self._active, self._active_sizes = self._active, None, (0, 0)
        if segment is not None:
            segment.close()
            self._sealed_bytes[segment.first] = sum(segment.sizes())

    def settle(self, segment: Segment) -> None:
        """Close a segment that was read, so that SQLite moves its log into it."""
        segment.close()
        self._sealed_bytes[segment.first] = sum(segment.sizes())

    def finished(self, number: int, end: int, *, also_active: bool) -> list[int]:
        """Return the segments all of whose numbers are below *number*."""
        active = None if self._active is None or also_active else self._active.first
        return [first for first in self._firsts if first != active and self.at(first, end)[1] <= number]

    def drop(self, firsts: Sequence[int], hurt: set[int]) -> None:
        """Remove segments; those in *hurt*, which becomes free of them, are set aside.

        Raises:
            OSError: a file cannot be removed; the next call tries again.
        """
        for first in firsts:
            self.discard(first, keep=first in hurt)
            hurt.discard(first)

    def discard(self, first: int, *, keep: bool) -> None:
        """Remove one segment, or set it aside.

        Raises:
            OSError: the file cannot be removed.
        """
        segment = self._known[first]
        if self._active is segment:
            # It may be that only the wait for the disk fails below: what came next would go into a file without a name.
            self._sealed_bytes[first] = sum(self._active_sizes)
            self._active, self._active_sizes = None, (0, 0)
        if keep:
            segment.close()
            self._set_aside(first)
        else:
            self._folder.remove(segment.files())
            # Closed after its name is gone: SQLite would first move the log of a file that nobody wants.
            segment.close()
        del self._known[first]
        self._firsts.remove(first)
        self._sealed_bytes.pop(first, None)

    def _set_aside(self, first: int) -> None:
        kept = self._folder.set_aside(first)
        self._aside.append((kept, _size(kept)))
        while len(self._aside) > _MOST_ASIDE:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        path, _ = self._aside.pop(0)
        self._folder.remove(_both(path))

    def connections(self) -> list[sqlite3.Connection]:
        """Return what is open, for a forked child to leave alone."""
        segments = [*self._known.values(), *([self._active] if self._active else [])]
        return [segment.connection for segment in segments if segment.connection is not None]

    def close(self) -> None:
        """Close every segment."""
        self.seal()
        for segment in self._known.values():
            segment.close()


def _both(path: Path) -> list[Path]:
    return [path.with_name(path.name + "-wal"), path]


def _size(path: Path) -> int:
    return sum(one.stat().st_size for one in _both(path) if one.exists())
