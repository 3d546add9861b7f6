"""Which entries of a log an export has: a bit each. Those that a record of a purge in the log names need not be there.

Pure.
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Any

from tenaudit.audit.retention.ranges import MAX_RANGES
from tenaudit.audit.retention.records import PURGED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tenaudit.audit.retention.ranges import Range

__all__ = ["ExportedEntries"]

_CHUNK = 4096


class ExportedEntries:
    """Counts entries by their places, in chunks, so that a huge place costs no more than another.

    Example:
        >>> entries = ExportedEntries()
        >>> entries.add(1), entries.add(1), entries.add(4)
        (True, False, True)
        >>> entries.explain({"action": "audit.purged", "payload": {"ranges": [[2, 2]]}}, 4)
        >>> [*entries.gaps(7)]
        [(0, 0), (3, 3), (5, 6)]
    """

    def __init__(self) -> None:
        self._chunks: dict[int, int] = {}
        self._purged: set[Range] = set()
        self.count = 0

    def add(self, index: int) -> bool:
        """Take in an entry; tell whether it is new."""
        chunk, bit = divmod(index, _CHUNK)
        bits = self._chunks.get(chunk, 0)
        if bits >> bit & 1:
            return False
        self._chunks[chunk] = bits | 1 << bit
        self.count += 1
        return True

    def explain(self, record: Mapping[str, Any], index: int) -> None:
        """Take in what a proven event says of purged entries; only the store itself can log such a one."""
        payload = record.get("payload")
        if (
            record.get("action") != PURGED
            or not isinstance(payload, dict)
            or not isinstance(payload.get("ranges"), list)
        ):
            return
        for one in payload["ranges"][:MAX_RANGES]:
            if isinstance(one, list) and len(one) == 2 and all(type(place) is int for place in one):
                first, last = one
                # A record tells of what was logged before it.
                if 0 <= first <= last < index:
                    self._purged.add((first, last))

    def gaps(self, size: int) -> Iterator[Range]:
        """Yield the first and last place of each gap below *size* that no purge explains."""
        expected = 0
        for first, last in merge(((index, index) for index in self._indexes()), sorted(self._purged)):
            if first > expected:
                yield expected, first - 1
            expected = max(expected, last + 1)
        if expected < size:
            yield expected, size - 1

    def _indexes(self) -> Iterator[int]:
        for chunk in sorted(self._chunks):
            bits = self._chunks[chunk]
            yield from (chunk * _CHUNK + bit for bit in range(bits.bit_length()) if bits >> bit & 1)
