"""The bound on denial events: by key, by second, and in memory."""

from __future__ import annotations

import pytest

from tenaudit.errors import ConfigurationError
from tenaudit.policy.denials import DenialBudget
from tenaudit.testing.clock import ManualClock


def test_ten_thousand_keys_are_remembered_and_no_more():
    clock = ManualClock()
    budget = DenialBudget(2, clock)
    assert all(budget.spend(n) for n in range(10_000))
    assert not budget.spend("one more")
    assert budget.spend(0)
    assert not budget.spend(0)
    clock.advance(1)
    assert budget.spend("one more")


def test_nothing_is_allowed_with_a_budget_of_nothing():
    assert DenialBudget(0, ManualClock()).spend("a") is False
    with pytest.raises(ConfigurationError, match=r"^denials_per_second must be 0 or more, not -1"):
        DenialBudget(-1, ManualClock())


def test_a_second_begins_with_the_clocks_whole_second():
    clock = ManualClock()
    budget = DenialBudget(1, clock)
    clock.advance(0.9)
    assert budget.spend("a")
    clock.advance(0.05)
    assert not budget.spend("a")
    clock.advance(0.05)
    assert budget.spend("a")
