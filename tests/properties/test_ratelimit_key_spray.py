"""However keys are sprayed, memory stays bounded and a key that is over a limit stays refused."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tenaudit.ratelimit import InMemoryEngine, parse_rule
from tenaudit.testing.clock import ManualClock

TEXTS = [
    "2/10 seconds;on_failure={0}",
    "3/minute;burst=2;on_failure={0}",
    "2/20 seconds;algorithm=fixed_window;on_failure={0}",
    "3/15 seconds;algorithm=sliding_window;on_failure={0}",
    "2/month;on_failure={0}",
    "1 concurrent;lease=30;on_failure={0}",
]
KEYS = st.integers(0, 8).map(str)


class KeySpray(RuleBasedStateMachine):
    @initialize(text=st.sampled_from(TEXTS), mode=st.sampled_from(["open", "closed", "local"]), size=st.integers(1, 5))
    def begin(self, text, mode, size):
        self.rule = parse_rule(text.format(mode))
        self.mode = mode
        self.size = size
        self.clock = ManualClock()
        self.engine = InMemoryEngine(max_keys=size, clock=self.clock)
        self.exhausted = {}  # key -> the microsecond at which it has a unit again

    @property
    def now(self):
        return self.clock.time_ns() // 1_000

    @rule(seconds=st.integers(0, 40) | st.just(40 * 86_400))
    def advance(self, seconds):
        self.clock.advance(seconds)
        self.exhausted = {key: until for key, until in self.exhausted.items() if until > self.now}

    @rule(key=KEYS, cost=st.integers(1, 2))
    def hit(self, key, cost):
        before = self.overflowed()
        full = len(self.exhausted) == self.size
        decision = self.engine.hit_nowait(key, self.rule, cost=cost)
        without_place = self.overflowed() - before
        assert self.engine.stats().keys <= self.size
        if key in self.exhausted:
            assert not decision.allowed
        elif full and cost <= self.rule.burst:
            assert without_place == 1
        if without_place:
            assert self.engine.stats().over_limit == self.size
            self.check_policy(decision)
        elif decision.allowed and not decision.rules[0].remaining:
            self.exhausted[key] = self.now + self.until_a_unit_is_back(decision.rules[0])

    def overflowed(self):
        stats = self.engine.stats()
        counts = {
            "open": stats.overflowed_open,
            "closed": stats.overflowed_closed,
            "local": stats.overflowed_local,
        }
        assert not any(count for mode, count in counts.items() if mode != self.mode)
        return counts[self.mode]

    def until_a_unit_is_back(self, verdict):
        held = self.rule.algorithm == "concurrency"  # nobody gives slots back here
        return self.rule.window_us if held else round(verdict.refill_after * 1_000_000)

    def check_policy(self, decision):
        if self.mode != "local":
            assert decision.allowed is (self.mode == "open")
        assert decision.allowed or decision.retry_after > 0

    @rule(first=st.integers(100, 10**6), many=st.integers(1, 20))
    def spray(self, first, many):
        for key in range(first, first + many):
            self.hit(str(key), 1)

    @rule(key=KEYS)
    def exhaust(self, key):
        for _ in range(3):
            self.hit(key, 1)

    @rule()
    def the_exhausted_stay_refused(self):
        for key in self.exhausted:
            assert not self.engine.peek_nowait(key, self.rule).allowed


TestKeySpray = KeySpray.TestCase
TestKeySpray.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
