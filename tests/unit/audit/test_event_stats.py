"""Counts by kind: exact while they are few, bounded in names when they are many."""

from __future__ import annotations

from datetime import date, timedelta

from tenaudit.audit.stats import MAX_NAMES, OVERFLOW, StatsCounter


def test_nothing_counted() -> None:
    assert StatsCounter().finish(complete=True).to_json() == {
        "events": 0, "complete": True, "oldest": None, "actions": {}, "outcomes": {}, "severities": {}, "days": {},
    }  # fmt: skip


def test_every_kind_is_counted_in_its_order() -> None:
    counter = StatsCounter()
    counter.add("b.x", "success", "security", "2026-11-24T06:00:00.000000Z")
    counter.add("a.x", "denied", "info", "2026-11-23T23:59:59.999999Z")
    counter.add("a.x", "success", "info", "2026-11-22T00:00:00.000000Z")
    counter.add("c.x", "failure", "warn", "2026-11-22T00:00:00.000000Z")
    stats = counter.finish(complete=False)
    assert (stats.events, stats.complete, stats.oldest) == (4, False, "2026-11-22T00:00:00.000000Z")
    assert list(stats.actions.items()) == [("a.x", 2), ("b.x", 1), ("c.x", 1)]
    assert list(stats.outcomes.items()) == [("denied", 1), ("failure", 1), ("success", 2)]
    assert list(stats.severities.items()) == [("info", 2), ("warn", 1), ("security", 1)]
    assert list(stats.days.items()) == [("2026-11-22", 2), ("2026-11-23", 1), ("2026-11-24", 1)]


def test_the_rest_of_many_names_shares_one() -> None:
    counter = StatsCounter()
    days = [str(date(2026, 1, 1) + timedelta(days=place)) for place in range(MAX_NAMES + 20)]
    for place, day in enumerate(days):
        for _ in range(2 if place < 3 else 1):
            counter.add(f"a{place:03}", "success", "info", f"{day}T00:00:00.000000Z")
    stats = counter.finish(complete=True)
    assert len(stats.actions) == len(stats.days) == MAX_NAMES + 1
    assert list(stats.actions)[:3] == ["a000", "a001", "a002"]
    assert stats.actions[OVERFLOW] == 20
    assert [*stats.days] == [*days[20:], OVERFLOW]
    assert stats.days[OVERFLOW] == 23
    assert sum(stats.actions.values()) == sum(stats.days.values()) == stats.events
