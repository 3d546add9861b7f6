"""What a purge's record explains: only what is in the log, is whole, and could be true."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity import canonical_json, leaf_hash
from tenaudit.audit.retention.history import KeptTerms, LoggedRecord, RetentionHistory
from tenaudit.audit.retention.ranges import ranges_of
from tenaudit.audit.retention.records import Removal, erasure_event, hold_event, period_event, purge_event

TENANT = UUID(int=7)
NOW = datetime(2026, 11, 30, tzinfo=UTC)
DAY = timedelta(days=1)
BEFORE = NOW - 30 * DAY


def logged(index, event, **fields):
    text = canonical_json(event.record() | fields).decode()
    return LoggedRecord(index, event.event_id, text, leaf_hash(text.encode()))


def purged(index, *ranges, at=NOW, before=BEFORE, newest=BEFORE - DAY, days=30):
    return logged(index, purge_event(TENANT, Removal(ranges, newest, before, days), "me", at))


def history(*records, sealed=(), now=NOW, kept=None):
    """Return the history, with what is kept as the records tell it unless it is given."""
    actions = [json.loads(one.text) for one in sorted(records, key=lambda one: one.index) if '"ranges"' in one.text]
    before = max((one["payload"].get("before", "") for one in actions), default=None)
    return RetentionHistory(TENANT, records, sealed, now, kept or KeptTerms(None, 0, before))


def kinds(found):
    return [problem.kind for problem in found.problems]


def test_an_honest_record_covers_what_it_names_and_nothing_else():
    found = history(purged(9, (0, 2), (5, 5)), purged(10, (3, 3)))
    assert found.problems == ()
    assert [index for index in range(11) if found.covers(index)] == [0, 1, 2, 3, 5]


def test_a_record_without_its_leaf_covers_nothing():
    one = purged(9, (0, 2))
    found = history(LoggedRecord(9, one.event_id, one.text, None))
    assert (kinds(found), found.covers(0)) == (["inserted"], False)


def test_an_edited_record_covers_nothing():
    one = purged(9, (0, 2))
    fields = json.loads(one.text)
    fields["payload"] |= {"ranges": [[0, 5]], "rows": 6}
    for text in (canonical_json(fields).decode(), one.text.replace("me", "we"), one.text + " ", "", "{}", "[1"):
        found = history(LoggedRecord(9, one.event_id, text, one.leaf))
        assert (kinds(found), found.covers(0)) == (["changed"], False), text


def test_the_record_of_another_tenant_or_event_covers_nothing():
    other = purge_event(UUID(int=8), Removal(((0, 2),), BEFORE - DAY, BEFORE, 30), "me", NOW)
    assert kinds(history(logged(9, other))) == ["changed"]
    one = purged(9, (0, 2))
    assert kinds(history(LoggedRecord(9, UUID(int=1), one.text, one.leaf))) == ["changed"]


@pytest.mark.parametrize(
    "payload",
    [
        {"ranges": [[2, 1]], "rows": 0},
        {"ranges": [[0, 1], [1, 2]], "rows": 4},
        {"ranges": [[3, 3], [1, 1]], "rows": 2},
        {"ranges": [], "rows": 0},
        {"ranges": [[0, 1]], "rows": 3},
        {"ranges": [[-1, 1]], "rows": 3},
        {"ranges": [[0, True]], "rows": 2},
        {"ranges": None},
        {"days": "30"},
        {"before": "2026-01-01T00:00:00"},
        {"newest": 7},
    ],
)
def test_a_record_that_is_none_is_no_proof_though_it_is_in_the_log(payload):
    event = purge_event(TENANT, Removal(((0, 2),), BEFORE - DAY, BEFORE, 30), "me", NOW)
    found = history(logged(9, event, payload=event.payload | payload))
    assert (kinds(found), found.covers(0)) == (["changed"], False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"newest": BEFORE}, "before their time"),
        ({"before": BEFORE + DAY}, "before their time"),
        ({"days": 31}, "before their time"),
        ({"days": 0, "before": NOW, "newest": NOW - DAY}, "before their time"),
        ({"at": NOW + 10 * DAY, "before": BEFORE + 10 * DAY}, "ahead of its time"),
    ],
)
def test_a_record_that_cannot_be_true_is_a_problem(fields, words):
    (problem,) = history(purged(9, (0, 2), **fields)).problems
    assert (problem.kind, words in problem.detail) == ("purge", True), problem


def test_a_record_that_names_itself_or_what_came_later_is_a_problem():
    (problem,) = history(purged(9, (0, 9))).problems
    assert "came after it" in problem.detail


def test_what_went_once_does_not_go_again():
    (problem,) = history(purged(9, (0, 2)), purged(10, (2, 3))).problems
    assert "which another one took" in problem.detail


def test_a_purge_of_a_held_tenant_is_a_problem_and_before_and_after_it_is_none():
    placed, released = (logged(n, hold_event(TENANT, "case", "me", NOW, placed=n == 5)) for n in (5, 7))
    assert history(purged(4, (0, 0)), placed, released, purged(8, (1, 1))).problems == ()
    (problem,) = history(placed, purged(6, (0, 0)), released).problems
    assert "while the tenant was held" in problem.detail


def test_a_purge_by_another_period_than_the_tenants_is_a_problem():
    own, back = (logged(n, period_event(TENANT, days, "me", NOW)) for n, days in ((5, 365), (7, None)))
    assert history(purged(4, (0, 0)), own, back, purged(8, (1, 1))).problems == ()
    (problem,) = history(own, purged(6, (0, 0)), back).problems
    assert "by 30 days, and the tenant's period was 365" in problem.detail


def test_a_record_may_not_be_dated_later_than_the_checkpoint_that_covers_it():
    sealed = [(5, "2026-11-01T00:00:00.000000Z"), (12, "2026-11-29T00:00:00.000000Z")]
    assert history(purged(9, (0, 0)), sealed=sealed).problems == ()
    late = [*sealed[:1], (12, "2026-11-28T00:00:00.000000Z")]
    (problem,) = history(purged(9, (0, 0)), sealed=late, now=NOW + 100 * DAY).problems
    assert "ahead of its time" in problem.detail
    # A time that was altered is found where checkpoints are checked.
    assert history(purged(9, (0, 0)), sealed=[(12, "x")]).problems == ()


def test_many_pieces_are_as_good_as_one():
    places = [*range(0, 3000, 3), *range(1, 3000, 3)]
    records = [purged(5000 + n, *ranges_of(sorted(places[n::4]))) for n in range(4)]
    found = history(*records)
    assert found.problems == ()
    assert {index for index in range(3000) if found.covers(index)} == set(places)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (KeptTerms(365, 1, wire_time(BEFORE)), None),
        (KeptTerms(364, 1, wire_time(BEFORE)), "the period of"),
        (KeptTerms(None, 1, wire_time(BEFORE)), "the period of"),
        (KeptTerms(365, 0, wire_time(BEFORE)), "the hold of"),
        (KeptTerms(365, 1, None), "the time of the last purge of"),
        (KeptTerms(365, 1, "x"), "the time of the last purge of"),
    ],
)
def test_what_stands_beside_the_log_is_held_against_it(kept, words):
    records = [
        purged(3, (0, 0)),
        logged(5, period_event(TENANT, 365, "me", NOW)),
        logged(6, hold_event(TENANT, "case", "me", NOW, placed=True)),
    ]
    found = [problem.detail for problem in history(*records, kept=kept).problems]
    assert len(found) == (words is not None)
    assert words is None or found[0].startswith(words)


def erased(index, at=NOW, **places):
    fields = {f"/{name}": ranges for name, ranges in places.items()}
    return logged(index, erasure_event(TENANT, fields, {}, "u-officer", at))


def test_an_honest_erasure_tells_where_values_went():
    told = history(erased(7, actor_id=[(1, 3)], payload=[(3, 3)]), erased(9, actor_id=[(5, 5)]))
    assert told.problems == ()
    everything = [told.erased_at(index) for index in range(7)]
    assert everything == [
        frozenset(),
        frozenset({"/actor_id"}),
        frozenset({"/actor_id"}),
        frozenset({"/actor_id", "/payload"}),
        frozenset(),
        frozenset({"/actor_id"}),
        frozenset(),
    ]
    assert not any(told.covers(index) for index in range(10))


def test_an_erasure_that_cannot_be_true_is_a_problem():
    held = logged(0, hold_event(TENANT, "case 7", "u-lawyer", NOW, placed=True))
    sealed = [(9, (NOW - 3 * DAY).isoformat())]
    for told in (
        history(held, erased(7, actor_id=[(1, 1)]), kept=KeptTerms(None, 1, None)),
        history(erased(7, actor_id=[(1, 1)], payload=[(2, 7)])),
        history(erased(7, NOW + 2 * DAY, actor_id=[(1, 1)])),
        history(erased(7, actor_id=[(1, 1)]), sealed=sealed),
    ):
        assert kinds(told) == ["erasure"]


def test_an_erasure_that_names_no_ranges_is_no_record():
    for ranges in ([], [(3, 1)], [(-1, 2)], [(1, 2), (2, 4)], [("a", "b")]):
        told = history(erased(7, actor_id=ranges))
        assert (kinds(told), told.erased_at(1)) == (["changed"], frozenset())
