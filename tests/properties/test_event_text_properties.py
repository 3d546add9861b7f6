"""An event written in one go is its canonical record, byte for byte, or is left to the exact walk."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, SafeUUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenaudit.audit.integrity import MAX_DEPTH, CanonicalError, canonical_json
from tenaudit.audit.integrity.event_text import event_text
from tenaudit.testing.conformance import an_event

SAFE = 2**53 - 1
texts = st.text(max_size=12) | st.sampled_from(
    ["", "\0", "\ud800", "\x1f\x7f\u2028", '"\\/', "\ue000", "\U00010000", "b"]
)


class Text(str):
    __slots__ = ()


class Moment(datetime):
    pass


class Id(UUID):
    pass


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats()
    | texts
    | st.sampled_from([Text("a"), b"bytes", object(), SafeUUID.safe, 1e16, -0.0])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
oddities = st.dictionaries(
    st.sampled_from(
        [
            "action",
            "actor_id",
            "actor_type",
            "outcome",
            "redactions",
            "resource_id",
            "schema_version",
            "seq",
            "trace_id",
        ]
    ),
    scalars | st.lists(texts, max_size=2).map(tuple) | st.lists(texts, max_size=2),
    max_size=2,
)
plain = st.builds(
    an_event,
    st.integers(0, 9),
    actor_id=st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9),
    redactions=st.lists(st.sampled_from(["a", 'b"', "é"]), max_size=2).map(tuple),
    seq=st.none() | st.integers(0, SAFE),
)


def expected(event):
    try:
        return canonical_json(event.record())
    except CanonicalError:
        return None


@given(plain, st.dictionaries(texts, values, max_size=4), oddities)
@example(an_event(1), {"b": [1, {"d": (), "c": [True, None]}], "a": "é"}, {})
def test_it_is_the_canonical_record_or_nothing(event, payload, odd):
    event = event.model_copy(update={"payload": payload} | odd)
    found = event_text(event)
    assert found is None or found == expected(event)


@given(
    plain,
    st.dictionaries(st.text("abc\x1f", max_size=4), st.integers(-SAFE, SAFE) | st.text("é\U00010000", max_size=3)),
)
def test_the_usual_event_is_never_left_to_the_walk(event, payload):
    event = event.model_copy(update={"payload": payload})
    assert event_text(event) == expected(event) is not None


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def test_a_payload_is_taken_as_deep_as_the_walk_takes_it():
    deepest = an_event(1).model_copy(update={"payload": nested(MAX_DEPTH - 2)})
    assert event_text(deepest) == expected(deepest) is not None
    deeper = an_event(1).model_copy(update={"payload": nested(MAX_DEPTH - 1)})
    assert event_text(deeper) is expected(deeper) is None
    lists = []
    for _ in range(MAX_DEPTH):
        lists = [lists]
    assert event_text(an_event(1).model_copy(update={"payload": {"a": lists}})) is None


@pytest.mark.parametrize(
    "field",
    [
        {"occurred_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is the case
        {"occurred_at": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))},
        {"occurred_at": Moment(2026, 1, 1, tzinfo=UTC)},
        {"occurred_at": "2026-01-01T00:00:00Z"},
        {"event_id": Id(int=1)},
        {"tenant_id": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"},
        {"payload": OrderedDict(a=1)},
        {"payload": {1: 1}},
        {"payload": {"a": 0.5}},
        {"payload": {"é": 1}},
        {"payload": {"a": "\ud800"}},
        {"payload": {"a": 2**53}},
        {"redactions": ["a"]},
        {"redactions": (Text("a"),)},
        {"action": None},
        {"actor_id": Text("a")},
        {"seq": True},
        {"schema_version": -(2**53)},
    ],
    ids=str,
)
def test_what_is_in_doubt_is_left_to_the_walk(field):
    assert event_text(an_event(1).model_copy(update=field)) is None


def test_an_event_that_lacks_a_field_is_left_to_the_walk():
    assert event_text(type(an_event(1)).model_construct(action="a")) is None
