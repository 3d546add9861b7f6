"""Generic cell rate algorithm: a token bucket that is one number.

The bucket holds `burst` tokens and refills continuously at limit / window. The state is the theoretical
arrival time: the moment at which the bucket is full again. It is kept in units of 1/`rule.scale` microseconds,
in which a token is exactly `rule.interval` units, so no rounding ever builds up.

A port to doubles keeps the same value as whole microseconds and a remainder below `scale`; every product is
then below 2**53 (`Rule` refuses limits for which it is not).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tenaudit.ratelimit.verdict import make_verdict

if TYPE_CHECKING:
    from tenaudit.ratelimit.rules import Rule
    from tenaudit.ratelimit.verdict import RuleVerdict

__all__ = ["idle_at", "refund", "step"]


def step(state: int | None, rule: Rule, now: int, cost: int) -> tuple[int | None, RuleVerdict]:
    """Take *cost* tokens if the bucket holds that many; see the package for the shape."""
    scale = rule.scale
    interval = rule.interval
    start = now * scale
    debt = state - start if state is not None and state > start else 0
    wanted = debt + cost * interval
    room = rule.depth - wanted
    retry_after = 0.0
    if room >= 0:
        if cost:
            debt = wanted
            state = start + debt
    else:
        retry_after = _seconds(-room, scale) if cost <= rule.burst else inf
        room = rule.depth - debt
    remaining = room // interval
    return state, make_verdict(
        (
            rule,
            not retry_after,
            rule.burst,
            remaining,
            -(-debt // scale) / 1_000_000,
            retry_after,
            -((room - (remaining + 1) * interval) // scale) / 1_000_000 if debt else 0.0,
        )
    )


def refund(state: int | None, rule: Rule, now: int, cost: int, at: int | None) -> int | None:
    """Put *cost* tokens back; what does not fit in the bucket is lost."""
    del at  # tokens have no date
    if state is None:
        return None
    state -= cost * rule.interval
    return state if state > now * rule.scale else None


def idle_at(state: int | None, rule: Rule) -> int:
    """Return the microsecond from which the bucket is full."""
    return -(-state // rule.scale) if state is not None else 0


def _seconds(units: int, scale: int) -> float:
    # Rounded up to the microsecond: whoever waits that long has waited long enough.
    return -(-units // scale) / 1_000_000
