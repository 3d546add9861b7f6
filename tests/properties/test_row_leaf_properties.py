"""The leaf of a row is that of the event it was written from, and no other row has it."""

from __future__ import annotations

import json
from operator import itemgetter

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tenaudit.audit.integrity.audit_log import event_leaf
from tenaudit.audit.integrity.row_leaf import BROKEN, ROW_COLUMNS, row_leaf
from tenaudit.backends.sqlite.rows import SealedRow
from tenaudit.testing.conformance import an_event

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e300, 1e300) | texts
# Names that the text of the event itself has, in the hope that a piece of a payload passes for it.
keys = st.sampled_from([*ROW_COLUMNS, "a", "z"]) | texts
payloads = st.dictionaries(
    keys,
    st.recursive(scalars, lambda one: st.lists(one, max_size=2) | st.dictionaries(keys, one, max_size=3)),
    max_size=5,
)
_values = itemgetter(*ROW_COLUMNS)


@st.composite
def events(draw):
    return an_event(
        0,
        payload=draw(payloads),
        redactions=tuple(draw(st.lists(texts, max_size=2))),
        actor_id=draw(st.none() | texts),
        resource_id=draw(st.none() | texts),
        producer_id=draw(st.none() | texts),
        seq=draw(st.none() | st.integers(0, 2**53 - 1)),
    )


def row_of(event):
    return [*_values(SealedRow(event, b"k" * 32).parameters)]


@given(events())
def test_a_row_that_was_written_has_the_leaf_of_its_event(event):
    assert row_leaf(row_of(event)) == event_leaf(event.record())


@given(events(), st.sampled_from(range(len(ROW_COLUMNS))), st.data())
def test_a_row_with_another_value_has_another_leaf_or_none(event, place, data):
    row = row_of(event)
    leaf = row_leaf(row)
    was = row[place]
    other = data.draw(
        st.none() | st.integers() | st.floats() | st.booleans() | st.binary() | payloads.map(json.dumps) | texts
    )
    assume(other != was or type(other) is not type(was))
    row[place] = other
    assert row_leaf(row) != leaf


@given(events(), st.data())
@example(an_event(0, payload={"a": 1, "producer_id": "p", "redactions": ["x"], "z": 2}, producer_id="q"), None)
def test_text_that_moves_from_one_column_into_another_is_noticed(event, data):
    """Cut the text between two columns anew: the whole stays the same, and a row of it is none."""
    row = row_of(event)
    whole = _tail(row)
    if data is None:
        cuts = [(whole.index(',"producer_id":'), whole.index('["x"]'), whole.index(',"resource_id":'))]
    else:
        places = st.integers(0, len(whole))
        cuts = [tuple(sorted(data.draw(st.tuples(places, places, places))))]
    for end, begin, last in cuts:
        payload, between, redactions = whole[:end], whole[end:begin], whole[begin:last]
        producer = between.removeprefix(',"producer_id":').removesuffix(',"redactions":')
        if between != f',"producer_id":{producer},"redactions":':
            continue
        try:
            value = json.loads(producer)
        except ValueError:
            continue
        changed = row.copy()
        changed[ROW_COLUMNS.index("payload")] = payload
        changed[ROW_COLUMNS.index("producer_id")] = value
        changed[ROW_COLUMNS.index("redactions")] = redactions
        if changed != row and _tail(changed) == whole:
            assert row_leaf(changed) == BROKEN


def _tail(row):
    columns = dict(zip(ROW_COLUMNS, row, strict=True))
    producer = json.dumps(columns["producer_id"], ensure_ascii=False)
    return (
        f'{columns["payload"]},"producer_id":{producer},"redactions":{columns["redactions"]},"resource_id":'
        f"{json.dumps(columns['resource_id'], ensure_ascii=False)}"
    )


@given(st.lists(scalars | st.binary() | st.just("\ud800") | st.just("[" * 10_000), max_size=20))
def test_whatever_a_row_holds_nothing_is_raised(values):
    assert isinstance(row_leaf(values), bytes)


@pytest.mark.parametrize(
    ("column", "value"), [("seq", "7"), ("schema_version", "1"), ("seq", 7.0), ("schema_version", True)]
)
def test_a_value_of_another_type_that_would_be_written_alike_is_no_value(column, value):
    row = row_of(an_event(0, seq=7))
    row[ROW_COLUMNS.index(column)] = value
    assert row_leaf(row) == BROKEN
