"""The in-memory engine as its users meet it."""

from __future__ import annotations

import asyncio
import sys
import threading
from math import inf

import pytest

from tenaudit.errors import ConfigurationError
from tenaudit.ratelimit import InMemoryEngine, InvalidCost, RateLimiterEngine, parse_rule
from tenaudit.testing.clock import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def engine(clock):
    return InMemoryEngine(max_keys=3, clock=clock)


def test_the_port_is_async(engine):
    port: RateLimiterEngine = engine
    rule = parse_rule("2/minute")

    async def use():
        assert (await port.hit("a", rule)).allowed
        assert (await port.peek("a", rule)).rules[0].remaining == 1
        await port.refund("a", rule)
        assert (await port.peek("a", rule)).rules[0].remaining == 2
        assert (await port.hit("a", rule, cost=2)).allowed
        refused = await port.hit("a", rule)
        assert not refused
        assert refused.retry_after == 30.0
        await port.reset("a")
        assert await port.hit("a", rule, cost=2)

    asyncio.run(use())


def test_all_rules_are_charged_or_none(engine):
    wide, narrow = parse_rule("10/minute"), parse_rule("1/minute")
    assert engine.hit_nowait("a", wide, narrow)
    refused = engine.hit_nowait("a", wide, narrow)
    assert not refused
    assert [v.allowed for v in refused.rules] == [True, False]
    assert [v.rule for v in refused.refused_by] == [narrow]
    assert refused.charged == ()
    assert refused.rules[0].remaining == 9
    assert engine.peek_nowait("a", wide).rules[0].remaining == 9


def test_a_shadow_rule_counts_and_never_refuses(engine):
    shadow, real = parse_rule("1/minute;shadow=true"), parse_rule("3/minute")
    answers = [engine.hit_nowait("a", shadow, real) for _ in range(4)]
    assert [a.allowed for a in answers] == [True, True, True, False]
    assert [a.rules[0].allowed for a in answers] == [True, False, False, False]
    assert answers[1].charged == (real,)
    assert answers[1].refused_by == ()
    assert answers[1].retry_after == 0.0


def test_a_cost_above_the_burst_is_never_admitted_and_says_so(engine):
    decision = engine.hit_nowait("a", parse_rule("10/minute;burst=5"), cost=6)
    assert not decision
    assert decision.retry_after == inf
    assert engine.stats().keys == 0


def test_a_cost_of_zero_charges_nothing(engine):
    rule = parse_rule("1/minute")
    assert engine.hit_nowait("a", rule, cost=0).rules[0].remaining == 1
    assert engine.stats().keys == 0
    engine.hit_nowait("a", rule)
    assert engine.hit_nowait("a", rule, cost=0)


@pytest.mark.parametrize("cost", [-1, 1.0, "1", True, None])
def test_a_cost_is_a_whole_number(engine, cost):
    for verb in (engine.hit_nowait, engine.peek_nowait, engine.refund_nowait):
        with pytest.raises(InvalidCost, match="cost must be a whole number"):
            verb("a", parse_rule("1/minute"), cost=cost)


def test_no_rules_admit_everything(engine):
    assert engine.hit_nowait("a").rules == ()
    assert engine.stats().keys == 0


def test_the_very_slot_that_was_taken_is_freed(engine, clock):
    rule = parse_rule("2 concurrent;lease=10")
    first = engine.hit_nowait("a", rule)
    clock.advance(6)
    second = engine.hit_nowait("a", rule)
    assert not engine.hit_nowait("a", rule)
    engine.refund_nowait("a", rule, at=second.at)
    assert engine.hit_nowait("a", rule)
    clock.advance(4)
    engine.refund_nowait("a", rule, at=first.at)  # its lease is over: nothing is freed twice
    assert engine.peek_nowait("a", rule).rules[0].remaining == 1


def test_a_crashed_holder_s_slot_runs_out_under_traffic(engine, clock):
    rule = parse_rule("2 concurrent;lease=10")
    engine.hit_nowait("a", rule)  # never given back
    for _ in range(12):
        clock.advance(1)
        assert engine.hit_nowait("a", rule)
        engine.refund_nowait("a", rule)
    assert engine.peek_nowait("a", rule).rules[0].remaining == 2


