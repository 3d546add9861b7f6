"""Counting events inside the file, for so long and no longer: the reader has one thread."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from tenaudit.audit.stats import EventStats, StatsCounter
from tenaudit.backends.sqlite.search import conditions

if TYPE_CHECKING:
    from tenaudit.audit import AuditQuery

__all__ = ["count_stats"]

# Instructions of SQLite's machine between two looks at the clock: some 10 microseconds.
_STEPS = 1000


def count_stats(
    connection: sqlite3.Connection, base: str, query: AuditQuery, max_events: int, seconds: float
) -> EventStats:
    """Return the counts of what fits; see `tenaudit.audit.stats.Counts`."""
    wanted, values = conditions(query)
    values["count"] = max_events + 1
    sql = " AND ".join([base, *wanted]) + " ORDER BY event_id DESC LIMIT :count"
    until = time.monotonic() + seconds
    counter = StatsCounter()
    connection.set_progress_handler(lambda: time.monotonic() >= until, _STEPS)
    try:
        for row in connection.execute(sql, values):
            if counter.events == max_events:
                return counter.finish(complete=False)
            counter.add(*row)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return counter.finish(complete=False)
    finally:
        connection.set_progress_handler(None, 0)
    return counter.finish(complete=True)
