"""The form of an event in a message: what is written is read back, and what is no event says why."""

from __future__ import annotations

import json

import pytest

from tenaudit.audit.consumer import WIRE_FORMAT, BadRecord, decode_event, encode_event, event_headers
from tenaudit.testing.conformance import an_event

EVENT = an_event(1)
RECORD = EVENT.record()


def reason_of(value, headers=()):
    with pytest.raises(BadRecord) as caught:
        decode_event(value, headers)
    assert caught.value.reason in str(caught.value)
    return caught.value.reason


def altered(**fields):
    return json.dumps(RECORD | fields).encode()


def test_an_event_comes_back_as_it_was():
    event = an_event(2, payload={"é": ["NaN", "Infinity", 1.5, None, {"a": [2**53 - 1]}]}, trace_id=None)
    assert decode_event(encode_event(event), event_headers(event)) == event
    assert json.loads(encode_event(event)) == event.record()


def test_an_event_that_nobody_validated_is_written_as_its_record():
    event = EVENT.model_copy(update={"tenant_id": str(EVENT.tenant_id), "event_id": 7})
    assert json.loads(encode_event(event)) == RECORD | {"event_id": "7"}
    with pytest.raises(AttributeError):
        encode_event(type(EVENT).model_construct(event_id=EVENT.event_id, tenant_id=EVENT.tenant_id))


def test_a_record_without_headers_is_read():
    assert decode_event(encode_event(EVENT)) == EVENT


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_without_a_value_cannot_be_written(number):
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_event(EVENT.model_copy(update={"payload": {"deep": [{"n": number}]}}))


def test_half_a_character_cannot_be_written():
    with pytest.raises(ValueError, match="surrogate"):
        encode_event(EVENT.model_copy(update={"payload": {"a": "\ud800"}}))


@pytest.mark.parametrize("trace_id", [None, "0" * 32])
def test_an_event_without_a_trace_has_no_traceparent(trace_id):
    assert event_headers(an_event(1, trace_id=trace_id)) == [("content-type", WIRE_FORMAT)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b" " * (2**20 + 1), "too_large"),
        (b"\xff\xfe", "not_json"),
        (b'{"event_id":', "not_json"),
        (b"[]", "invalid_event"),
        (b"null", "invalid_event"),
        (b"{}", "invalid_event"),
        (altered(tenant_id="nobody"), "invalid_event"),
        (altered(event_id="3f1e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"), "invalid_event"),
        (altered(payload={"a": "\0"}), "invalid_event"),
        (altered(payload={"a": 2**53}), "invalid_event"),
        (altered(later="field"), "invalid_event"),
        (encode_event(EVENT).replace(b'"number":1', b'"number":NaN'), "invalid_event"),
    ],
)
def test_what_is_no_event_says_why(value, reason):
    assert reason_of(value) == reason


def test_a_format_of_another_version_is_not_guessed_at():
    value = encode_event(EVENT)
    assert reason_of(value, [("content-type", b"application/vnd.tenaudit.event+json; version=2")]) == "unknown_format"
    assert reason_of(value, [("content-type", None)]) == "unknown_format"
    assert decode_event(value, [("other", b"x"), ("content-type", WIRE_FORMAT)]) == EVENT
