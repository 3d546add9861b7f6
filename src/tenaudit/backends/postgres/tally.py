"""Counting events in the database, a part at a time, for so long and no longer."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tenaudit.audit.event import wire_time
from tenaudit.audit.query import CursorPoint
from tenaudit.audit.stats import EventStats, StatsCounter
from tenaudit.backends.postgres.search import search_statement

if TYPE_CHECKING:
    from tenaudit.audit import AuditQuery
    from tenaudit.backends.postgres.pool import Session

__all__ = ["count_stats"]

_PART = 10_000


async def count_stats(session: Session, base: str, query: AuditQuery, max_events: int, seconds: float) -> EventStats:
    """Return the counts of what fits; see `tenaudit.audit.stats.Counts`. Each part has the deadline anew."""
    newest_first = replace(query, order="desc", cursor=None)
    until = time.monotonic() + seconds
    counter = StatsCounter()
    point: CursorPoint | None = None
    while counter.events < max_events and time.monotonic() < until:
        wanted = min(_PART, max_events - counter.events)
        # One more, which tells whether these are all.
        sql, values = search_statement(base, newest_first, point, rows=wanted + 1)
        rows = await session.query(sql, *values)
        for row in rows[:wanted]:
            counter.add(row["action"], row["outcome"], row["severity"], wire_time(row["occurred_at"]))
        if len(rows) <= wanted:
            return counter.finish(complete=True)
        point = CursorPoint(rows[wanted - 1]["event_id"], backward=False)
        session.extend()
    return counter.finish(complete=False)
