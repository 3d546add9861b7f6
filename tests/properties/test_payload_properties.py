"""The snapshot against its definition: a JSON round trip that shares nothing with its source."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.payload import PayloadRefused, snapshot

text = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=12)
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | text
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4))
anything = st.recursive(
    scalars
    | st.floats()
    | st.integers()
    | st.text()
    | st.binary(max_size=4)
    | st.just(object())
    | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner),
    max_leaves=20,
)


def same(left, right):
    return left == right and json.dumps(left) == json.dumps(right)


def containers(value):
    if isinstance(value, dict | list):
        yield id(value)
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers(item)


@given(st.dictionaries(text, values, max_size=5))
def test_a_snapshot_is_a_json_round_trip(payload):
    copied, size = snapshot(payload)
    written = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    assert same(copied, json.loads(written))
    assert len(written) - len("{}") <= size or size == len(written.encode())


@given(st.dictionaries(text, values, max_size=5))
def test_a_snapshot_shares_nothing_that_can_change(payload):
    copied, _ = snapshot(payload)
    assert not set(containers(payload)) & set(containers(copied))


@given(anything)
def test_whatever_comes_in_a_snapshot_is_json_or_a_coded_refusal(payload):
    try:
        copied, _ = snapshot(payload)
    except PayloadRefused as refusal:
        copied, reason = {}, refusal.reason
    else:
        reason = "none"
    assert reason
    assert json.loads(json.dumps(copied, allow_nan=False)) == copied
    assert "\\u0000" not in json.dumps(copied).replace("\\\\", "")
