"""The cap on label values: hostile codes, threads, sealing, and what may never become a label."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from tenaudit.errors import ConfigurationError, LabelGuard


def test_a_hundred_thousand_hostile_codes_give_forty_one_values_and_lose_no_count():
    guard = LabelGuard(40, known=["not_found", "conflict"])
    seen = Counter(guard.label(f"code_{n}") for n in range(100_000))
    assert len(seen) == 39
    seen.update(guard.label(code) for code in ("not_found", "conflict", "not_found"))
    assert len(seen) == 41
    assert seen.total() == 100_003
    assert seen["not_found"] == 2
    assert seen["_overflow"] == guard.overflowed == 100_000 - 38
    assert (guard.distinct, guard.saturation) == (40, 100.0)


def test_a_value_that_has_a_label_keeps_it():
    guard = LabelGuard(2)
    assert [guard.label(value) for value in "abcabc"] == ["a", "b", "_overflow", "a", "b", "_overflow"]
    assert guard.saturation == 100.0


def test_saturation_is_a_percentage():
    guard = LabelGuard(4, known=["a"])
    assert (guard.distinct, guard.saturation, guard.overflowed) == (1, 25.0, 0)


def test_threads_agree_on_who_got_in():
    guard = LabelGuard(40)
    start = threading.Barrier(8)
    counts: list[Counter[str]] = []

    def work(offset):
        start.wait(10)
        counts.append(Counter(guard.label(f"c{(n * 7 + offset) % 500}") for n in range(5000)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    total = sum(counts, Counter())
    assert len(total) == 41
    assert total.total() == 40_000
    assert (guard.distinct, guard.overflowed) == (40, total["_overflow"])


def test_a_sealed_guard_admits_only_what_it_knew():
    guard = LabelGuard(40, known=["a"], sealed=True)
    assert [guard.label(value) for value in ("a", "b", "a")] == ["a", "_overflow", "a"]
    assert (guard.distinct, guard.overflowed) == (1, 1)


def test_the_overflow_label_is_no_value_of_its_own():
    guard = LabelGuard(1, overflow="other")
    assert guard.label("other") == "other"
    assert (guard.distinct, guard.overflowed) == (0, 1)
    assert guard.label("a") == "a"


@pytest.mark.parametrize("value", ["x" * 257, "é" * 129, "\udcff", "x" * 1_000_000], ids=lambda value: ascii(value[:9]))
def test_a_value_that_would_spoil_a_scrape_takes_no_place(value):
    guard = LabelGuard(2)
    assert guard.label(value) == "_overflow"
    assert (guard.distinct, guard.label("x" * 256)) == (0, "x" * 256)


def test_a_guard_without_room_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="at least 1"):
        LabelGuard(0)
    with pytest.raises(ConfigurationError, match="3 known"):
        LabelGuard(2, known=["a", "b", "c"])
    assert LabelGuard(2, known=["a", "b", "a"]).distinct == 2
