"""How many events there are of each kind, counted from the newest on and only so far.

Rules of this file: pure. A trail may hold any number of events, so a count has a bound and says when it met it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tenaudit.audit.event import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit.audit.query import AuditQuery

__all__ = ["MAX_NAMES", "OVERFLOW", "Counts", "EventStats", "StatsCounter"]

MAX_NAMES = 100
"""Distinct actions that are named, and days; the rest of each shares `OVERFLOW`."""

OVERFLOW = "_overflow"
"""The name of what has none of its own; no action begins with an underscore."""


@dataclass(frozen=True, slots=True)
class EventStats:
    """What was counted.

    Args:
        events: how many fit.
        complete: whether these are all; else they are the newest.
        oldest: `occurred_at` of the last one counted, None when none was.
        actions: by name, the most frequent first.
        outcomes: by name.
        severities: by name, the least grave first.
        days: by date in UTC, the earliest first.
    """

    events: int
    complete: bool
    oldest: str | None
    actions: Mapping[str, int]
    outcomes: Mapping[str, int]
    severities: Mapping[str, int]
    days: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: the fields by their names."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@runtime_checkable
class Counts(Protocol):
    """What a store may offer beside `Store`: counting without handing the events over.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> isinstance(SqliteStore.open("audit.db"), Counts)
        True
    """

    async def stats(self, query: AuditQuery, *, max_events: int, seconds: float) -> EventStats:
        """Count what fits, from the newest on, until *max_events* were counted or *seconds* have passed.

        The query's limit, cursor and order do not count.
        """
        ...


class StatsCounter:
    """Adds events up, one at a time.

    Example:
        >>> counter = StatsCounter()
        >>> counter.add("order.created", "success", "info", "2026-11-24T06:00:00.000000Z")
        >>> counter.finish(complete=True).days
        {'2026-11-24': 1}
    """

    def __init__(self) -> None:
        self._kinds: Counter[tuple[str, str, str, str]] = Counter()
        self._oldest: str | None = None
        self.events = 0

    def add(self, action: str, outcome: str, severity: str, occurred_at: str) -> None:
        """Count one event; *occurred_at* is its wire form."""
        self._kinds[action, outcome, severity, occurred_at[:10]] += 1
        self._oldest = occurred_at
        self.events += 1

    def finish(self, *, complete: bool) -> EventStats:
        """Return what was counted."""
        actions, outcomes, severities, days = (self._by(place) for place in range(4))
        named = dict(actions.most_common(MAX_NAMES))
        latest = dict(sorted(sorted(days.items(), reverse=True)[:MAX_NAMES]))
        return EventStats(
            self.events,
            complete,
            self._oldest,
            _with_rest(named, self.events),
            dict(sorted(outcomes.items())),
            _with_rest({name: severities[name] for name in SEVERITIES if severities[name]}, self.events),
            _with_rest(latest, self.events),
        )

    def _by(self, place: int) -> Counter[str]:
        found: Counter[str] = Counter()
        # Sorted, so that of two actions as frequent the same comes first each time.
        for kind, count in sorted(self._kinds.items()):
            found[kind[place]] += count
        return found


def _with_rest(named: dict[str, int], total: int) -> dict[str, int]:
    rest = total - sum(named.values())
    return {**named, OVERFLOW: rest} if rest else named