def test_a_step_of_the_wall_clock_opens_and_locks_nothing(engine, clock):
    rule = parse_rule("1/minute")
    engine.hit_nowait("a", rule)
    clock.jump_wall(3_600)
    assert not engine.hit_nowait("a", rule)
    clock.jump_wall(-7_200)
    clock.advance(60)
    assert engine.hit_nowait("a", rule)


def test_a_calendar_quota_follows_the_wall_clock_but_never_opens_twice():
    clock = ManualClock(start=86_400.0 * 31 - 1)  # the last second of January 1970
    engine, rule = InMemoryEngine(clock=clock), parse_rule("1/month")
    assert engine.hit_nowait("a", rule)
    assert engine.hit_nowait("a", rule).retry_after == 1.0
    clock.advance(1)
    assert engine.hit_nowait("a", rule)
    clock.jump_wall(-1)
    assert not engine.hit_nowait("a", rule)


def test_a_calendar_refund_finds_its_hit_after_a_step_of_the_wall_clock(engine, clock):
    rule = parse_rule("1/month")
    clock.jump_wall(86_400 * 90)
    taken = engine.hit_nowait("a", rule)
    engine.refund_nowait("a", rule, at=taken.at)
    assert engine.hit_nowait("a", rule)


def test_idle_keys_go_first_then_the_oldest_that_is_not_over_a_limit(engine, clock):
    rule, quick = parse_rule("2/hour"), parse_rule("9/second")
    for key in "abc":
        engine.hit_nowait(key, quick if key == "c" else rule)
    clock.advance(1)
    engine.hit_nowait("d", rule)
    assert (engine.stats().reclaimed, engine.stats().evicted) == (1, 0)
    engine.hit_nowait("a", rule)  # a is over, b the oldest that is not
    engine.hit_nowait("e", rule)
    assert engine.stats().evicted == 1
    assert [engine.peek_nowait(key, rule).rules[0].remaining for key in "abde"] == [0, 2, 1, 1]


@pytest.mark.parametrize(
    ("mode", "answers"),
    [("open", [True, True, True]), ("closed", [False, False, False]), ("local", [True, True, False])],
)
def test_when_full_of_over_limit_keys_a_new_key_follows_the_failure_policy(engine, clock, mode, answers):
    rule = parse_rule(f"2/hour;on_failure={mode}")
    for key in "abc":
        engine.hit_nowait(key, rule, cost=2)
    assert [engine.hit_nowait(key, rule).allowed for key in "xyz"] == answers
    stats = engine.stats()
    assert getattr(stats, f"overflowed_{mode}") == 3
    assert (stats.keys, stats.over_limit, stats.evicted) == (3, 3, 0)
    assert not any(engine.peek_nowait(key, rule) for key in "abc")
    clock.advance(1_800)  # all have a unit again, so one can make room
    assert engine.hit_nowait("w", rule).rules[0].remaining == 1
    assert engine.stats().evicted == 1


def test_the_least_recently_used_key_goes(engine):
    rule = parse_rule("9/hour")
    for key in "abcad":
        engine.hit_nowait(key, rule)
    assert [engine.peek_nowait(key, rule).rules[0].remaining for key in "abcd"] == [7, 9, 8, 8]


def test_idle_keys_are_reclaimed_before_there_is_need(clock):
    engine, rule = InMemoryEngine(clock=clock), parse_rule("1/second")
    for key in range(100):
        engine.hit_nowait(str(key), rule)
        clock.advance(1)
    assert engine.stats().keys == 1
    assert engine.stats().reclaimed == 99


def test_an_idle_key_is_found_behind_keys_that_only_were_due(clock):
    engine, rule = InMemoryEngine(max_keys=4, clock=clock), parse_rule("9/10 seconds")
    for key in "abcd":
        engine.hit_nowait(key, rule)
    clock.advance(1)
    for key in "abc":
        engine.hit_nowait(key, rule, cost=3)
    clock.advance(1)
    engine.hit_nowait("e", rule)
    assert (engine.stats().reclaimed, engine.stats().evicted) == (1, 0)


