"""Canonical JSON is what the rfc8785 package writes, for every JSON value."""

from __future__ import annotations

import json
import struct

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from tenaudit.audit.integrity import CanonicalError, canonical_json

SAFE = 2**53 - 1
doubles = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(min_size=8, max_size=8)
    .map(lambda raw: struct.unpack(">d", raw)[0])
    .filter(lambda number: number - number == 0),
    st.builds(lambda digits, power: float(f"{digits}e{power}"), st.integers(-(10**17), 10**17), st.integers(-330, 290)),
    st.integers(-40, 40).map(lambda power: 10.0**power),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text(
    "a\ue000\uffff\U00010000\U0010ffff", max_size=3
)
scalars = st.none() | st.booleans() | st.integers(-SAFE, SAFE) | doubles | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)


@given(values | plain_values)
@example({"\ue000": 1, "\U00010000": 2})
@example([0.0001, 0.00001, 1e16, 9999999999999998.0, 123456789012345.6, -0.0, 1e-7, 1e21])
def test_equals_the_rfc8785_package(value):
    assert canonical_json(value) == rfc8785.dumps(value)


@given(doubles)
@example(0.0001)
@example(0.00009999999999999999)
@example(4503599627370497.5)
@example(9999999999999998.0)
@example(1e16)
def test_doubles_alone_equal_the_rfc8785_package(number):
    assert canonical_json(number) == rfc8785.dumps(number)
    assert float(canonical_json(number)) == number


@given(values)
def test_is_a_fixed_point_of_parsing(value):
    once = canonical_json(value)
    # RFC 8785 reads every number as a double; an integral one beyond 2^53 has no int form here.
    assert canonical_json(json.loads(once, parse_int=float)) == once


hostile = st.recursive(
    scalars | st.floats() | st.integers() | st.binary(max_size=2) | st.text(max_size=3) | st.just("\ud83d"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=2) | st.integers() | st.none() | st.just("\udc00"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(hostile)
def test_hostile_values_give_bytes_or_the_one_error(value):
    try:
        written = canonical_json(value)
    except CanonicalError:
        with pytest.raises(Exception):  # noqa: B017 - the package has several errors for the same refusals
            rfc8785.dumps(value)
    else:
        assert json.loads(written.decode("utf-8")) == json.loads(rfc8785.dumps(value))
