"""A row of the embedded store gives back what it was made of, also when nobody validated that; else there is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given

from tenaudit.audit.integrity import CanonicalError
from tenaudit.audit.integrity.audit_log import event_leaf
from tenaudit.backends.sqlite.rows import SealedRow, actual_leaf, event_from_row, evidence_text
from tenaudit.testing.conformance import an_event
from tests.properties.odd_events import HOPELESS, odd_events

KEY = b"k" * 32


@given(odd_events)
@example(an_event(0).model_copy(update=HOPELESS["a year that UTC lacks"]))
def test_an_event_that_nobody_validated_has_a_true_row_or_none(event):
    try:
        sealed = SealedRow(event, KEY)
    except CanonicalError:
        return
    assert actual_leaf(sealed.parameters, KEY) == sealed.leaf == event_leaf(event.record())
    assert event_from_row(sealed.parameters).record() == json.loads(evidence_text(sealed)) | {
        "payload": json.loads(sealed.parameters["payload"]),
        "redactions": json.loads(sealed.parameters["redactions"]),
    }


@pytest.mark.parametrize("update", HOPELESS.values(), ids=HOPELESS)
def test_what_no_row_can_give_back_is_no_row(update):
    with pytest.raises(CanonicalError):
        SealedRow(an_event(0).model_copy(update=update), KEY)


@pytest.mark.parametrize("strange", [None, 5, "event", object()])
def test_what_is_no_event_is_no_row(strange):
    with pytest.raises(CanonicalError):
        SealedRow(strange, KEY)
