"""Concurrency: at most `limit` slots held at once, each with a lease.

A hit takes *cost* slots, a refund gives them back; a slot that is never given back is free again when its
lease (`rule.window`) ends, so choose a lease longer than the longest request. `refund(..., at=decision.at)`
frees the very slot that the hit took; without `at` the newest one, so that the slot of a crashed holder still
runs out.

The state is a tuple of (end of lease, slots), oldest first. When a slot comes free is up to its holder, so
`retry_after` is a hint: one second, or the end of the first lease if that is sooner.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tenaudit.ratelimit.verdict import make_verdict

if TYPE_CHECKING:
    from tenaudit.ratelimit.rules import Rule
    from tenaudit.ratelimit.verdict import RuleVerdict

__all__ = ["idle_at", "refund", "step"]

State = tuple[tuple[int, int], ...]

_POLL_US = 1_000_000


def step(state: State | None, rule: Rule, now: int, cost: int) -> tuple[State | None, RuleVerdict]:
    """Take *cost* slots if that many are free; see the package for the shape."""
    held = _live(state, now)
    used = 0
    for entry in held:
        used += entry[1]
    retry_after = 0.0
    if used + cost > rule.limit:
        retry_after = _soonest(held, now) if cost <= rule.limit else inf
    elif cost:
        used += cost
        state = held = _append(held, now + rule.window_us, cost)
    return state, make_verdict(
        (
            rule,
            not retry_after,
            rule.limit,
            rule.limit - used,
            (held[-1][0] - now) / 1_000_000 if held else 0.0,
            retry_after,
            _soonest(held, now),
        )
    )


def refund(state: State | None, rule: Rule, now: int, cost: int, at: int | None) -> State | None:
    """Free the *cost* slots taken at *at*, or the newest ones; a lease that ended has freed its own."""
    held = list(_live(state, now))
    for index in range(len(held) - 1, -1, -1):
        end, slots = held[index]
        if at is not None and end != at + rule.window_us:
            continue
        given = min(cost, slots)
        held[index] = (end, slots - given)
        cost -= given
        if not cost:
            break
    return tuple(entry for entry in held if entry[1]) or None


def idle_at(state: State | None, rule: Rule) -> int:
    """Return the end of the last lease."""
    del rule
    return state[-1][0] if state else 0


def _live(state: State | None, now: int) -> State:
    if not state:
        return ()
    if state[0][0] > now:
        return state
    return tuple(entry for entry in state if entry[0] > now)


def _append(held: State, end: int, cost: int) -> State:
    if held and held[-1][0] >= end:
        return (*held[:-1], (held[-1][0], held[-1][1] + cost))
    return (*held, (end, cost))


def _soonest(held: State, now: int) -> float:
    return min(held[0][0] - now, _POLL_US) / 1_000_000 if held else 0.0
