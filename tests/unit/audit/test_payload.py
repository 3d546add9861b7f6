"""The snapshot of a payload: every limit has its code, and what comes out is JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

import pytest

from tenaudit.audit.payload import MAX_DEPTH, MAX_EVENT_BYTES, PayloadRefused, json_copy, snapshot


class Hostile(Mapping):
    """A mapping whose methods raise."""

    def __getitem__(self, key):
        raise RuntimeError(key)

    def __iter__(self):
        raise RuntimeError

    def __len__(self):
        return 1


def nested(depth, opening=list):
    value = "x"
    for _ in range(depth):
        value = [value] if opening is list else {"a": value}
    return value


def cyclic():
    value = {}
    value["self"] = [value]
    return value


@pytest.mark.parametrize(
    ("reason", "payloads"),
    {
        "invalid_text": [
            {"a": "x\x00"},
            {"a\x00": 1},
            {"a": [{"b": "\x00"}]},
            {"a": [{"\x00": 1}]},
            {"a": "\ud800"},
            {"\udfff": 1},
            {"a": ["é\x00"]},
        ],
        "integer_out_of_range": [
            {"a": 2**53},
            {"a": -(2**53)},
            {"a": [2**53]},
            {"a": {"b": {"c": -(2**64)}}},
            {"a": 10**30, "b": "é"},
            {"a": 10**5000},
        ],
        "payload_not_json": [
            {"a": float("nan")},
            {"a": [float("inf")]},
            {"a": {"b": -float("inf")}},
            {"a": object()},
            {"a": lambda: None},
            {"a": b"\xff"},
            {1: "one"},
            {1: "one", "1": "two"},
            {"a": {None: 1}},
            {"a": [({"b": 1}, {(1, 2): 3})]},
            Hostile(),
            {"a": Hostile()},
            [("a", 1)],
            "text",
        ],
        "payload_too_deep": [
            nested(MAX_DEPTH + 1, dict),
            {"a": nested(MAX_DEPTH)},
            {"a": nested(199)},
            {"a": nested(220)},
            {"a": nested(100_000)},
            cyclic(),
        ],
        "event_too_large": [{"a": "x" * MAX_EVENT_BYTES}, {"a": ["é" * (MAX_EVENT_BYTES // 2)]}],
    }.items(),
)
def test_each_limit_has_its_code(reason, payloads):
    for payload in payloads:
        with pytest.raises(PayloadRefused) as caught:
            snapshot(payload)
        assert caught.value.reason == reason, str(payload)[:60]


def test_the_limits_themselves_are_allowed():
    whole = {"a": "x" * (MAX_EVENT_BYTES - len('{"a":""}'))}
    assert snapshot(whole) == (whole, MAX_EVENT_BYTES)
    with pytest.raises(PayloadRefused):
        snapshot({"a": whole["a"] + "x"})
    deep = nested(MAX_DEPTH, dict)
    assert snapshot(deep)[0] == deep
    edge = {"a": 2**53 - 1, "b": [-(2**53) + 1, 1e300, 0.1234567890123456789]}
    assert snapshot(edge)[0] == edge
    brackets = {"a": "[{" * 100, "b": ["NaN", "Infinity", "1234567890123456789", "\\u0000"]}
    assert snapshot(brackets)[0] == brackets


def test_a_copy_without_a_size_limit_keeps_the_other_limits():
    large = {"a": "x" * 2 * MAX_EVENT_BYTES}
    assert json_copy(large) == large
    with pytest.raises(PayloadRefused):
        json_copy({"a": [2**53]})


def test_common_python_values_become_json():
    made = snapshot({
        "id": uuid.UUID(int=1), "at": datetime(2026, 11, 24, tzinfo=UTC), "sum": Decimal("1.10"), "tags": {"a"},
        "p": (1, 2),
    })[0]  # fmt: skip
    assert made == {
        "id": str(uuid.UUID(int=1)), "at": "2026-11-24T00:00:00Z", "sum": "1.10", "tags": ["a"], "p": [1, 2],
    }  # fmt: skip


def test_mappings_other_than_dict_are_copied():
    assert snapshot(MappingProxyType({"a": {"b": 1}}))[0] == {"a": {"b": 1}}


def test_the_size_of_a_flat_payload_is_never_below_its_json():
    for payload in ({}, {"a": 1}, {"k" * 50: "v" * 50, "n": -(2**53) + 1, "t": False, "z": None}):
        assert snapshot(payload)[1] >= len(json.dumps(payload, separators=(",", ":"))) - len("{}")
