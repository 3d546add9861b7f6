"""An event read the quick way is the one that the model reads, in every type; what the model refuses it never takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from tenaudit.audit import AuditEvent
from tenaudit.audit.consumer import encode_event
from tenaudit.audit.consumer.plain_event import plain_event
from tenaudit.testing.conformance import an_event

RECORD = an_event(1).record()
SAFE = 2**53 - 1

TEXTS = """
    \x1f \\u0000 é \U00010000 a.b A a..b warn WARNING denied 1 1.0 0190a5b27c0070008000
    7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f 0190a5b2-7c00-7000-0000-000000000001 00000000000000000000000000000000
    2024-07-12T00:00:00Z 2024-07-12T00:00:00+02:00 2024-07-12T00:00:00 0001-01-01T00:00:00+02:00
"""
texts = st.text(max_size=12) | st.sampled_from(["", "\0", "a\n", "x" * 1025, *TEXTS.split(" ")])
scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.integers(-3, 3) | st.floats() | texts
)  # json writes NaN and Infinity by their names, which pydantic reads as numbers
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
changes = st.dictionaries(st.sampled_from([*RECORD, "unknown"]), values, max_size=2)


def outcome(value: bytes) -> tuple[dict[str, Any], set[str]] | None:
    try:
        event = AuditEvent.model_validate_json(value)
    except ValidationError:
        return None
    return vars(event), event.model_fields_set


def typed(value: Any) -> Any:
    """Return a value in which 1, 1.0 and True differ, and the order of keys counts."""
    if isinstance(value, dict):
        return [(key, typed(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [*map(typed, value)]
    # Not equality: times that are equal may be said in different zones.
    return type(value), repr(value)


def check(value: bytes) -> AuditEvent | None:
    found = plain_event(value)
    if found is not None:
        fields, given_fields = outcome(value) or pytest.fail("the model refuses it")
        assert typed(vars(found)) == typed(fields)
        assert found.model_fields_set == given_fields
        again = AuditEvent.model_validate_json(value)
        assert found == again
        assert hash(found.event_id) == hash(again.event_id)
        assert found.model_copy(update={"seq": 1}).record() == again.model_copy(update={"seq": 1}).record()
        with pytest.raises(ValidationError, match="frozen"):
            found.seq = 1
    return found


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else 1


@given(changes, st.sets(st.sampled_from([*RECORD]), max_size=2))
@example({"payload": nested(40)}, set())
@example({"payload": nested(9)}, set())
@example({"payload": {"a": SAFE}}, {"severity"})
@example({"payload": {"a": SAFE + 1}}, set())
@example({"payload": {"\0": 1}}, set())
@example({"event_id": "0190a5b2-7c00-7000-4000-000000000001"}, set())
@example({"event_id": "0190a5b2-7c00-7000-c000-000000000001"}, set())
@example({"event_id": "0190a5b2-7c00-4000-8000-000000000001"}, set())
@example({"event_id": 7}, set())
@example({"occurred_at": 1720742400}, set())
@example({"occurred_at": "2024-07-12T00:00:00+02:00"}, set())
@example({"occurred_at": "9999-12-31T23:59:59.9999999Z"}, set())
@example({"service": "\0"}, set())
@example({"action": "a.b\n"}, set())
@example({"action": "a" * 129}, set())
@example({"seq": 1.0, "schema_version": "1"}, set())
@example({"redactions": ["a", "\0"]}, set())
def test_what_it_takes_the_model_takes_too_and_reads_alike(changed, missing):
    record = {name: value for name, value in (RECORD | changed).items() if name not in missing}
    check(json.dumps(record).encode())
    check(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@given(st.data())
def test_a_broken_text_is_never_taken_for_an_event(data):
    value = bytearray(encode_event(an_event(data.draw(st.integers(0, 9)))))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(value) - 1))
        value[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    check(bytes(value))


@given(st.lists(st.tuples(st.sampled_from([*RECORD]), values), min_size=1, max_size=3))
@example([("payload", {"a": 1.5}), ("payload", {"a": 1})])
@example([("seq", -1), ("seq", 1)])
def test_a_name_said_twice_is_read_alike(more):
    doubled = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in more)
    check(json.dumps(RECORD)[:-1].encode() + b"," + doubled.encode() + b"}")
    inner = ",".join(f'"a":{json.dumps(value)}' for _, value in more)
    check(json.dumps(RECORD | {"payload": {}}).replace('"payload": {}', f'"payload": {{{inner}}}').encode())


@given(
    st.integers(0, 9),
    st.dictionaries(st.text("abé", max_size=3), st.integers(-SAFE, SAFE) | st.text("é\\", max_size=3)),
)
def test_the_usual_event_never_takes_a_closer_look(number, payload):
    event = an_event(number, payload=payload)
    assert check(encode_event(event)) == event


def test_fractions_and_depth_are_read_the_quick_way_too():
    # A validator that tries one kind of value after the other took seconds and gigabytes to say no to this.
    payload = {"track": [{"lat": 46.9 + n, "lon": 7.4, "at": [0.5, [1.5, [n]]]} for n in range(3_000)]}
    event = an_event(1, payload=payload)
    assert check(encode_event(event)) == event


@pytest.mark.parametrize("event_id", ["0190a5b2-7c00-7000-4000-000000000001", "0190a5b2-7c00-7000-c000-000000000001"])
def test_an_id_of_another_variant_is_not_taken(event_id):
    assert plain_event(json.dumps(RECORD | {"event_id": event_id}).encode()) is None
