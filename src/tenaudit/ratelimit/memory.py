"""The in-memory engine: exact, thread-safe, of bounded memory; for one process."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.ratelimit.algorithms import ALGORITHMS
from tenaudit.ratelimit.decide import evaluate, refused_unevaluated, uncharged
from tenaudit.ratelimit.keys import Instant, KeyTable, idle_at
from tenaudit.ratelimit.rules import InvalidCost, check_cost
from tenaudit.ratelimit.verdict import make_decision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit.ratelimit.decide import States, Step
    from tenaudit.ratelimit.keys import Bucket
    from tenaudit.ratelimit.rules import Rule
    from tenaudit.ratelimit.verdict import RateDecision

__all__ = ["EngineStats", "InMemoryEngine"]

_NO_STATES: Mapping[str, tuple[Rule, Any]] = {}
_MAX_SHARED = 1_024


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What an `InMemoryEngine` holds and what its bound has cost.

    Attributes:
        keys: keys with something counted.
        over_limit: keys among them that are over a limit and will not be dropped.
        reclaimed: idle keys dropped; nothing was lost.
        evicted: keys dropped, not over a limit, that had something counted.
        overflowed_open: hits of keys without a place that were admitted uncounted (`on_failure=open`).
        overflowed_closed: hits of keys without a place that were refused (`on_failure=closed`).
        overflowed_local: hits of keys without a place that were counted together (`on_failure=local`).

    Example:
        >>> InMemoryEngine().stats().keys
        0
    """

    keys: int
    over_limit: int
    reclaimed: int
    evicted: int
    overflowed_open: int
    overflowed_closed: int
    overflowed_local: int


