"""Pages and counts of a query whose hidden filters the store may not decide: it is walked, within bounds.

A walk reads small pages of what the store may decide, shows each event to the reader's eyes, and keeps what fits. It
ends with a full page, at the end of the store, or when a bound is met; the page is short then, or empty, and its cursor
goes on where the walk ended. A query without a hidden filter is the store's own, cursors included.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from tenaudit._kernel.bounds import check_counts, check_seconds
from tenaudit._kernel.clock import SystemClock
from tenaudit.audit.ports import Page
from tenaudit.audit.query import MAX_LIMIT, InvalidCursor
from tenaudit.audit.redaction import MASK
from tenaudit.audit.stats import StatsCounter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.query import AuditQuery
    from tenaudit.audit.stats import EventStats
    from tenaudit.audit.visible import VisibleQuery

    Search: TypeAlias = Callable[[AuditQuery], Awaitable[Page]]

__all__ = ["WALK_PAGE", "WalkBounds", "count_visible", "look", "search_visible"]

WALK_PAGE = 50
"""Events that a walk asks the store for at once: a second's work when they are as large as events may be."""

_TAG_CHARS = 16
_FIRST_PAGE = 8
# What one page of a walk should take: the time is looked at between two.
_PAGE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class WalkBounds:
    """How far one walk goes.

    Args:
        events: after so many that were looked at, it ends with its page.
        seconds: likewise after so many.
        page: events that the store is asked for at once, 1 to 500.

    Raises:
        ConfigurationError: a bound is not above 0, or *page* is more than a page may have.

    Example:
        >>> WalkBounds().events
        10000
    """

    events: int = 10_000
    seconds: float = 2.0
    page: int = WALK_PAGE

    def __post_init__(self) -> None:
        check_counts(events=self.events)
        check_counts(page=self.page, most=MAX_LIMIT)
        check_seconds(seconds=self.seconds)


class _Pace:
    """How many events a walk asks for at once: few of such that take long to look at."""

    def __init__(self, bounds: WalkBounds, clock: Clock) -> None:
        self._most = bounds.page
        self._clock = clock
        self._since = clock.monotonic()
        self.size = min(_FIRST_PAGE, self._most)

    def looked_at(self, events: int) -> None:
        """Take in how long a page took."""
        now = self._clock.monotonic()
        taken, self._since = now - self._since, now
        fitting = self._most if taken <= 0 else int(_PAGE_SECONDS * max(1, events) / taken)
        self.size = max(1, min(self._most, fitting))


class _Place(NamedTuple):
    """Where a walk goes on, and which way."""

    way: Literal["next", "prev"]
    cursor: str | None


async def look(asked: VisibleQuery, event: AuditEvent) -> dict[str, Any] | None:
    """Return what `VisibleQuery.seen` does, after others had their turn: a large event takes milliseconds."""
    await asyncio.sleep(0)
    return asked.seen(event)


async def search_visible(
    search: Search, asked: VisibleQuery, bounds: WalkBounds, *, clock: Clock | None = None
) -> Page:
    """Return one page of what the reader asks for.

    Args:
        search: a store's.
        asked: the query and the reader's eyes.
        bounds: how far a walk goes.
        clock: what its seconds are measured with.

    Raises:
        InvalidCursor: the cursor is of another query, or was made when other filters were hidden.
        StoreError: as the store says.
    """
    if not asked.hidden:
        return await search(asked.query)
    clock = clock or SystemClock()
    until, looked = clock.monotonic() + bounds.seconds, 0
    place, pace = _opened(asked.query), _Pace(bounds, clock)
    found: list[AuditEvent] = []
    begin: str | None = None
    while True:
        page, fitting = await _page_with_room(search, asked, place, size=pace.size, room=asked.query.limit - len(found))
        pace.looked_at(len(page.events))
        onward, back = page.next_cursor, page.prev_cursor
        if place.way == "prev":
            onward, back = back, onward
            found = [*fitting, *found]
        else:
            found += fitting
        begin = back if looked == 0 else begin
        looked += len(page.events)
        full = len(found) == asked.query.limit
        if onward is None or full or looked >= bounds.events or clock.monotonic() >= until:
            break
        place = place._replace(cursor=onward)
    following, before = (begin, onward) if place.way == "prev" else (onward, begin)
    return Page(tuple(found), _closed(asked.query, "next", following), _closed(asked.query, "prev", before))


async def count_visible(
    search: Search, asked: VisibleQuery, bounds: WalkBounds, *, clock: Clock | None = None
) -> EventStats:
    """Count what the reader asks for, from the newest on; see `tenaudit.audit.stats.Counts`.

    Args:
        search: a store's.
        asked: the query and the reader's eyes.
        bounds: how far the walk goes.
        clock: what its seconds are measured with.

    Raises:
        StoreError: as the store says.
    """
    clock = clock or SystemClock()
    until, looked = clock.monotonic() + bounds.seconds, 0
    counter, pace = StatsCounter(), _Pace(bounds, clock)
    query = replace(asked.stored, cursor=None, order="desc")
    while True:
        query = replace(query, limit=pace.size)
        page = await search(query)
        for event in page.events:
            view = await look(asked, event)
            if view is not None:
                # What was removed has no name to be counted by.
                kinds = (view.get(name) for name in ("action", "outcome", "severity", "occurred_at"))
                counter.add(*(MASK if kind is None else str(kind) for kind in kinds))
        looked += len(page.events)
        pace.looked_at(len(page.events))
        if page.next_cursor is None:
            return counter.finish(complete=True)
        if looked >= bounds.events or clock.monotonic() >= until:
            return counter.finish(complete=False)
        query = query.at(page.next_cursor)


async def _page_with_room(
    search: Search, asked: VisibleQuery, place: _Place, *, size: int, room: int
) -> tuple[Page, Sequence[AuditEvent]]:
    """Return a page of the store and which of its events fit, never more than there is room for."""
    query = replace(asked.stored, cursor=place.cursor, limit=size)
    while True:
        page = await search(query)
        fitting = [index for index, event in enumerate(page.events) if await look(asked, event) is not None]
        if len(fitting) <= room:
            return page, [page.events[index] for index in fitting]
        # Only the store can make a cursor, and only at the end of a page: so that is where the last one has to stand.
        short = len(page.events) - fitting[-room] if place.way == "prev" else fitting[room - 1] + 1
        query = replace(query, limit=short)


def _opened(query: AuditQuery) -> _Place:
    if query.cursor is None:
        return _Place("next", None)
    way, tag, cursor = (*query.cursor.split(".", 2), "", "")[:3]
    if tag != _tag(query) or not cursor:
        raise InvalidCursor
    if way == "next":
        return _Place("next", cursor)
    if way == "prev":
        return _Place("prev", cursor)
    raise InvalidCursor


def _closed(query: AuditQuery, way: str, cursor: str | None) -> str | None:
    # The store's own cursor is bound to the filters that it decides, and this one to the others as well.
    return None if cursor is None else f"{way}.{_tag(query)}.{cursor}"


def _tag(query: AuditQuery) -> str:
    return query.fingerprint.hex()[:_TAG_CHARS]
