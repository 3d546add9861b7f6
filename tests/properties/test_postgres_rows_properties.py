"""A row commits to the leaf of its event and gives the event back, whatever its payload and texts."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenaudit.audit.integrity import CanonicalError
from tenaudit.audit.integrity.audit_log import event_leaf
from tenaudit.audit.integrity.commitments import MetRow
from tenaudit.audit.personal import PersonalFields
from tenaudit.backends.postgres.rows import SealedRow, actual_leaf, event_from_row, is_evidence
from tenaudit.testing.conformance import an_event
from tests.properties.odd_events import HOPELESS, odd_events

KEY = b"k" * 32
COLUMNS = (
    *("tenant_id", "event_id", "occurred_at", "actor_id", "actor_type", "action", "resource_type", "resource_id"),
    *("outcome", "severity", "service", "trace_id", "schema_version", "payload", "redactions", "producer_id", "seq"),
    "content_hash",
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    ['"payload":{}', ',"payload":{},"producer_id":', "payload", "\\u0000", "\\", "\x1f\x7f", "\u2028"]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
events = st.builds(
    an_event,
    st.integers(0, 9),
    payload=st.dictionaries(texts, values, max_size=4),
    actor_id=st.none() | texts,
    resource_id=st.none() | texts,
    redactions=st.lists(texts, max_size=2).map(tuple),
    seq=st.none() | st.integers(0, 2**53 - 1),
)


def row_of(sealed):
    row = dict(zip(COLUMNS, sealed.values, strict=True))
    return row | {"salts": sealed.salts, "commitments": sealed.commitments}


@given(events, st.sampled_from([PersonalFields(), PersonalFields(["resource_id", "payload.*"])]))
def test_a_row_that_may_be_erased_is_what_it_was_but_for_its_leaf(event, personal):
    plain, sealed = SealedRow(event, KEY), SealedRow(event, KEY, personal)
    row = row_of(sealed)
    assert actual_leaf(row, KEY) == sealed.leaf
    assert (sealed.leaf == plain.leaf) is (not personal.places(event))
    assert event_from_row(row) == event
    assert (sealed.evidence, sealed.evidence_digest()) == (plain.evidence, plain.digest)
    assert plain.is_again(sealed)
    assert plain.is_again(MetRow(sealed.digest, sealed.salts, sealed.commitments))


@given(events, events)
def test_an_event_is_no_other_one_that_may_be_erased(event, other):
    row, met = SealedRow(event, KEY, PersonalFields()), SealedRow(other, KEY, PersonalFields())
    same = event.record() == other.record()
    assert row.is_again(met) is row.is_again(MetRow(met.digest, met.salts, met.commitments)) is same


@given(events)
def test_a_row_commits_to_its_event_and_gives_it_back(event):
    sealed = SealedRow(event, KEY)
    row = row_of(sealed)
    assert sealed.leaf == event_leaf(event.record()) == actual_leaf(row, KEY)
    assert event_from_row(row) == event
    evidence = {"event_id": event.event_id, "content_hash": sealed.digest, "record": sealed.evidence}
    assert is_evidence(evidence, event.tenant_id, KEY)


@given(events, events, st.sampled_from([*COLUMNS, "salts", "commitments"]), st.sampled_from([None, PersonalFields()]))
def test_a_row_with_a_column_of_another_event_fits_nothing(event, other, column, personal):
    row, strange = row_of(SealedRow(event, KEY, personal)), row_of(SealedRow(other, KEY, personal))
    changed = row | {column: strange[column]}
    assert (actual_leaf(changed, KEY) == actual_leaf(row, KEY)) is (changed == row)


@given(st.integers(60, 66))
def test_a_payload_is_as_deep_as_a_leaf_allows(depth):
    payload: object = 1
    for _ in range(depth):
        payload = {"a": payload}
    event = an_event(0).model_copy(update={"payload": payload})
    try:
        leaf = event_leaf(event.record())
    except CanonicalError:
        with pytest.raises(CanonicalError):
            SealedRow(event, KEY)
    else:
        assert SealedRow(event, KEY).leaf == leaf


@pytest.mark.parametrize("tags", ["card", ["card"], {"card": 1}])
def test_tags_that_nobody_validated_are_stored_as_the_leaf_has_them(tags):
    event = an_event(0).model_copy(update={"redactions": tags})
    assert actual_leaf(row_of(SealedRow(event, KEY)), KEY) == event_leaf(event.record())


@given(odd_events)
@example(an_event(0).model_copy(update=HOPELESS["a year that UTC lacks"]))
def test_an_event_that_nobody_validated_has_a_true_row_or_none(event):
    try:
        sealed = SealedRow(event, KEY)
    except CanonicalError:
        return
    row = row_of(sealed)
    assert actual_leaf(row, KEY) == sealed.leaf == event_leaf(event.record())
    assert event_from_row(row).record() == json.loads(sealed.evidence)


@pytest.mark.parametrize("update", HOPELESS.values(), ids=HOPELESS)
def test_what_no_row_can_give_back_is_no_row(update):
    with pytest.raises(CanonicalError):
        SealedRow(an_event(0).model_copy(update=update), KEY)


@pytest.mark.parametrize("strange", [None, 5, "event", object()])
def test_what_is_no_event_is_no_row(strange):
    with pytest.raises(CanonicalError):
        SealedRow(strange, KEY)


def test_tags_that_can_be_read_once_are_the_same_everywhere_in_a_row():
    sealed = SealedRow(an_event(0).model_copy(update={"redactions": iter(["card"])}), KEY)
    assert actual_leaf(row_of(sealed), KEY) == sealed.leaf
