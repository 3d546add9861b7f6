"""How units are counted: five pure algorithms of one shape, one file each.

Each gives three functions over an immutable state (None: nothing spent) and integer microseconds:

- `step(state, rule, now, cost)` returns the state after the hit and the verdict; a refused hit, and a cost of
  0, leave the state as it was;
- `refund(state, rule, now, cost, at)` returns the state with *cost* units given back, never below nothing spent;
  *at* is the time of the hit that is given back, None for the newest one;
- `idle_at(state, rule)` returns the time from which the state means the same as None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit.ratelimit.algorithms import calendar, concurrency, fixed_window, gcra, sliding_window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenaudit.ratelimit.rules import Rule
    from tenaudit.ratelimit.verdict import RuleVerdict

__all__ = ["ALGORITHMS", "Algorithm"]


class Algorithm(NamedTuple):
    """The three functions of one way of counting.

    Example:
        >>> from tenaudit.ratelimit import parse_rule
        >>> state, verdict = ALGORITHMS["gcra"].step(None, parse_rule("1/second"), 1_000_000, 1)
        >>> verdict.remaining, verdict.refill_after, ALGORITHMS["gcra"].idle_at(state, verdict.rule)
        (0, 1.0, 2000000)
    """

    step: Callable[[Any, Rule, int, int], tuple[Any, RuleVerdict]]
    refund: Callable[[Any, Rule, int, int, int | None], Any]
    idle_at: Callable[[Any, Rule], int]


ALGORITHMS: Mapping[str, Algorithm] = {
    name: Algorithm(module.step, module.refund, module.idle_at)
    for name, module in (
        ("gcra", gcra),
        ("sliding_window", sliding_window),
        ("fixed_window", fixed_window),
        ("calendar", calendar),
        ("concurrency", concurrency),
    )
}
