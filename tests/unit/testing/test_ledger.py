"""The oracle of the fault tests, against a model: an oracle that is wrong makes every fault test worthless."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.testing.ledger import Ledger, Verdict

IDS = [UUID(int=n) for n in range(6)]


@given(st.dictionaries(st.sampled_from(IDS), st.sampled_from(["ok", "fail", "info"])), st.lists(st.sampled_from(IDS)))
def test_every_event_is_in_the_class_it_belongs_to(told, came_out):
    ledger = Ledger()
    for one, answer in told.items():
        ledger.note(one, answer)
    verdict = ledger.settle(came_out)
    for one in IDS:
        seen, answer = one in came_out, told.get(one)
        assert (one in verdict.stored) == (answer == "ok" and seen)
        assert (one in verdict.lost) == (answer == "ok" and not seen)
        assert (one in verdict.recovered) == (answer == "info" and seen)
        assert (one in verdict.unknown) == (answer == "info" and not seen)
        assert (one in verdict.unexpected) == (answer in (None, "fail") and seen)
        assert (one in verdict.duplicated) == (came_out.count(one) > 1)
    assert verdict.holds == (not (verdict.lost | verdict.unexpected | verdict.duplicated))
    assert len(ledger) == len(told)


def test_an_answer_replaces_only_not_knowing():
    ledger = Ledger()
    ledger.note(IDS[0], "info")
    ledger.note(IDS[0], "ok")
    ledger.note(IDS[0], "info")
    ledger.note(IDS[0], "ok")
    assert ledger.settle([]).lost == {IDS[0]}
    with pytest.raises(ValueError, match="was ok and is now fail"):
        ledger.note(IDS[0], "fail")
    with pytest.raises(ValueError, match="an answer is one of"):
        ledger.note(IDS[1], "maybe")


def test_a_line_that_death_has_cut_off_counts_for_nothing():
    ledger = Ledger()
    ledger.read([f"info {IDS[0]} 7\n", f"ok {IDS[0]}\n", "ready\n", "ok\n", "\n", f"ok {str(IDS[1])[:20]}"])
    assert ledger.settle([IDS[0]]) == Verdict(stored=frozenset({IDS[0]}))
    with pytest.raises(ValueError, match="badly formed"):
        ledger.read(["ok nonsense\n"])


def test_a_verdict_tells_its_numbers():
    verdict = Verdict(lost=frozenset(IDS[:2]), duplicated=frozenset(IDS[:1]))
    assert str(verdict) == "0 stored, 2 lost, 0 recovered, 0 unknown, 0 unexpected, 1 duplicated"
    assert not verdict.holds
