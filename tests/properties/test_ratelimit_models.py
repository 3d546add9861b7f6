"""The in-memory engine agrees, call by call, with an independent model of each algorithm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tenaudit.ratelimit import InMemoryEngine, parse_rule
from tenaudit.testing.clock import ManualClock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogModel:
    """Every admitted unit with its time; a subclass says which of them still count."""

    def __init__(self, rule):
        self.rule = rule
        self.log = []

    def live(self, now):
        raise NotImplementedError

    def remaining(self, now):
        self.log = self.live(now)
        return self.rule.limit - len(self.log)

    def fits(self, now, cost):
        return self.remaining(now) >= cost

    def charge(self, now, cost):
        self.remaining(now)
        self.log += [now] * cost

    def refund(self, now, cost, at):
        self.remaining(now)
        if at is not None and not self.hit_still_counts(at):
            return
        for _ in range(min(cost, len(self.log))):
            if at is None or not self.dated:
                self.log.pop()
            elif at in self.log:
                self.log.remove(at)

    dated = True

    def hit_still_counts(self, at):
        return True


class FixedModel(LogModel):
    dated = False

    def live(self, now):
        return self.log if self.log and now - self.log[0] < self.rule.window * 10**6 else []

    def charge(self, now, cost):
        start = self.live(now)[0] if self.live(now) else now
        super().charge(now, cost)
        # Only the time of the window's first hit matters, and it outlives that hit's refund.
        self.log = [start] * len(self.log)

    def hit_still_counts(self, at):
        return bool(self.log) and at >= self.log[0]


class CalendarModel(LogModel):
    dated = False

    def period(self, us):
        moment = EPOCH + timedelta(microseconds=us)
        return (moment.year, moment.month) + ((moment.day,) if self.rule.window == 86_400 else ())

    def live(self, now):
        return [at for at in self.log if self.period(at) == self.period(now)]

    def hit_still_counts(self, at):
        return bool(self.log) and self.period(at) == self.period(self.log[0])


class SlidingModel(LogModel):
    def live(self, now):
        return [at for at in self.log if at > now - self.rule.window * 10**6]


class ConcurrencyModel(SlidingModel):
    pass


class BucketModel:
    """A token bucket with continuous refill, in exact rationals."""

    def __init__(self, rule):
        self.rule = rule
        self.tokens = Fraction(rule.burst)
        self.then = 0

    def refill(self, now):
        rate = Fraction(self.rule.limit, self.rule.window * 10**6)
        self.tokens = min(Fraction(self.rule.burst), self.tokens + (now - self.then) * rate)
        self.then = now

    def remaining(self, now):
        self.refill(now)
        return int(self.tokens)

    def fits(self, now, cost):
        self.refill(now)
        return self.tokens >= cost

    def charge(self, now, cost):
        self.refill(now)
        self.tokens -= cost

    def refund(self, now, cost, at):
        self.refill(now)
        self.tokens = min(Fraction(self.rule.burst), self.tokens + cost)


MODELS = {
    "gcra": BucketModel,
    "fixed_window": FixedModel,
    "calendar": CalendarModel,
    "sliding_window": SlidingModel,
    "concurrency": ConcurrencyModel,
}
RULES = [
    parse_rule(text)
    for text in (
        "7/second",
        "5/minute;burst=2",
        "3/7 seconds;burst=9",
        "6/5 seconds;algorithm=fixed_window",
        "8/day;algorithm=calendar",
        "9/month",
        "5/3 seconds;algorithm=sliding_window",
        "4 concurrent;lease=2",
        "3/2 seconds;shadow=true;name=shadowed",
    )
]
KEYS = st.sampled_from(["a", "a", "a", "b"])
COSTS = st.integers(0, 4) | st.just(50)
PARTS = st.sampled_from([0, 0, 0.1, 0.25, 0.5, 1, 1, 1.5])


@pytest.mark.parametrize("rule", RULES, ids=str)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_long_runs_of_one_rule_agree_with_its_model(rule, seed):
    dice, clock = Random(seed), ManualClock()
    engine, model = InMemoryEngine(clock=clock), MODELS[rule.algorithm](rule)
    past = [0]
    for _ in range(120):
        now, cost = clock.time_ns() // 1_000, dice.choice([0, 1, 1, 2, 3])
        if dice.random() < 0.25:
            at = dice.choice([None, *past[-4:]])
            engine.refund_nowait("a", rule, cost=cost, at=at)
            model.refund(now, cost, at)
        else:
            fits = model.fits(now, cost)
            verdict = engine.hit_nowait("a", rule, cost=cost).rules[0]
            assert verdict.allowed is fits
            if fits:
                model.charge(now, cost)
                past.append(now)
            assert verdict.remaining == model.remaining(now)
        part = dice.choice([0, 0, 0, 0.05, 0.25, 0.5, 1])
        clock.advance(max(0, round(part * rule.window * 10**6) + dice.choice([-1, 0, 0, 1])) / 1e6)


class EngineAgainstModels(RuleBasedStateMachine):
    @initialize(
        start=st.integers(0, 4_000_000_000),
        rules=st.lists(st.sampled_from(RULES), min_size=1, max_size=3, unique=True),
    )
    def begin(self, start, rules):
        self.rules = rules
        self.clock = ManualClock(start=float(start))
        self.engine = InMemoryEngine(clock=self.clock)
        self.models = {}
        self.times = [start * 10**6]

    @property
    def now(self):
        return self.clock.time_ns() // 1_000

    def model(self, key, rule):
        return self.models.setdefault((key, rule.name), MODELS[rule.algorithm](rule))

    @rule(part=PARTS, more=st.integers(-1, 1) | st.integers(0, 3_000_000), data=st.data())
    def advance(self, part, more, data):
        """Move to, or one microsecond around, a moment that matters to one of the rules."""
        window = data.draw(st.sampled_from(self.rules)).window
        self.clock.advance(max(0, round(part * window * 10**6) + more) / 1e6)

    def some_rules(self, data):
        return data.draw(st.lists(st.sampled_from(self.rules), min_size=1, unique=True))

    @rule(key=KEYS, cost=COSTS, data=st.data())
    def hit(self, key, cost, data):
        rules = self.some_rules(data)
        fits = [self.model(key, r).fits(self.now, cost) for r in rules]
        expected = all(fit or r.shadow for fit, r in zip(fits, rules, strict=True))
        decision = self.engine.hit_nowait(key, *rules, cost=cost)
        assert decision.allowed is expected
        assert decision.at == self.now
        self.times = [*self.times[-3:], decision.at]
        for r, fit in zip(rules, fits, strict=True):
            if expected and fit:
                self.model(key, r).charge(self.now, cost)
        assert decision.charged == tuple(r for r, fit in zip(rules, fits, strict=True) if expected and fit)
        self.check(key, decision, rules, fits, cost)

    @rule(key=KEYS, cost=COSTS, data=st.data())
    def peek(self, key, cost, data):
        rules = self.some_rules(data)
        fits = [self.model(key, r).fits(self.now, cost) for r in rules]
        decision = self.engine.peek_nowait(key, *rules, cost=cost)
        assert decision.allowed is all(fit or r.shadow for fit, r in zip(fits, rules, strict=True))
        self.check(key, decision, rules, fits, cost)

    def check(self, key, decision, rules, fits, cost):
        assert tuple(v.rule for v in decision.rules) == tuple(rules)
        for verdict, r, fit in zip(decision.rules, rules, fits, strict=True):
            assert verdict.allowed is fit
            assert verdict.remaining == self.model(key, r).remaining(self.now)
            assert verdict.limit == r.burst
            assert (verdict.retry_after == 0.0) is fit
            assert (verdict.retry_after == inf) is (cost > r.burst)
            assert (verdict.reset_after == 0.0) is (verdict.refill_after == 0.0)
            assert verdict.refill_after <= verdict.reset_after

    @rule(key=KEYS, cost=st.integers(0, 4), data=st.data())
    def refund(self, key, cost, data):
        rules = self.some_rules(data)
        at = data.draw(st.none() | st.sampled_from(self.times))
        self.engine.refund_nowait(key, *rules, cost=cost, at=at)
        for r in rules:
            self.model(key, r).refund(self.now, cost, at)

    @rule(key=KEYS, data=st.data())
    def reset_some(self, key, data):
        rules = self.some_rules(data)
        self.engine.reset_nowait(key, *rules)
        for r in rules:
            self.models.pop((key, r.name), None)

    @rule(key=KEYS)
    def reset_all(self, key):
        self.engine.reset_nowait(key)
        self.models = {pair: model for pair, model in self.models.items() if pair[0] != key}

    @invariant()
    def few_keys(self):
        if hasattr(self, "engine"):
            assert self.engine.stats().keys <= 2


TestEngineAgainstModels = EngineAgainstModels.TestCase
TestEngineAgainstModels.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
