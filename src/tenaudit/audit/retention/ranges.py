"""Sets of places in a log as ranges; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["MAX_RANGES", "LabelledSpans", "Range", "Spans", "ranges_of", "rows_of", "slices"]

Range: TypeAlias = tuple[int, int]
"""The first place and the last one."""
MAX_RANGES = 1000
_NONE: frozenset[str] = frozenset()
"""Most ranges of one record, so that it stays a small event."""


def ranges_of(indexes: Iterable[int]) -> tuple[Range, ...]:
    """Return the ranges of places, which are in ascending order.

    >>> ranges_of([0, 1, 2, 5, 7, 8])
    ((0, 2), (5, 5), (7, 8))
    """
    found: list[Range] = []
    for index in indexes:
        if found and index == found[-1][1] + 1:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return tuple(found)


def rows_of(ranges: Iterable[Range]) -> int:
    """Return how many places there are.

    >>> rows_of([(0, 2), (5, 5)])
    4
    """
    return sum(last - first + 1 for first, last in ranges)


def slices(ranges: Sequence[Range], most: int = MAX_RANGES) -> Iterator[Sequence[Range]]:
    """Yield the ranges in parts that one record holds each."""
    for start in range(0, len(ranges), most):
        yield ranges[start : start + most]


class Spans:
    """A set of ranges, which tells whether a place lies in one of them.

    Args:
        ranges: in any order; they may overlap.

    Example:
        >>> spans = Spans([(5, 7), (0, 2)])
        >>> [place for place in range(10) if spans.cover(place)]
        [0, 1, 2, 5, 6, 7]
    """

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(ranges):
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(self._lasts[-1], last)
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def cover(self, place: int) -> bool:
        """Tell whether a place lies in one of the ranges."""
        found = bisect_right(self._firsts, place)
        return found > 0 and place <= self._lasts[found - 1]


class LabelledSpans:
    """Ranges under labels, which tell the labels that a place has by one search, however many labels there are.

    Args:
        ranges: those of each label, in any order; they may overlap.

    Example:
        >>> spans = LabelledSpans({"a": [(0, 4)], "b": [(3, 3)]})
        >>> [sorted(spans.at(place)) for place in (2, 3, 5)]
        [['a'], ['a', 'b'], []]
    """

    def __init__(self, ranges: Mapping[str, Iterable[Range]]) -> None:
        changes: dict[int, list[tuple[int, str]]] = {}
        for label, several in ranges.items():
            for first, last in several:
                changes.setdefault(first, []).append((1, label))
                changes.setdefault(last + 1, []).append((-1, label))
        self._starts = sorted(changes)
        self._labels: list[frozenset[str]] = []
        open_ones: Counter[str] = Counter()
        for start in self._starts:
            for step, label in changes[start]:
                open_ones[label] += step
                if not open_ones[label]:
                    del open_ones[label]
            self._labels.append(frozenset(open_ones))

    def at(self, place: int) -> frozenset[str]:
        """Return the labels of the ranges that a place lies in."""
        found = bisect_right(self._starts, place)
        return self._labels[found - 1] if found else _NONE
