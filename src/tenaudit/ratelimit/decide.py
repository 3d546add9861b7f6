"""All rules of one call against the states of one key: charged together or not at all.

Pure: the states come in and go out; the engine keeps them.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from tenaudit.ratelimit.algorithms import ALGORITHMS
from tenaudit.ratelimit.verdict import RateDecision, RuleVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tenaudit.ratelimit.rules import Rule

__all__ = ["States", "Step", "evaluate", "refused_unevaluated", "uncharged"]

States = dict[str, "tuple[Rule, Any]"]
Step = tuple[Any, RuleVerdict]

_STEPS = {name: algorithm.step for name, algorithm in ALGORITHMS.items()}


def evaluate(
    states: Mapping[str, tuple[Rule, Any]],
    rules: Sequence[Rule],
    now: int,
    wall: Callable[[], int],
    cost: int,
) -> tuple[bool, list[Step], int]:
    """Step every rule.

    Args:
        states: what the key has spent, by `rule.state_key`.
        rules: the rules of the call; one that is named twice is charged once.
        now: microseconds since the Unix epoch on a clock that never steps back.
        wall: gives the same on the wall clock; called for `calendar` rules only.
        cost: units, at least 0.

    Returns:
        Whether the hit is admitted, the new state and verdict of each rule, and the microsecond until which
        the key is over a limit (0: it is not).
    """
    allowed = True
    until = 0
    steps = []
    for rule in rules:
        entry = states.get(rule.state_key)
        time = wall() if rule.algorithm == "calendar" else now
        step = _STEPS[rule.algorithm](entry[1] if entry is not None else None, rule, time, cost)
        steps.append(step)
        verdict = step[1]
        if not (verdict.allowed and verdict.remaining) and not rule.shadow:
            allowed = allowed and verdict.allowed
            until = max(until, now + _wait(verdict))
    return allowed, steps, until if until > now else 0


def uncharged(
    states: Mapping[str, tuple[Rule, Any]],
    steps: list[Step],
    now: int,
    wall: Callable[[], int],
    *,
    allowed: bool,
) -> RateDecision:
    """Return the decision of steps that are not committed: each verdict as it is, with what remains now."""
    verdicts = []
    for _, stepped in steps:
        verdict = stepped
        if verdict.allowed:  # a refused hit changed nothing, so its numbers are the present ones already
            rule = verdict.rule
            entry = states.get(rule.state_key)
            time = wall() if rule.algorithm == "calendar" else now
            verdict = _STEPS[rule.algorithm](entry[1] if entry is not None else None, rule, time, 0)[1]
        verdicts.append(verdict)
    return RateDecision(allowed, tuple(verdicts), now)


def refused_unevaluated(rules: Sequence[Rule], refusing: Sequence[Rule], now: int, wait: float) -> RateDecision:
    """Return the decision when *refusing* rules fail closed: nothing could be counted; retry in *wait* seconds."""
    return RateDecision(
        False,
        tuple(
            RuleVerdict(rule, False, rule.burst, 0, wait, wait, wait)
            if rule in refusing
            else RuleVerdict(rule, True, rule.burst, rule.burst, 0.0, 0.0)
            for rule in rules
        ),
        now,
    )


def _wait(verdict: RuleVerdict) -> int:
    """Return the microseconds for which the rule refuses, or would refuse, such a hit."""
    if 0.0 < verdict.retry_after < inf:
        return round(verdict.retry_after * 1_000_000)
    return 0 if verdict.remaining else round(verdict.refill_after * 1_000_000)
