"""Calendar quota: at most `limit` units per UTC day or UTC month, back in full when it turns.

`now` is wall time here, since a month is a matter of the calendar. A clock that steps back stays in the
later period: a quota that was spent is never opened twice.

The state is (start of the period, its end, units spent); the end is kept so that the calendar arithmetic
runs once a period.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tenaudit.ratelimit.verdict import make_verdict

if TYPE_CHECKING:
    from tenaudit.ratelimit.rules import Rule
    from tenaudit.ratelimit.verdict import RuleVerdict

__all__ = ["idle_at", "period", "refund", "step"]

State = tuple[int, int, int]

_DAY = 86_400
_DAY_US = _DAY * 1_000_000


def step(state: State | None, rule: Rule, now: int, cost: int) -> tuple[State | None, RuleVerdict]:
    """Add *cost* to the current period if it fits; see the package for the shape."""
    if state is not None and now < state[1]:
        start, end, used = state
    else:
        (start, end), used = period(rule, now), 0
    wait = (end - now) / 1_000_000
    retry_after = 0.0
    if used + cost > rule.limit:
        retry_after = wait if cost <= rule.limit else inf
    elif cost:
        used += cost
        state = (start, end, used)
    left = wait if used else 0.0
    return state, make_verdict((rule, not retry_after, rule.limit, rule.limit - used, left, retry_after, left))


def refund(state: State | None, rule: Rule, now: int, cost: int, at: int | None) -> State | None:
    """Take *cost* off the current period; a hit of an earlier one has nothing left to give back."""
    del rule
    if state is None or now >= state[1]:
        return None
    start, end, used = state
    if at is not None and at < start:
        return state
    return (start, end, used - cost) if used > cost else None


def idle_at(state: State | None, rule: Rule) -> int:
    """Return the end of the period."""
    del rule
    return state[1] if state is not None else 0


def period(rule: Rule, now: int) -> tuple[int, int]:
    """Return the UTC day or month around *now* as microseconds, start included and end not."""
    days = now // _DAY_US
    if rule.window == _DAY:
        return days * _DAY_US, (days + 1) * _DAY_US
    year, month = _year_and_month(days)
    following = _days(year + month // 12, month % 12 + 1)
    return _days(year, month) * _DAY_US, following * _DAY_US


def _year_and_month(days: int) -> tuple[int, int]:
    # The proleptic Gregorian calendar in integers: a year that starts in March has its leap day last, so
    # 400-year eras, years and months are plain divisions; `datetime` ends at 9999 and Lua has none.
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    march_month = (5 * day_of_year + 2) // 153
    month = march_month + 3 if march_month < 10 else march_month - 9
    return era * 400 + year_of_era + (month <= 2), month


def _days(year: int, month: int) -> int:
    """Return the days from 1970-01-01 to the first of a month."""
    march_month = (month - 3) % 12
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * march_month + 2) // 5
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
