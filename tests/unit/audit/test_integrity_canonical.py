"""Canonical JSON: the samples that RFC 8785 publishes, and every refusal."""

from __future__ import annotations

import enum
import struct

import pytest

from tenaudit.audit.integrity import MAX_DEPTH, MAX_SAFE_INTEGER, CanonicalError, canonical_json

# RFC 8785, appendix B: IEEE 754 bits and the text that stands for them.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_numbers_of_appendix_b(bits, text):
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(number) == text.encode()


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])
def test_numbers_of_appendix_b_that_are_no_json(bits):
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    with pytest.raises(CanonicalError, match=r"value\['n'\]\[0\]: NaN and infinity"):
        canonical_json({"n": [number]})


def test_sample_of_section_3_2_2():
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert canonical_json(value).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_keys_sort_by_utf16_units_as_in_section_3_2_3():
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert canonical_json(value).decode() == (
        '{"\\r":"Carriage Return","1":"One","\u0080":"Control",'
        '"\u00f6":"Latin Small Letter O With Diaeresis","\u20ac":"Euro Sign",'
        '"\U0001f600":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}'
    )


def test_only_the_escapes_of_the_rfc_are_written():
    assert canonical_json('\b\t\n\f\r"\\/\x00\x1f\x7f\u2028').decode() == (
        '"\\b\\t\\n\\f\\r\\"\\\\/\\u0000\\u001f\x7f\u2028"'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        ([], "[]"),
        ((), "[]"),
        ([0.0], "[0]"),
        ([(1, 2.0), {}, [], ()], "[[1,2],{},[],[]]"),
        ({"a": {"": 1.0}}, '{"a":{"":1}}'),
        (MAX_SAFE_INTEGER, "9007199254740991"),
        ([-MAX_SAFE_INTEGER, 1.0], "[-9007199254740991,1]"),
        (True, "true"),
    ],
)
def test_shapes(value, text):
    assert canonical_json(value).decode() == text


def test_named_values_are_written_as_what_they_are():
    class Level(enum.IntEnum):
        HIGH = 7

    class Colour(enum.StrEnum):
        RED = "red"

    assert canonical_json({Colour.RED: [Level.HIGH, Colour.RED]}) == b'{"red":[7,"red"]}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, MAX_SAFE_INTEGER + 1]}, r"value\['a'\]\[1\]: integer beyond"),
        (-MAX_SAFE_INTEGER - 1, "value: integer beyond"),
        ({"a": "\ud800"}, r"value\['a'\]: lone surrogate"),
        ({"\udfff": 1}, "value: a key holds a lone surrogate"),
        ({1: 1}, "value: a key is int"),
        ({None: 1}, "value: a key is NoneType"),
        ({True: 1}, "value: a key is bool"),
        ([{"a": b"x"}], r"value\[0\]\['a'\]: bytes is not"),
        ({1, 2}, "value: set is not"),
    ],
)
def test_what_has_no_canonical_form_is_refused_by_place(value, message):
    with pytest.raises(CanonicalError, match=message) as caught:
        canonical_json(value)
    assert caught.value.code == "not_canonical"


def nested(levels, leaf):
    value = leaf
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


@pytest.mark.parametrize("leaf", [1, 1.0], ids=["plain", "exact"])
def test_depth_is_bounded(leaf):
    assert canonical_json(nested(MAX_DEPTH, leaf)).count(b"1") == 1
    for levels in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(CanonicalError, match="more than 64 levels"):
            canonical_json(nested(levels, leaf))


def test_a_value_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(CanonicalError, match="more than 64 levels"):
        canonical_json(loop)
