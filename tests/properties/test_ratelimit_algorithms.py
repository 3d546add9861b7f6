"""Bounds and exactness of the pure algorithms, each against a plainer way to compute the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import floor, inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tenaudit.ratelimit import ALGORITHMS, Rule, parse_rule

START = 1_700_000_000_000_000
GAPS = st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(1, 30)), max_size=60)


@given(seed=st.integers(0, 2**32), limit=st.integers(1, 60), window=st.integers(1, 3))
def test_a_sliding_window_never_admits_more_than_the_limit_and_is_late_by_at_most_a_32nd(seed, limit, window):
    dice = Random(seed)
    pace = window * 10**6 // limit
    gaps = [(dice.choice([0, dice.randrange(2 * pace), pace]), dice.choice([1, 1, 1, 2])) for _ in range(250)]
    rule = Rule(limit=limit, window=window, algorithm="sliding_window")
    late = 0 if limit <= 32 else rule.window_us // 32
    log, state, now = [], None, START
    for gap, cost in gaps:
        now += gap
        state, verdict = ALGORITHMS["sliding_window"].step(state, rule, now, cost)
        strict = sum(units for at, units in log if at > now - rule.window_us - late)
        if strict + cost <= limit:
            assert verdict.allowed
        if verdict.allowed:
            log.append((now, cost))
        exact = sum(units for at, units in log if at > now - rule.window_us)
        assert exact <= limit
        assert verdict.remaining <= limit - exact
        assert len(state or ()) <= 33


RULES = st.one_of(
    st.builds(
        Rule,
        limit=st.integers(1, 10_000),
        window=st.integers(1, 100_000),
        burst=st.integers(1, 500),
    ),
    st.builds(
        Rule,
        limit=st.integers(1, 60),
        window=st.integers(1, 100),
        algorithm=st.sampled_from(["sliding_window", "fixed_window"]),
    ),
    st.builds(
        Rule, limit=st.integers(1, 60), window=st.sampled_from([86_400, 2_592_000]), algorithm=st.just("calendar")
    ),
)


@given(rule=RULES, hits=GAPS, cost=st.integers(1, 40))
def test_retry_after_is_the_first_microsecond_at_which_the_hit_fits(rule, hits, cost):
    step = ALGORITHMS[rule.algorithm].step
    state, now = None, START
    for gap, units in hits:
        now += gap // 50
        state, _ = step(state, rule, now, units)
    _, verdict = step(state, rule, now, cost)
    if verdict.allowed:
        assert verdict.retry_after == 0.0
    elif cost > rule.burst:
        assert verdict.retry_after == inf
    else:
        wait = round(verdict.retry_after * 1_000_000)
        assert step(state, rule, now + wait, cost)[1].allowed
        assert not step(state, rule, now + wait - 1, cost)[1].allowed


@given(rule=RULES, hits=GAPS)
def test_refill_reset_and_idle_are_the_first_microseconds_at_which_they_are_true(rule, hits):
    step = ALGORITHMS[rule.algorithm].step
    state, now = None, START
    for gap, units in hits:
        now += gap // 50
        state, _ = step(state, rule, now, units)
    _, verdict = step(state, rule, now, 0)
    assert verdict.allowed
    if verdict.refill_after:
        refill = now + round(verdict.refill_after * 1_000_000)
        assert step(state, rule, refill, 0)[1].remaining > verdict.remaining
        assert step(state, rule, refill - 1, 0)[1].remaining == verdict.remaining
        reset = now + round(verdict.reset_after * 1_000_000)
        assert reset == ALGORITHMS[rule.algorithm].idle_at(state, rule)
        assert step(state, rule, reset, rule.burst)[1].allowed
        assert step(state, rule, reset, 0)[1].reset_after == 0.0
    else:
        assert verdict.remaining == rule.burst


@given(rule=RULES, hits=GAPS, cost=st.integers(1, 40))
def test_a_refund_at_once_undoes_a_hit(rule, hits, cost):
    algorithm = ALGORITHMS[rule.algorithm]
    state, now = None, START
    for gap, units in hits:
        now += gap // 50
        state, _ = algorithm.step(state, rule, now, units)
    before = algorithm.step(state, rule, now, 0)[1]
    after, verdict = algorithm.step(state, rule, now, cost)
    if verdict.allowed:
        after = algorithm.refund(after, rule, now, cost, None)
        restored = algorithm.step(after, rule, now, 0)[1]
        assert restored.remaining == before.remaining
        if rule.algorithm != "sliding_window" or rule.limit <= 32:
            assert restored == before


def in_doubles(rule, state, now, cost):
    """GCRA as a port to doubles writes it: whole microseconds and a remainder below `scale`."""
    scale, now, cost = float(rule.scale), float(now), float(cost)
    whole, part = (float(x) for x in divmod(rule.interval, rule.scale))
    deep, deep_part = (float(x) for x in divmod(rule.depth, rule.scale))
    tat, tat_part = state if state is not None and state > (now, 0.0) else (now, 0.0)
    parts = tat_part + cost * part
    full = tat + cost * whole + floor(parts / scale)
    parts -= floor(parts / scale) * scale
    assert max(full, cost * part, cost * whole) < 2**53
    if (full - now, parts) <= (deep, deep_part):
        return (full, parts), True
    return state, False


# A burst that would take longer to refill than doubles can count is no rule.
RATES = st.one_of(
    st.builds(Rule, limit=st.integers(1, 10**6), window=st.integers(1, 2_592_000)),
    st.builds(Rule, limit=st.integers(1, 10**6), window=st.integers(1, 2_592_000), burst=st.integers(1, 800)),
)


@given(
    rule=RATES,
    hits=st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 1_000_000)), max_size=30),
)
def test_gcra_gives_the_same_answers_in_doubles(rule, hits):
    state, port, now = None, None, START
    for gap, wish in hits:
        now += gap
        cost = min(wish, rule.burst)
        state, verdict = ALGORITHMS["gcra"].step(state, rule, now, cost)
        port, allowed = in_doubles(rule, port, now, cost)
        assert allowed is verdict.allowed
        if state is not None:
            assert port == divmod(state, rule.scale)


@given(now=st.integers(0, 280 * 365 * 86_400 * 10**6), month=st.booleans())
@settings(max_examples=300)
def test_a_calendar_period_ends_where_the_calendar_says(now, month):
    rule = parse_rule("1/month" if month else "1/day;algorithm=calendar")
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    at = epoch + timedelta(microseconds=now)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    next_month = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    end = next_month if month else midnight + timedelta(days=1)
    state, _ = ALGORITHMS["calendar"].step(None, rule, now, 1)
    assert ALGORITHMS["calendar"].idle_at(state, rule) == (end - epoch) // timedelta(microseconds=1)
