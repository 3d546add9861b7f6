"""The rules of the JWKS cache, against a simple model that remembers everything."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tenaudit.security.jwk_set import JwkSet
from tenaudit.security.jwks import JwksCache, JwksTimes

KIDS = [f"k{number}" for number in range(6)]
SETS = st.sets(st.sampled_from(KIDS), min_size=1)


def key_set(kids):
    return JwkSet({kid: ("ES256", kid) for kid in kids})


class CacheMachine(RuleBasedStateMachine):
    """Drives a cache as a source does; the model is a list of fetch beginnings and of what was kept."""

    @initialize(
        refresh=st.sampled_from([30.0, 60.0, 300.0]),
        stale=st.sampled_from([0.0, 45.0, 3600.0]),
        negative_ttl=st.sampled_from([0.0, 40.0, 300.0]),
        negative_max=st.integers(0, 3),
    )
    def start(self, refresh, stale, negative_ttl, negative_max):
        self.times = JwksTimes(refresh, 30.0, negative_ttl, negative_max, stale)
        self.cache = JwksCache(self.times)
        self.now = 1000.0
        self.begun = []
        self.open = []
        self.kept = None  # (begun, had at, kids)
        self.missed = {}

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 29.0, 30.0, 31.0, 300.0, 4000.0]))
    def pass_time(self, seconds):
        self.now += seconds

    @rule()
    def begin(self):
        allowed = not self.begun or self.now - self.begun[-1] >= 30
        assert self.cache.begin(self.now) is allowed
        if allowed:
            self.begun.append(self.now)
            self.open.append(self.now)

    @precondition(lambda self: self.open)
    @rule(kids=SETS, place=st.integers(0, 10))
    def succeed(self, kids, place):
        begun = self.open.pop(place % len(self.open))
        keep = self.kept is None or begun >= self.kept[0]
        assert self.cache.stored(key_set(kids), begun=begun, now=self.now) is keep
        if keep:
            self.kept = (begun, self.now, kids)

    @precondition(lambda self: self.open)
    @rule(place=st.integers(0, 10))
    def fail(self, place):
        # A failure has no method: nothing can be wiped by what is never told.
        self.open.pop(place % len(self.open))

    @rule(kid=st.sampled_from([*KIDS, "", "x" * 257]))
    def miss(self, kid):
        self.cache.missed(kid, self.now)
        if self.times.negative_max and kid in KIDS:
            self.missed.pop(kid, None)
            self.missed[kid] = self.now + self.times.negative_ttl
            while len(self.missed) > self.times.negative_max:
                del self.missed[next(iter(self.missed))]

    @rule(kid=st.sampled_from([*KIDS, None, "", "x" * 257]))
    def ask(self, kid):
        answer = self.cache.answer(kid, self.now)
        assert self.cache.answer(kid, self.now) == answer
        age = float("inf") if self.kept is None else self.now - self.kept[1]
        stale = age >= self.times.refresh_after
        if age >= self.times.refresh_after + self.times.stale_for:
            assert (answer.state, answer.key, answer.wants_fetch) == ("unavailable", None, True)
            return
        kids = self.kept[2]
        meant = next(iter(kids)) if kid is None and len(kids) == 1 else kid
        if meant in kids:
            assert (answer.state, answer.key, answer.wants_fetch) == ("found", ("ES256", meant), stale)
        elif kid not in KIDS or self.missed.get(kid, 0) > self.now:
            assert (answer.state, answer.key, answer.wants_fetch) == ("unknown", None, stale)
        else:
            assert (answer.state, answer.key) == ("unavailable" if stale else "unknown", None)
            assert answer.wants_fetch

    @invariant()
    def bounds_hold(self):
        if not hasattr(self, "cache"):
            return
        assert all(later - earlier >= 30 for earlier, later in zip(self.begun, self.begun[1:], strict=False))
        assert self.cache.negatives <= self.times.negative_max
        assert (self.cache.keys is None) == (self.kept is None)
        assert 1 <= self.cache.retry_after(self.now) <= 30
        assert self.now + self.cache.retry_after(self.now) >= (self.begun[-1] + 30 if self.begun else 0)


CacheMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestCache = CacheMachine.TestCase


def filled(**times):
    cache = JwksCache(JwksTimes(**times))
    assert cache.begin(0)
    assert cache.stored(key_set(["k0"]), begun=0, now=0)
    return cache


@pytest.mark.parametrize(("now", "waits"), [(299.0, False), (300.0, False), (599.0, False), (600.0, True)])
def test_only_after_a_quiet_time_a_known_key_waits_for_the_fetch(now, waits):
    assert filled().answer("k0", now).may_wait is waits


def test_a_set_that_a_fetch_was_begun_for_lately_is_not_waited_for():
    cache = filled()
    assert cache.begin(580)
    assert not cache.answer("k0", 600).may_wait


def test_a_known_key_is_taken_also_when_it_was_missed_before():
    cache = filled()
    cache.missed("k1", 1)
    assert not cache.answer("k1", 2).wants_fetch
    cache.stored(key_set(["k1"]), begun=40, now=40)
    assert cache.answer("k1", 41).state == "found"


def test_before_any_fetch_there_is_nothing_to_wait_for_but_a_second():
    assert JwksCache(JwksTimes()).retry_after(0) == 1
