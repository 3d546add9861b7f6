"""Sliding window: never more than `limit` units in any stretch of time as long as the window.

The state is a log of hits with a bounded number of entries. The usual two-bucket counter is smaller, but
assumes that the previous window's hits were spread evenly: a burst at its end lets almost twice the limit
through. Here the only error is on the strict side.

An entry is (time of its first hit, time of its last, units). Up to 32 units a window every instant has its own
entry and the log is exact. Above that, hits within window/32 of an entry's first join it and leave when its
last one does: units may come back up to window/32 late, never early, and the log has at most 33 entries.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tenaudit.ratelimit.verdict import make_verdict

if TYPE_CHECKING:
    from tenaudit.ratelimit.rules import Rule
    from tenaudit.ratelimit.verdict import RuleVerdict

__all__ = ["grain", "idle_at", "refund", "step"]

State = tuple[tuple[int, int, int], ...]

_GRAINS = 32


def grain(rule: Rule) -> int:
    """Return the microseconds by which a unit may come back late; 0 means exact."""
    return 0 if rule.limit <= _GRAINS else rule.window_us // _GRAINS


def step(state: State | None, rule: Rule, now: int, cost: int) -> tuple[State | None, RuleVerdict]:
    """Log *cost* units if they fit; see the package for the shape."""
    log = _live(state, rule, now)
    used = 0
    for entry in log:
        used += entry[2]
    retry_after = 0.0
    if used + cost > rule.limit:
        retry_after = _retry_after(log, rule, now, used + cost - rule.limit) if cost <= rule.limit else inf
    elif cost:
        used += cost
        state = log = _append(log, rule, now, cost)
    end = rule.window_us - now
    return state, make_verdict(
        (
            rule,
            not retry_after,
            rule.limit,
            rule.limit - used,
            (log[-1][1] + end) / 1_000_000 if log else 0.0,
            retry_after,
            (log[0][1] + end) / 1_000_000 if log else 0.0,
        )
    )


def refund(state: State | None, rule: Rule, now: int, cost: int, at: int | None) -> State | None:
    """Take *cost* units off the entry that holds *at*, or off the newest ones."""
    log = list(_live(state, rule, now))
    for index in range(len(log) - 1, -1, -1):
        first, last, units = log[index]
        if at is not None and not first <= at <= last:
            continue
        given = min(cost, units)
        log[index] = (first, last, units - given)
        cost -= given
        if not cost or at is not None:
            break
    return tuple(entry for entry in log if entry[2]) or None


def idle_at(state: State | None, rule: Rule) -> int:
    """Return the microsecond at which the last entry leaves the window."""
    return state[-1][1] + rule.window_us if state else 0


def _live(state: State | None, rule: Rule, now: int) -> State:
    if not state:
        return ()
    oldest = now - rule.window_us
    if state[0][1] > oldest:
        return state
    return tuple(entry for entry in state if entry[1] > oldest)


def _append(log: State, rule: Rule, now: int, cost: int) -> State:
    if log and now - log[-1][0] <= grain(rule):
        first, last, units = log[-1]
        return (*log[:-1], (first, max(last, now), units + cost))
    return (*log, (now, now, cost))


def _retry_after(log: State, rule: Rule, now: int, missing: int) -> float:
    leaves = now
    for _, last, units in log:
        leaves = last + rule.window_us
        missing -= units
        if missing <= 0:
            break
    return (leaves - now) / 1_000_000
