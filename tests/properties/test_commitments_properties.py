"""A leaf outlives the values it was made of, whatever is erased in whatever order, and no other value has its leaf."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.erasure.subject import StoredEvent, Subject
from tenaudit.audit.integrity.audit_log import event_leaf
from tenaudit.audit.integrity.commitments import (
    SALT_BYTES,
    committed_leaf,
    erased_places,
    kept_openings,
    openings_of,
    places_text,
    sealed_leaf,
)
from tenaudit.audit.integrity.json_pointer import value_at, without
from tenaudit.audit.integrity.stored import parsed_json
from tenaudit.audit.personal import PersonalFields
from tenaudit.backends.sqlite.rows import SealedRow
from tenaudit.testing.conformance import an_event

KEY = b"k" * 32
names = st.sampled_from(["a", "b", "a/b", "~", "~1", "", "é", "0", "client_ip"])
leaves = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False) | st.text("aé/~0")
)
values = st.recursive(
    leaves.filter(lambda one: not isinstance(one, float) or abs(one) != float("inf")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(names, values, max_size=4)
events = st.builds(an_event, st.integers(0, 9), payload=payloads, actor_id=st.none() | st.text("abé"))
fields = st.lists(
    st.sampled_from(["payload.*", "payload.**.a", "payload.a[*].b", 'payload["a/b"]', "payload.b", "resource_id", "*"]),
    max_size=4,
).map(PersonalFields)


def sealed(event, personal):
    """Return the record of an event, its openings and its leaf."""
    row = SealedRow(event, KEY, personal)
    return parsed_json(row.evidence), openings_of(row.parameters["salts"], row.parameters["commitments"]), row.leaf


@given(events, fields, st.data())
def test_whatever_is_erased_the_leaf_stays(event, personal, data):
    record, openings, leaf = sealed(event, personal)
    assert committed_leaf(record, openings) == leaf
    order = data.draw(st.permutations([*openings]))
    while order:
        gone, order = order[: (cut := data.draw(st.integers(1, len(order))))], order[cut:]
        kept = kept_openings(record, openings, gone)
        record, openings = without(record, gone), openings_of(None, kept)
        assert committed_leaf(record, openings) == leaf
        assert {*gone} <= erased_places(openings)
        assert all(value_at(record, place) is None for place in gone)


@given(events, events, fields)
def test_no_other_record_has_its_leaf(event, other, personal):
    record, openings, leaf = sealed(event, personal)
    strange = parsed_json(SealedRow(other, KEY).evidence)
    assume(strange != record)
    try:
        assert committed_leaf(strange, openings) != leaf
    except ValueError:
        assert any(not _is_there(strange, place) for place in openings)


def _is_there(record, place):
    try:
        value_at(record, place)
    except ValueError:
        return False
    return True


@given(events, fields, st.data())
def test_no_value_comes_back_where_one_was_erased(event, personal, data):
    record, openings, _ = sealed(event, personal)
    assume(openings)
    place = data.draw(st.sampled_from([*openings]))
    kept = json.loads(kept_openings(record, openings, [place]))
    with pytest.raises(ValueError, match="what was erased is back"):
        committed_leaf(record, kept)


@given(events, fields, st.data())
def test_an_opening_with_another_digit_opens_nothing(event, personal, data):
    record, openings, leaf = sealed(event, personal)
    assume(openings)
    place = data.draw(st.sampled_from([*openings]))
    if data.draw(st.booleans()):
        openings, record = json.loads(kept_openings(record, openings, [place])), without(record, [place])
    opening = openings[place]
    at = data.draw(st.integers(0, len(opening) - 1))
    digit = data.draw(st.sampled_from("0123456789abcdef").filter(lambda one: one != opening[at]))
    assert committed_leaf(record, {**openings, place: opening[:at] + digit + opening[at + 1 :]}) != leaf


@given(events, fields)
def test_the_quick_way_is_the_exact_one(event, personal):
    evidence, places = SealedRow(event, KEY).evidence, personal.places(event)
    salts = os.urandom(SALT_BYTES * len(places))
    openings = openings_of(salts or None, places_text(places) if places else None)
    assert sealed_leaf(evidence, places, salts) == committed_leaf(parsed_json(evidence), openings)
    assert places or sealed_leaf(evidence, places, salts) == event_leaf(event.record())


@given(events, fields)
def test_each_place_has_a_salt_of_its_own(event, personal):
    _, openings, _ = sealed(event, personal)
    assert len({*openings.values()}) == len(openings)


@given(st.integers(257, 300), st.integers(0, 3))
def test_of_very_many_places_the_fields_around_them_are_committed_to(count, others):
    payload = {"users": [{"email": f"{n}@example.org"} for n in range(count)], "note": "x"}
    payload |= {f"more {n}": [{"email": "y"}] for n in range(others)}
    event = an_event(0, payload=payload)
    personal = PersonalFields(["payload.**.email"])
    assert personal.places(event) == (
        "/actor_id",
        *sorted(f"/payload/more {n}" for n in range(others)),
        "/payload/users",
    )
    record, openings, leaf = sealed(event, personal)
    assert committed_leaf(record, openings) == leaf


@given(events, fields)
def test_no_place_lies_below_another_and_each_holds_something(event, personal):
    places = personal.places(event)
    record = event.record()
    assert all(value_at(record, place) is not None for place in places)
    assert not any(one != other and one.startswith(f"{other}/") for one in places for other in places)


@given(events, fields, st.text("abé", min_size=1))
def test_of_a_person_all_that_can_go_goes_and_the_rest_is_told(event, personal, name):
    record, openings, leaf = sealed(event, personal)
    try:
        person = Subject(name)
    except ConfigurationError:
        return
    stored = StoredEvent(0, event.event_id, record, openings, fits=True)
    found = person.erased(stored)
    if found is None:
        assert not any(person.is_in(value_at(record, place)) for place in openings)
        left = record
    else:
        places, row = found
        left = without(record, places)
        assert committed_leaf(left, json.loads(row.commitments)) == leaf
        assert (left["actor_id"], left["resource_id"]) == (row.actor_id, row.resource_id)
        assert parsed_json(row.payload) == left["payload"]
        if event.actor_id == name:
            assert {*places} == {*openings}
    told = [*person.left_at(stored)]
    assert person.is_in({name: left[name] for name in ("actor_id", "resource_id", "payload")}) <= bool(told)


@pytest.mark.parametrize(
    ("salts", "commitments"),
    [
        (b"", None),
        (bytes(15), None),
        (bytes(32), None),
        (bytes(16), "[]"),
        (bytes(16), "{}"),
        (bytes(16), "5"),
        (bytes(16), "["),
        (bytes(16), "[5]"),
        (bytes(32), '["/actor_id","/actor_id"]'),
        (bytes(16), '["/actor_id"]'),
        (bytes(32), '["/b","/a"]'),
        (bytes(32), '["/a", "/b"]'),
        (None, "{}"),
        (None, f'{{"/actor_id":"{"0" * 32}"}}'),
        ("0" * 16, None),
        (None, 5),
        (None, f'{{"/a":"{"0" * 32}","/b": "{"0" * 32}"}}'),
        (None, f'{{"/b":"{"0" * 32}","/a":"{"0" * 32}"}}'),
        (None, f'{{"/a":"{"A" * 32}"}}'),
        (None, "[]"),
        (None, "5"),
        (None, '{"/actor_id":5}'),
    ],
)
def test_columns_that_are_none_are_refused(salts, commitments):
    with pytest.raises(ValueError, match=r".+"):
        openings_of(salts, commitments)


@pytest.mark.parametrize("opening", ["", "00", "zz" * 16, "AA" * 16, "AA" * 32, "0" * 33, "0" * 65])
def test_openings_that_are_none_are_refused(opening):
    with pytest.raises(ValueError, match=r".+"):
        committed_leaf({"actor_id": "alice", "payload": {}}, {"/actor_id": opening})


@pytest.mark.parametrize(
    "place", ["", "actor_id", "/nothing", "/payload/x", "/actor_id/x", "/list/-1", "/list/00", "/list/9", "/actor_id/0"]
)
def test_places_that_are_none_are_refused(place):
    with pytest.raises(ValueError, match=r".+"):
        committed_leaf({"actor_id": "alice", "payload": {}, "list": [1]}, {place: "00" * 16})


@pytest.mark.parametrize("path", ["action", "tenant_id", "payload[", "", "**.x.**"])
def test_paths_that_reach_nothing_that_can_go_are_refused(path):
    with pytest.raises(ConfigurationError, match=r"reaches none of|personal fields"):
        PersonalFields([path])
