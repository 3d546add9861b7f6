"""A row of the embedded store gives back what it was made of, also when nobody validated that; else there is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given

from tenaudit.audit.integrity import CanonicalError
from tenaudit.audit.integrity.audit_log import event_leaf
from tenaudit.audit.personal import PersonalFields
from tenaudit.backends.sqlite.rows import SealedRow, actual_leaf, event_from_row
from tenaudit.testing.conformance import an_event
from tests.properties.odd_events import HOPELESS, odd_events

KEY = b"k" * 32
EVERYTHING = PersonalFields(["resource_id", "payload.*"])


@given(odd_events)
@example(an_event(0).model_copy(update=HOPELESS["a year that UTC lacks"]))
def test_an_event_that_nobody_validated_has_a_true_row_or_none(event):
    try:
        sealed = SealedRow(event, KEY)
    except CanonicalError:
        return
    assert actual_leaf(sealed.parameters, KEY) == sealed.leaf == event_leaf(event.record())
    assert event_from_row(sealed.parameters).record() == json.loads(sealed.evidence_parameters()["record"]) | {
        "payload": json.loads(sealed.parameters["payload"]),
        "redactions": json.loads(sealed.parameters["redactions"]),
    }


@given(odd_events)
def test_what_may_be_erased_changes_the_leaf_and_neither_the_row_nor_its_evidence(event):
    try:
        plain, sealed = SealedRow(event, KEY), SealedRow(event, KEY, EVERYTHING)
    except CanonicalError:
        return
    assert actual_leaf(sealed.parameters, KEY) == sealed.leaf
    assert (sealed.leaf == plain.leaf) is (sealed.parameters["salts"] is None)
    assert event_from_row(sealed.parameters) == event_from_row(plain.parameters)
    assert sealed.evidence_parameters() == plain.evidence_parameters()
    assert plain.is_again(sealed.parameters)


@pytest.mark.parametrize("update", HOPELESS.values(), ids=HOPELESS)
def test_what_no_row_can_give_back_is_no_row(update):
    with pytest.raises(CanonicalError):
        SealedRow(an_event(0).model_copy(update=update), KEY)


@pytest.mark.parametrize("strange", [None, 5, "event", object()])
def test_what_is_no_event_is_no_row(strange):
    with pytest.raises(CanonicalError):
        SealedRow(strange, KEY)
