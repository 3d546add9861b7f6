"""The port of every rate limit engine: in memory here, Redis in `tenaudit.backends.redis`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tenaudit.ratelimit.rules import Rule
    from tenaudit.ratelimit.verdict import RateDecision

__all__ = ["RateLimiterEngine"]


class RateLimiterEngine(Protocol):
    """Counts hits of a key (a tenant, an API key, an IP) against rules.

    Example:
        >>> from tenaudit.ratelimit import InMemoryEngine
        >>> engine: RateLimiterEngine = InMemoryEngine()
    """

    async def hit(self, key: str, *rules: Rule, cost: int = 1) -> RateDecision:
        """Charge *cost* to every rule, or to none if one that is not a shadow refuses."""
        ...

    async def peek(self, key: str, *rules: Rule, cost: int = 1) -> RateDecision:
        """Say what `hit` would decide, with what remains now; charge nothing."""
        ...

    async def refund(self, key: str, *rules: Rule, cost: int = 1, at: int | None = None) -> None:
        """Give *cost* back to every rule: of the hit decided at *at*, else of the newest."""
        ...

    async def reset(self, key: str, *rules: Rule) -> None:
        """Forget what these rules (none given: all) have counted for the key."""
        ...
