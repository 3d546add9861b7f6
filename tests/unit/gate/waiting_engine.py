"""A limiter that really waits, as one over a network does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tenaudit.ratelimit import InMemoryEngine

if TYPE_CHECKING:
    from tenaudit.ratelimit import RateDecision, Rule


class WaitingEngine:
    def __init__(self) -> None:
        self._inner = InMemoryEngine()

    async def hit(self, key: str, *rules: Rule, cost: int = 1) -> RateDecision:
        await asyncio.sleep(0)
        return await self._inner.hit(key, *rules, cost=cost)

    async def peek(self, key: str, *rules: Rule, cost: int = 1) -> RateDecision:
        await asyncio.sleep(0)
        return await self._inner.peek(key, *rules, cost=cost)

    async def refund(self, key: str, *rules: Rule, cost: int = 1, at: int | None = None) -> None:
        await asyncio.sleep(0)
        await self._inner.refund(key, *rules, cost=cost, at=at)

    async def reset(self, key: str, *rules: Rule) -> None:
        await asyncio.sleep(0)
        await self._inner.reset(key, *rules)
