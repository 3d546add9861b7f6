"""The time that an account is about, as people write it; pure."""

from __future__ import annotations

from datetime import UTC, datetime

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.producer_rows import AccountWindow
from tenaudit.cli.keys_time import seconds_of

__all__ = ["window_of"]

_SPAN_ENDS = "smhdw"


def window_of(since: str | None, settle: str, now: float) -> AccountWindow:
    """Return the window.

    Args:
        since: a span back from *now*, a date (its first moment in UTC), or a time with zone; None is the beginning.
        settle: a span before *now*; what is younger is left out.
        now: Unix seconds.

    Raises:
        ConfigurationError: one is none of them, or there is no time between them.

    Example:
        >>> window_of("1h", "1m", 10_000.0)
        AccountWindow(since_ms=6400000, until_ms=9940000)
    """
    since_ms = 0 if since is None else _since_ms(since, now)
    age = seconds_of(settle)
    end_ms = round((now - age) * 1000)
    if not 0 <= since_ms < end_ms:
        # An account of no time at all would find nothing wrong.
        raise ConfigurationError("--since must be before now and --settle, and not before 1970")
    # Clocks differ: only --settle leaves out what seems to come from the future.
    return AccountWindow(since_ms, end_ms) if age else AccountWindow(since_ms)


def _since_ms(since: str, now: float) -> int:
    if since[-1:] in _SPAN_ENDS:
        return round((now - seconds_of(since)) * 1000)
    try:
        moment = datetime.fromisoformat(since)
        if len(since) == len("2026-11-24"):
            moment = moment.replace(tzinfo=UTC)
        # Without a zone it would be another moment on every machine.
        if moment.utcoffset() is not None:
            return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    raise ConfigurationError(
        "--since is a span such as 24h, a date such as 2026-11-24, or a time such as 2026-11-24T06:00:00Z"
    )
