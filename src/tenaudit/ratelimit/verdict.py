"""What a limiter answers: one `RuleVerdict` a rule, one `RateDecision` a call.

Named tuples, because one of each is built for every request that passes. Their truth is `allowed`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenaudit.ratelimit.rules import Rule

__all__ = ["RateDecision", "RuleVerdict", "make_decision", "make_verdict"]


class RuleVerdict(NamedTuple):
    """What one rule says of one hit.

    Attributes:
        rule: the rule that was asked.
        allowed: whether the rule would admit the hit; a shadow rule may say False and refuse nothing.
        limit: units that can be spent when nothing is (the burst of a gcra rule).
        remaining: units left after this call; never negative.
        reset_after: seconds until nothing is spent, if nobody hits again.
        retry_after: seconds until the same hit is admitted, if nobody hits again: 0.0 when it was allowed,
            infinity when it costs more than the rule ever has. For `concurrency` a hint: slots come back when
            they are given back.
        refill_after: seconds until `remaining` next grows; 0.0 when nothing is spent.

    Example:
        >>> from tenaudit.ratelimit import parse_rule
        >>> bool(RuleVerdict(parse_rule("5/minute"), False, 5, 0, 60.0, 12.0))
        False
    """

    rule: Rule
    allowed: bool
    limit: int
    remaining: int
    reset_after: float
    retry_after: float
    refill_after: float = 0.0

    def __bool__(self) -> bool:
        return self.allowed


class RateDecision(NamedTuple):
    """What all rules of one call say together.

    Attributes:
        allowed: every rule that is not a shadow admits the hit.
        rules: one verdict for each rule, in the order they were given.
        at: when it was decided, microseconds since the Unix epoch; `refund(..., at=decision.at)` gives exactly
            this hit back.

    Example:
        >>> RateDecision(True, ()).retry_after
        0.0
    """

    allowed: bool
    rules: tuple[RuleVerdict, ...]
    at: int = 0

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def refused_by(self) -> tuple[RuleVerdict, ...]:
        """The verdicts that refused the hit; shadow rules are never among them."""
        return tuple(v for v in self.rules if not v.allowed and not v.rule.shadow)

    @property
    def charged(self) -> tuple[Rule, ...]:
        """The rules that this hit was counted against: what a refund of it has to name."""
        return tuple(v.rule for v in self.rules if v.allowed) if self.allowed else ()

    @property
    def retry_after(self) -> float:
        """Seconds until the same call can be admitted; 0.0 when it was, infinity when it never can be."""
        return max((v.retry_after for v in self.refused_by), default=0.0)


# Tuples straight from the type: half the cost of the generated constructors, on a path that every request takes.
make_verdict: Callable[[tuple[Rule, bool, int, int, float, float, float]], RuleVerdict] = partial(
    tuple.__new__, RuleVerdict
)
make_decision: Callable[[tuple[bool, tuple[RuleVerdict, ...], int]], RateDecision] = partial(
    tuple.__new__, RateDecision
)