def test_a_key_refused_for_its_cost_is_protected_until_that_cost_fits(clock):
    engine, rule = InMemoryEngine(max_keys=1, clock=clock), parse_rule("10/hour;on_failure=closed")
    engine.hit_nowait("a", rule, cost=8)
    cheap, dear, _ = (engine.hit_nowait("a", rule, cost=cost) for cost in (3, 5, 4))
    clock.advance(cheap.retry_after)
    assert not engine.hit_nowait("b", rule)
    clock.advance(dear.retry_after - cheap.retry_after)
    assert engine.hit_nowait("b", rule)


def test_a_key_that_recovered_can_be_protected_and_recover_again(clock):
    engine, rule = InMemoryEngine(max_keys=2, clock=clock), parse_rule("2/hour;on_failure=closed")
    for keys in ("ab", "bc", "cd"):
        for key in keys:
            engine.hit_nowait(key, rule, cost=2)
            engine.hit_nowait(key, rule)
        assert engine.stats().over_limit == 2
        assert not engine.hit_nowait("x", rule)
        clock.advance(1_801)
        assert engine.hit_nowait("x", rule)
        assert engine.stats().over_limit == 0
        engine.reset_nowait("x")


def test_one_closed_rule_is_enough_to_refuse_when_full(engine):
    rule, careful = parse_rule("1/hour;on_failure=open"), parse_rule("9/hour;on_failure=closed")
    for key in "abc":
        engine.hit_nowait(key, rule)
    refused = engine.hit_nowait("x", rule, careful)
    assert [v.allowed for v in refused.rules] == [True, False]
    assert refused.retry_after > 0


def test_a_slot_of_a_key_without_a_place_is_given_back(engine):
    rule = parse_rule("1 concurrent")
    for key in "abc":
        engine.hit_nowait(key, rule)
    taken = engine.hit_nowait("x", rule)
    assert taken
    assert not engine.hit_nowait("y", rule)
    engine.refund_nowait("x", rule, at=taken.at)
    assert engine.hit_nowait("y", rule)


def test_a_refund_lifts_the_protection_of_a_key(engine):
    rule = parse_rule("2/hour")
    engine.hit_nowait("a", rule, cost=2)
    assert engine.stats().over_limit == 1
    engine.refund_nowait("a", rule)
    assert engine.stats().over_limit == 0
    engine.refund_nowait("a", rule)
    assert engine.stats().keys == 0


def test_hits_that_come_and_go_leave_no_trace_behind(clock):
    engine, rule = InMemoryEngine(max_keys=4, clock=clock), parse_rule("1/minute")
    for round_ in range(2_000):
        engine.hit_nowait(str(round_), rule)
        engine.reset_nowait(str(round_))
    assert engine.stats().keys == 0
    size = sum(sys.getsizeof(heap) for heap in _lists_of(engine))
    assert size < 10_000


def _lists_of(root):
    """Every list reachable from the engine's own objects."""
    import gc

    seen, todo, lists = set(), [root], []
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type) or callable(thing):
            continue
        seen.add(id(thing))
        if isinstance(thing, list):
            lists.append(thing)
        if type(thing).__module__.startswith("tenaudit") or isinstance(thing, list | dict | tuple):
            todo.extend(gc.get_referents(thing))
    return lists


def test_max_keys_is_at_least_one():
    with pytest.raises(ConfigurationError, match="max_keys"):
        InMemoryEngine(max_keys=0)


@pytest.mark.parametrize(
    "text",
    [
        "500/day",
        "500/day;algorithm=fixed_window",
        "500/day;algorithm=sliding_window",
        "500/month",
        "500 concurrent;lease=600",
    ],
)
def test_threads_admit_exactly_the_limit(text):
    engine, rule = InMemoryEngine(clock=ManualClock()), parse_rule(text)
    gate, admitted = threading.Barrier(8), []

    def work():
        gate.wait(timeout=10)
        admitted.append(sum(engine.hit_nowait("a", rule).allowed for _ in range(125)))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
    finally:
        sys.setswitchinterval(interval)
    assert len(admitted) == 8
    assert sum(admitted) == 500
