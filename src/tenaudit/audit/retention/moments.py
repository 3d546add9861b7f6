"""Times as retention reads them; pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from tenaudit._kernel.ids import unix_ms_of

if TYPE_CHECKING:
    from uuid import UUID

    from tenaudit._kernel.clock import Clock

__all__ = ["id_month", "id_time", "wall_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS_A_DAY = 86_400_000
# Where Python's calendar ends and UUIDv7 does not.
_LAST_DAY = 2_932_896


def wall_time(clock: Clock) -> datetime:
    """Return a clock's wall time in UTC."""
    return _EPOCH + timedelta(microseconds=clock.time_ns() // 1000)


def id_time(event_id: UUID) -> datetime:
    """Return the time that an id carries, at most the end of the year 9999.

    >>> from uuid import UUID
    >>> id_time(UUID("019c0000-0000-7000-8000-000000000000")).year
    2026
    """
    return _EPOCH + timedelta(milliseconds=min(unix_ms_of(event_id), (_LAST_DAY + 1) * _MS_A_DAY - 1))


def id_month(event_id: UUID) -> str:
    """Return the month that an id carries, as `YYYY-MM`.

    >>> from uuid import UUID
    >>> id_month(UUID("019c0000-0000-7000-8000-000000000000"))
    '2026-01'
    """
    day = date(1970, 1, 1) + timedelta(days=min(unix_ms_of(event_id) // _MS_A_DAY, _LAST_DAY))
    return day.isoformat()[:7]