class InMemoryEngine:
    """Counts in this process; every call is atomic, from any thread and any event loop.

    Time is the clock's monotonic reading, pinned to wall time once, so a step of the wall clock neither
    opens nor locks a limit; only `calendar` follows the wall clock.

    When *max_keys* keys have something counted, a new key takes the place of an idle one, else of the least
    recently used one that is not over a limit. When all are over a limit, each rule's `on_failure` decides for
    the new key: `open` admits it uncounted, `closed` refuses it, `local` counts all such keys together as one
    key, so that they share one limit. `stats()` counts these hits.

    Args:
        max_keys: keys that can be counted at once, at least 1.
        clock: where time comes from.

    Raises:
        ConfigurationError: *max_keys* is below 1.

    Example:
        >>> from tenaudit.ratelimit import parse_rule
        >>> engine = InMemoryEngine()
        >>> rule = parse_rule("2/minute")
        >>> [engine.hit_nowait("tenant-1", rule).allowed for _ in range(3)]
        [True, True, False]
    """

    __slots__ = ("_anchor", "_clock", "_lock", "_monotonic", "_overflowed", "_shared", "_table")

    def __init__(self, max_keys: int = 100_000, clock: Clock | None = None) -> None:
        if max_keys < 1:
            raise ConfigurationError("InMemoryEngine max_keys must be at least 1")
        self._clock = clock or SystemClock()
        self._monotonic = self._clock.monotonic
        self._anchor = 0
        self._anchor = self._wall() - self._now()
        self._lock = Lock()
        self._table = KeyTable(max_keys)
        self._shared: States = {}
        self._overflowed = {"open": 0, "closed": 0, "local": 0}

    async def hit(self, key: str, *rules: Rule, cost: int = 1) -> RateDecision:
        """Charge *cost* to every rule, or to none if one that is not a shadow refuses.

        Raises:
            InvalidCost: the cost is not a whole number of at least 0.
        """
        return self.hit_nowait(key, *rules, cost=cost)

    async def peek(self, key: str, *rules: Rule, cost: int = 1) -> RateDecision:
        """Say what `hit` would decide, with what remains now; charge nothing.

        Raises:
            InvalidCost: the cost is not a whole number of at least 0.
        """
        return self.peek_nowait(key, *rules, cost=cost)

    async def refund(self, key: str, *rules: Rule, cost: int = 1, at: int | None = None) -> None:
        """Give *cost* back to every rule: of the hit decided at *at*, else of the newest.

        Raises:
            InvalidCost: the cost is not a whole number of at least 0.
        """
        self.refund_nowait(key, *rules, cost=cost, at=at)

    async def reset(self, key: str, *rules: Rule) -> None:
        """Forget what these rules (none given: all) have counted for the key."""
        self.reset_nowait(key, *rules)

    def hit_nowait(self, key: str, *rules: Rule, cost: int = 1) -> RateDecision:
        """`hit` for synchronous callers: it never waits for anything but the lock."""
        if type(cost) is not int or cost < 0:  # `check_cost` without the call: every request pays for it
            raise InvalidCost(cost)
        with self._lock:
            now = self._now()
            table = self._table
            bucket = table.buckets.get(key)
            states = bucket.states if bucket is not None else _NO_STATES
            allowed, steps, until = evaluate(states, rules, now, self._wall, cost)
            if allowed and cost and rules:
                if bucket is None:
                    bucket = self._insert(key, steps, now)
                    if bucket is None:
                        return self._overflow(rules, now, cost)
                else:
                    _commit(bucket.states, steps)
            if bucket is not None:
                if until:
                    table.protect(bucket, until)
                else:
                    table.touch(bucket)
            if allowed:
                return make_decision((True, tuple([step[1] for step in steps]), now))
            return uncharged(states, steps, now, self._wall, allowed=False)

    def peek_nowait(self, key: str, *rules: Rule, cost: int = 1) -> RateDecision:
        """`peek` for synchronous callers; a key without a place answers as a fresh one."""
        check_cost(cost)
        with self._lock:
            now = self._now()
            bucket = self._table.buckets.get(key)
            states = bucket.states if bucket is not None else _NO_STATES
            allowed, steps, _ = evaluate(states, rules, now, self._wall, cost)
            return uncharged(states, steps, now, self._wall, allowed=allowed)

    def refund_nowait(self, key: str, *rules: Rule, cost: int = 1, at: int | None = None) -> None:
        """`refund` for synchronous callers."""
        check_cost(cost)
        with self._lock:
            time = Instant(self._now(), self._wall())
            bucket = self._table.buckets.get(key)
            # A key without a place was counted, if at all, with the others that had none.
            states = bucket.states if bucket is not None else self._shared
            for rule in rules:
                entry = states.get(rule.state_key)
                if entry is not None:
                    # A decision is dated on the steady clock; `calendar` asks on which side of a wall time it lies.
                    dated = None if at is None else at + time.of(rule) - time.now
                    state = ALGORITHMS[rule.algorithm].refund(entry[1], rule, time.of(rule), cost, dated)
                    _put(states, rule, state)
            if bucket is not None:
                self._table.relax(bucket, time)

    def reset_nowait(self, key: str, *rules: Rule) -> None:
        """`reset` for synchronous callers."""
        with self._lock:
            bucket = self._table.buckets.get(key)
            if bucket is None:
                return
            for state_key in [rule.state_key for rule in rules] or list(bucket.states):
                bucket.states.pop(state_key, None)
            self._table.relax(bucket, Instant(self._now(), self._wall()))

    def stats(self) -> EngineStats:
        """Return the present counts."""
        with self._lock:
            table = self._table
            return EngineStats(
                len(table.buckets),
                table.over_limit,
                table.reclaimed,
                table.evicted,
                self._overflowed["open"],
                self._overflowed["closed"],
                self._overflowed["local"],
            )

    def _insert(self, key: str, steps: list[Step], now: int) -> Bucket | None:
        time = Instant(now, self._wall())
        bucket = self._table.insert(key, time)
        if bucket is not None:
            _commit(bucket.states, steps)
            self._table.schedule(bucket, time)
        return bucket

    def _overflow(self, rules: tuple[Rule, ...], now: int, cost: int) -> RateDecision:
        closed = [rule for rule in rules if rule.on_failure == "closed" and not rule.shadow]
        local = [rule for rule in rules if rule.on_failure == "local"]
        if closed or not self._room_to_share(local, now):
            self._overflowed["closed"] += 1
            wait = (self._table.room_at(now) - now) / 1_000_000
            return refused_unevaluated(rules, closed or local, now, wait)
        self._overflowed["local" if local else "open"] += 1
        # Rules that fail open have no shared state: each such hit is their first.
        allowed, steps, _ = evaluate(self._shared, rules, now, self._wall, cost)
        if not allowed:
            return uncharged(self._shared, steps, now, self._wall, allowed=False)
        _commit(self._shared, [step for step in steps if step[1].rule.on_failure == "local"])
        return make_decision((True, tuple([step[1] for step in steps]), now))

    def _room_to_share(self, rules: list[Rule], now: int) -> bool:
        if len(self._shared) + len(rules) > _MAX_SHARED:
            time = Instant(now, self._wall())
            self._shared = {k: pair for k, pair in self._shared.items() if idle_at(*pair, time) > now}
        return len(self._shared) + len(rules) <= _MAX_SHARED

    def _now(self) -> int:
        # The nearest microsecond, not the one below: seconds as a float fall a hair short of a whole one.
        return int(self._monotonic() * 1_000_000 + 0.5) + self._anchor

    def _wall(self) -> int:
        return self._clock.time_ns() // 1_000


def _commit(states: States, steps: list[Step]) -> None:
    for state, verdict in steps:
        states[verdict.rule.state_key] = (verdict.rule, state)


def _put(states: States, rule: Rule, state: Any) -> None:
    if state is None:
        states.pop(rule.state_key, None)
    else:
        states[rule.state_key] = (rule, state)
