"""The rate limits of one gate: charging a request, saying so in its answer, giving slots back."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from tenaudit.errors import ApiError, LabelGuard
from tenaudit.errors.instruments import tallies
from tenaudit.ratelimit import InMemoryEngine, Rule, parse_rule, rate_limit_headers, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from prometheus_client import CollectorRegistry

    from tenaudit.ratelimit import RateDecision, RateLimiterEngine
    from tenaudit.security import SecurityContext

__all__ = ["Limits"]

_PARTITIONS_KEPT = 4096


class Limits:
    """Charges every tenant's requests to the same rules.

    Args:
        limiter: who counts; in this process when None.
        rules: as `"100/minute"` or `Rule`; none means that nothing is limited.
        registry: where the metric family lives.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> Limits(None, ["100/minute"], CollectorRegistry()).is_on
        True
    """

    def __init__(
        self, limiter: RateLimiterEngine | None, rules: Sequence[str | Rule], registry: CollectorRegistry | None
    ) -> None:
        self._rules = tuple(parse_rule(rule) if isinstance(rule, str) else rule for rule in rules)
        self.is_on = bool(self._rules)
        self._engine = limiter or InMemoryEngine()
        self._in_memory = self._engine if isinstance(self._engine, InMemoryEngine) else None
        # Whether charging waits for nothing.
        self.is_immediate = not self.is_on or self._in_memory is not None
        self.has_slots = any(rule.algorithm == "concurrency" for rule in self._rules)
        self._has_shadows = any(rule.shadow for rule in self._rules)
        self._policy = ("RateLimit-Policy", ", ".join(rule.policy for rule in self._rules))
        self._names = LabelGuard(100)
        self._decisions = tallies(
            registry, "rate_limiter_decisions_total", "Rate limit verdicts by rule.", ("rule", "outcome")
        )
        # What most requests count.
        self._allowed: list[Callable[[], object]] = [self._hit(rule, "allow") for rule in self._rules]
        # The text of a UUID costs as much as counting a hit; callers come again.
        self._partitions: dict[UUID, str] = {}

    def charge_nowait(self, context: SecurityContext) -> RateDecision:
        """Charge one request where `is_immediate`.

        Raises:
            ApiError: 429 `rate_limited`.
        """
        assert self._in_memory is not None
        return self._counted(self._in_memory.hit_nowait(self._partition(context), *self._rules))

    async def charge(self, context: SecurityContext) -> RateDecision:
        """Charge one request.

        Raises:
            ApiError: 429 `rate_limited`.
        """
        return self._counted(await self._engine.hit(self._partition(context), *self._rules))

    def fields(self, rate: RateDecision) -> Sequence[tuple[str, str]]:
        """Return what an answer says of the limits."""
        if not rate.allowed or self._has_shadows or self.has_slots:
            return rate_limit_headers(rate)
        # What `rate_limit_headers` says of a hit that every rule admits, at half its price.
        limits = [
            f"{verdict.rule.quoted};r={min(verdict.remaining, verdict.rule.limit)};t={ceil(verdict.refill_after)}"
            if verdict.refill_after
            else f"{verdict.rule.quoted};r={min(verdict.remaining, verdict.rule.limit)}"
            for verdict in rate.rules
        ]
        return (self._policy, ("RateLimit", ", ".join(limits)))

    def holds_slots(self, rate: RateDecision) -> bool:
        """Tell whether a concurrency rule counted the request and must be given its slot back."""
        return self.has_slots and any(rule.algorithm == "concurrency" for rule in rate.charged)

    def release_nowait(self, context: SecurityContext, rate: RateDecision) -> None:
        """Give the slots of concurrency rules back, where `is_immediate`."""
        assert self._in_memory is not None
        held = [rule for rule in rate.charged if rule.algorithm == "concurrency"]
        self._in_memory.refund_nowait(self._partition(context), *held, at=rate.at)

    async def release(self, context: SecurityContext, rate: RateDecision) -> None:
        """Give the slots of concurrency rules back."""
        held = [rule for rule in rate.charged if rule.algorithm == "concurrency"]
        await self._engine.refund(self._partition(context), *held, at=rate.at)

    def _partition(self, context: SecurityContext) -> str:
        partition = self._partitions.get(context.tenant_id)
        if partition is None:
            if len(self._partitions) >= _PARTITIONS_KEPT:
                self._partitions.clear()
            partition = self._partitions[context.tenant_id] = f"tenant:{context.tenant_id}"
        return partition

    def _counted(self, rate: RateDecision) -> RateDecision:
        if rate.allowed and not self._has_shadows:
            for hit in self._allowed:
                hit()
            return rate
        for verdict in rate.rules:
            outcome = "allow" if verdict.allowed else "shadow" if verdict.rule.shadow else "deny"
            self._hit(verdict.rule, outcome)()
        if not rate.allowed:
            raise _rate_limited(rate)
        return rate

    def _hit(self, rule: Rule, outcome: str) -> Callable[[], object]:
        return self._decisions.of(self._names.label(rule.name), outcome)


def _rate_limited(rate: RateDecision) -> ApiError:
    seconds = retry_after_seconds(rate)
    headers = [(name, value) for name, value in rate_limit_headers(rate) if name != "Retry-After"]
    return ApiError(429, "rate_limited", "A rate limit is used up.", retry_after=seconds, headers=headers)
