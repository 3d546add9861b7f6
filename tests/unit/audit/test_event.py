"""The audit record: what each field takes, one wire form, frozen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from tenaudit.audit import AuditEvent
from tenaudit.audit.event import normal_severity, wire_time

ID = "0190a5b2-7c00-7000-8000-000000000001"
TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"


def event(**fields):
    usual = {
        "event_id": ID,
        "tenant_id": TENANT,
        "occurred_at": "2026-11-24T06:00:00Z",
        "action": "payment.voided",
        "service": "payment",
    }
    return AuditEvent(**usual | fields)


def wrong_field(**fields):
    with pytest.raises(ValidationError) as caught:
        event(**fields)
    return {error["loc"][0] for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("field", "values"),
    {
        "event_id": [str(uuid4()), str(UUID(int=1)), "x", None],
        "tenant_id": ["", "x", None],
        "occurred_at": ["2026-11-24T06:00:00", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "x", None],
        "action": ["", "Payment.voided", "payment.", ".voided", "payment.voided\n", "payment voided", "a" * 129, None],
        "actor_id": ["a\x00", "a" * 1025, "\ud800", 5],
        "actor_type": ["a\x00", "a" * 129, None],
        "resource_id": ["\x00", "a" * 1025, 0],
        "resource_type": ["\x00", "a" * 129],
        "outcome": ["ok", "SUCCESS", None],
        "severity": ["loud", "", 3, None],
        "service": ["", "a\x00", "a" * 129, None],
        "trace_id": ["", "A" * 32, "a" * 31, "a" * 33, "a" * 32 + "\n"],
        "schema_version": [0, 2**31, "x"],
        "payload": [[], "x", None, {"a": float("nan")}, {"a": 2**53}, {"a": object()}, {"a": "\x00"}, {1: 2}],
        "redactions": ["x", ["a\x00"], [1]],
        "producer_id": ["a" * 129, "\x00"],
        "seq": [-1, 2**53, "x"],
        "unknown": [1],
    }.items(),
)
def test_a_wrong_value_names_its_field(field, values):
    for value in values:
        assert wrong_field(**{field: value}) == {field}, value


def test_a_payload_that_is_too_deep_is_refused():
    deep = {}
    for _ in range(40):
        deep = {"a": deep}
    assert wrong_field(payload=deep) == {"payload"}


@pytest.mark.parametrize("action", ["a", "capability_denied", "payment.voided", "a.1.b_2", "a" * 128])
def test_dotted_lower_case_names_are_actions(action):
    assert event(action=action).action == action


@pytest.mark.parametrize(
    ("said", "meant"),
    [("WARNING", "warn"), (" Err ", "error"), ("critical", "error"), ("debug", "info"), ("Security", "security")],
)
def test_severities_are_known_by_their_aliases(said, meant):
    assert event(severity=said).severity == normal_severity(said) == meant


def test_times_become_utc_and_keep_their_microseconds():
    there = datetime(2026, 11, 24, 7, 30, 0, 123456, timezone(timedelta(hours=1, minutes=30)))
    assert event(occurred_at=there).record()["occurred_at"] == "2026-11-24T06:00:00.123456Z"
    assert event(occurred_at=there).occurred_at.utcoffset() == timedelta(0)


def test_text_order_of_times_is_time_order():
    moments = [datetime(year, 1, 1, tzinfo=UTC) for year in (1, 99, 999, 1000, 2026, 9999)]
    written = [wire_time(moment) for moment in moments]
    assert written == sorted(written)
    assert {len(text) for text in written} == {27}


def test_the_wire_form_reads_back_as_the_same_event():
    made = event(
        actor_id="u-1", actor_type="user", resource_type="payment", resource_id="p\n1", trace_id="a" * 32, seq=0,
        payload={"é": [1, 1.5, None, {"x": True}]}, redactions=["mask:payload.card"], producer_id="p-1", severity="ERR",
    )  # fmt: skip
    text = json.dumps(made.record())
    assert AuditEvent.model_validate(json.loads(text)) == AuditEvent.model_validate_json(text) == made
    assert list(made.record()) == list(AuditEvent.model_fields)


def test_an_event_is_frozen_and_does_not_change_with_its_source():
    source = {"items": [1], "card": {"last4": "4242"}}
    made = event(payload=source)
    source["items"].append(2)
    source["card"]["last4"] = "0000"
    assert made.payload == {"items": [1], "card": {"last4": "4242"}}
    with pytest.raises(ValidationError):
        made.action = "other"
