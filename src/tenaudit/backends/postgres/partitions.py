"""Which months need a partition: an event's month is in its id, which is a UUIDv7."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit._kernel.ids import unix_ms_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KnownDays", "first_id", "least_id", "month_after", "months_ahead"]

_MS_A_DAY = 86_400_000
# A client can make ids of any day there is; the days of a hundred years are as many as are worth keeping.
_MOST_DAYS = 36_525
# The last day of 9999, where Python's calendar ends and UUIDv7 does not.
_LAST_DAY = 2_932_896


def month_after(month: date) -> date:
    """Return the first of the next month; the last month there is stays itself.

    >>> month_after(date(2026, 12, 1))
    datetime.date(2027, 1, 1)
    """
    if month >= date(9999, 12, 1):
        return date(9999, 12, 1)
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def months_ahead(now: datetime, ahead: int) -> list[date]:
    """Return the first of this month and of the *ahead* months after it."""
    months = [now.astimezone(UTC).date().replace(day=1)]
    while len(months) <= ahead:
        months.append(month_after(months[-1]))
    return months


def least_id(moment: datetime) -> UUID:
    """Return the least id of a time, 1970 at the earliest; it need not be of an event.

    >>> least_id(datetime(2026, 1, 1, tzinfo=UTC)).hex[:12]
    '019b76daa800'
    """
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def first_id(month: date) -> UUID:
    """Return the least id that belongs to a month, from its first day on; it need not be of an event.

    >>> first_id(date(1970, 1, 1)).int, first_id(date(2026, 1, 1)).hex[:12]
    (0, '019b76daa800')
    """
    return UUID(int=(month - date(1970, 1, 1)).days * _MS_A_DAY << 80)


class KnownDays:
    """The days of which it is known that their month was asked for.

    >>> days = KnownDays()
    >>> first = UUID("019c0000-0000-7000-8000-000000000000")
    >>> days.missing([first]), days.add([first]), days.missing([first])
    ([datetime.date(2026, 1, 1)], None, [])
    """

    def __init__(self) -> None:
        self._days: set[int] = set()

    def missing(self, event_ids: Iterable[UUID]) -> list[date]:
        """Return the first of each month that has a day not known, in order."""
        unknown = {unix_ms_of(event_id) // _MS_A_DAY for event_id in event_ids} - self._days
        return sorted({_first_of_month(day) for day in unknown})

    def add(self, event_ids: Iterable[UUID]) -> None:
        """Remember the days of these events."""
        days = {unix_ms_of(event_id) // _MS_A_DAY for event_id in event_ids}
        if len(self._days) + len(days) > _MOST_DAYS:
            self._days.clear()
        self._days |= days


def _first_of_month(day: int) -> date:
    return (date(1970, 1, 1) + timedelta(days=min(day, _LAST_DAY))).replace(day=1)
