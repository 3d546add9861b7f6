"""Times of other systems: RFC 3339 text, and milliseconds since 1970.

Rules of this file: pure; the same text gives the same time on every version of Python.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tenaudit.audit.importers.importer import Refused

__all__ = ["moment_of", "moment_of_ms", "rfc3339_moment", "unix_ms"]

# RFC 3339 section 5.6, without leap seconds, which datetime does not have.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])\Z",
    re.IGNORECASE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# 9999-12-31T23:59:59.999Z
_LAST_MS = 253_402_300_799_999


def rfc3339_moment(value: object) -> datetime | None:
    """Return the time that RFC 3339 text tells, in UTC, None for everything else; nanoseconds are cut off.

    >>> rfc3339_moment("2024-07-12T02:00:00.123456789+02:00").isoformat()
    '2024-07-12T00:00:00.123456+00:00'
    """
    if not isinstance(value, str) or _TIME.match(value) is None:
        return None
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment_of(value: object, field: str) -> datetime:
    """Return the time that RFC 3339 text tells, in UTC.

    Raises:
        Refused: `invalid_time`, also for times before 1970.
    """
    moment = rfc3339_moment(value)
    if moment is None or moment < _EPOCH:
        raise Refused("invalid_time", f"{field} is no RFC 3339 time such as 2024-07-12T00:00:00Z since 1970")
    return moment


def moment_of_ms(value: object, field: str) -> datetime:
    """Return the time of milliseconds since 1970.

    >>> moment_of_ms(1_720_742_400_250, "created_at").isoformat()
    '2024-07-12T00:00:00.250000+00:00'

    Raises:
        Refused: `invalid_time`, it is no whole number of the years 1970 to 9999.
    """
    if type(value) is not int or not 0 <= value <= _LAST_MS:
        raise Refused("invalid_time", f"{field} is no number of milliseconds since 1970")
    return _EPOCH + timedelta(milliseconds=value)


def unix_ms(moment: datetime) -> int:
    """Return the whole milliseconds from 1970 to *moment*.

    >>> unix_ms(datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC))
    1000
    """
    return (moment - _EPOCH) // _MILLISECOND
