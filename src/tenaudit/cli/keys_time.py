"""Spans and ends of time as people write them; pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time

from tenaudit._kernel.error import ConfigurationError

__all__ = ["end_of", "seconds_of", "shown_time"]

_SPAN = re.compile(r"([0-9]{1,9})([smhdw])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST = 100 * 366 * 86_400


def seconds_of(text: str) -> int:
    """Return the seconds of a span such as `45s`, `30m`, `24h`, `90d`, `2w` or `0`, at most a hundred years.

    Raises:
        ConfigurationError: it is no such span.

    Example:
        >>> seconds_of("24h"), seconds_of("0")
        (86400, 0)
    """
    match = _SPAN.match(text if text != "0" else "0s")
    seconds = None if match is None else int(match[1]) * _SECONDS[match[2]]
    if seconds is None or seconds > _LONGEST:
        raise ConfigurationError("a span is a number and s, m, h, d or w, such as 24h; at most a hundred years")
    return seconds


def end_of(text: str, now: float) -> float:
    """Return the Unix seconds of an end: a span from *now*, a date (its first moment in UTC), or a time with zone.

    Raises:
        ConfigurationError: it is none of them, or not after *now*.

    Example:
        >>> end_of("90d", now=0.0), end_of("1970-01-02", now=0.0), end_of("1970-01-01T01:00:00+00:30", now=0.0)
        (7776000.0, 86400.0, 1800.0)
    """
    end = now + seconds_of(text) if text[-1:] in _SECONDS or text == "0" else _moment(text)
    if end <= now:
        raise ConfigurationError("the end must be in the future")
    return end


def _moment(text: str) -> float:
    try:
        if len(text) == len("2026-11-24"):
            return datetime.combine(date.fromisoformat(text), time(), UTC).timestamp()
        moment = datetime.fromisoformat(text)
        # Without a zone it would be another moment on every machine.
        if moment.utcoffset() is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    raise ConfigurationError(
        "an end is a span such as 90d, a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z"
    )


def shown_time(moment: float | None) -> str | None:
    """Return Unix seconds as RFC 3339 text in UTC to the second, None for None.

    A time that no calendar has stays a number.

    >>> shown_time(1_800_000_000.25)
    '2027-01-15T08:00:00Z'
    """
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(moment)
