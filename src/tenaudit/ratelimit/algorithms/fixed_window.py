"""Fixed window: at most `limit` units from the first hit until `window` later, then afresh.

A window starts with the first hit that finds none running, not with the clock, so keys do not all reset in
the same instant. Inherent to the algorithm: the end of one window and the start of the next may together
admit up to twice the limit; `gcra` and `sliding_window` do not have that seam.

The state is (start of the window in microseconds, units spent in it).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tenaudit.ratelimit.verdict import make_verdict

if TYPE_CHECKING:
    from tenaudit.ratelimit.rules import Rule
    from tenaudit.ratelimit.verdict import RuleVerdict

__all__ = ["idle_at", "refund", "step"]

State = tuple[int, int]


def step(state: State | None, rule: Rule, now: int, cost: int) -> tuple[State | None, RuleVerdict]:
    """Add *cost* to the running window if it fits; see the package for the shape."""
    start, used = state if state is not None and now < state[0] + rule.window_us else (now, 0)
    wait = (start + rule.window_us - now) / 1_000_000
    retry_after = 0.0
    if used + cost > rule.limit:
        retry_after = wait if cost <= rule.limit else inf
    elif cost:
        used += cost
        state = (start, used)
    left = wait if used else 0.0
    return state, make_verdict((rule, not retry_after, rule.limit, rule.limit - used, left, retry_after, left))


def refund(state: State | None, rule: Rule, now: int, cost: int, at: int | None) -> State | None:
    """Take *cost* off the running window; a hit of an earlier window has nothing left to give back."""
    if state is None or now >= state[0] + rule.window_us:
        return None
    start, used = state
    if at is not None and at < start:
        return state
    return (start, used - cost) if used > cost else None


def idle_at(state: State | None, rule: Rule) -> int:
    """Return the end of the window."""
    return state[0] + rule.window_us if state is not None else 0
