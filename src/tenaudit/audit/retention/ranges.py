"""Sets of places in a log as ranges; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["MAX_RANGES", "Range", "ranges_of", "rows_of", "slices"]

Range: TypeAlias = tuple[int, int]
"""The first place and the last one."""
MAX_RANGES = 1000
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
