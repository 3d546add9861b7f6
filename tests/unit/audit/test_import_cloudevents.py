"""CloudEvents as events: attributes, extensions, forms of files, our own, and what is refused and why."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from tenaudit.audit import AuditEvent
from tenaudit.audit.importers import FORMATS, Refused
from tenaudit.audit.mappers import to_cloudevents

CLOUDEVENTS = FORMATS["cloudevents"]
TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
TRACE = "0af7651916cd43dd8448eb211c80319c"
OWN = AuditEvent(
    event_id=UUID("0190a5b2-7c00-7000-8000-000000000001"),
    tenant_id=UUID(TENANT),
    occurred_at="2024-07-12T00:00:00.000123Z",
    actor_id="u-1",
    actor_type="user",
    action="payment.voided",
    service="payment",
    payload={"amount": 1999},
)


def record(**changes):
    base = {
        "specversion": "1.0",
        "id": "A-1",
        "source": "https://shop.example/orders",
        "type": "com.example.OrderPlaced.v2",
        "time": "2024-07-12T02:00:00.123456789+02:00",
        "subject": "order/7",
        "tenantid": TENANT,
        "data": {"total": 12},
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def event(**changes):
    return CLOUDEVENTS.event(record(**changes))


def test_every_field_of_a_plain_event():
    made = event()
    assert made.payload == record()
    assert made.event_id.int >> 80 == 1_720_742_400_123
    assert made.record() | {"payload": None, "event_id": None} == {
        "event_id": None,
        "tenant_id": TENANT,
        "occurred_at": "2024-07-12T00:00:00.123456Z",
        "actor_id": None,
        "actor_type": "anonymous",
        "action": "com.example.order_placed.v2",
        "resource_type": None,
        "resource_id": "order/7",
        "outcome": "success",
        "severity": "info",
        "service": "https://shop.example/orders",
        "trace_id": None,
        "schema_version": 1,
        "payload": None,
        "redactions": [],
        "producer_id": None,
        "seq": None,
    }


def test_source_and_id_together_are_the_identity():
    assert event().event_id == event(type="com.example.other", data=1).event_id
    ids = {event().event_id, event(id="A-2").event_id, event(source="/other").event_id}
    assert len(ids) == 3
    assert event(source="/a", id="b").event_id != event(source="/", id="ab").event_id


def test_the_tenant_is_the_callers_or_the_extensions():
    assert CLOUDEVENTS.event(record(tenantid=...), UUID(int=7)).tenant_id == UUID(int=7)
    assert event(tenantid=TENANT.upper()).tenant_id == UUID(TENANT)
    for wrong in (..., None, 7, "shop", TENANT.replace("-", "")):
        with pytest.raises(Refused, match="missing_tenant"):
            event(tenantid=wrong)


@pytest.mark.parametrize(
    ("changes", "actor"),
    [
        ({"authtype": "app_user", "authid": "u-1"}, ("u-1", "user")),
        ({"authtype": "service_account", "authid": "ci"}, ("ci", "service")),
        ({"authtype": "unauthenticated"}, (None, "anonymous")),
        ({"authtype": "robot", "authid": "r"}, ("r", "unknown")),
        ({"authid": "r"}, ("r", "unknown")),
        ({"authtype": {}, "authid": 7}, (None, "anonymous")),
    ],
)
def test_the_actor_comes_from_the_auth_context(changes, actor):
    made = event(**changes)
    assert (made.actor_id, made.actor_type) == actor


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"outcome": "denied", "severitytext": "WARNING"}, ("denied", "warn", None)),
        ({"outcome": ["denied"], "severitytext": "LOUD"}, ("success", "info", None)),
        ({"severitytext": 7, "traceid": TRACE}, ("success", "info", TRACE)),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "traceid": "0" * 32}, ("success", "info", TRACE)),
        ({"traceparent": "junk", "traceid": TRACE.upper()}, ("success", "info", None)),
    ],
)
def test_other_extensions_are_read_where_they_are_known(changes, read):
    made = event(**changes)
    assert (made.outcome, made.severity, made.trace_id) == read


def test_a_member_that_is_null_is_not_there_but_data_may_be():
    assert event(subject=None, dataschema=None).event_id == event().event_id
    assert event(subject=None).resource_id is None
    assert event(data=None).payload["data"] is None


def test_a_long_source_is_cut_in_the_service_only():
    made = event(source="/" + "s" * 500)
    assert (len(made.service), len(made.payload["source"])) == (128, 501)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"specversion": "0.3"}, "unknown_version"),
        ({"specversion": ...}, "missing_field"),
        ({"id": ""}, "missing_field"),
        ({"source": None}, "missing_field"),
        ({"type": 7}, "missing_field"),
        ({"type": "..."}, "invalid_action"),
        ({"time": ...}, "invalid_time"),
        ({"time": "2024-07-12"}, "invalid_time"),
        ({"time": "1969-12-31T23:59:59Z"}, "invalid_time"),
        ({"data_base64": "aGk="}, "invalid_data"),
        ({"data": ..., "data_base64": "a?"}, "invalid_data"),
        ({"data": ..., "data_base64": "é"}, "invalid_data"),
        ({"data": ..., "data_base64": 7}, "invalid_data"),
        ({"data": "x" * 70_000}, "event_too_large"),
    ],
)
def test_what_cannot_be_an_event_is_refused_with_its_reason(changes, reason):
    with pytest.raises(Refused) as caught:
        event(**changes)
    assert caught.value.reason == reason


def test_binary_data_is_kept_as_it_is_written():
    made = event(data=..., data_base64="aGk=")
    assert made.payload["data_base64"] == "aGk="


def test_one_a_batch_and_lines_are_the_same_events():
    one, two = record(), record(id="A-2")
    for text, lines in (
        (json.dumps(one), [1]),
        (json.dumps(one, indent=2), [None]),
        (json.dumps([one, two], indent=2), [None, None]),
        (f"{json.dumps(one)}\n{json.dumps([two, one])}\n", [1, 2, 2]),
    ):
        found = list(CLOUDEVENTS.records(text))
        assert [each.line for each in found] == lines
        assert found[0].value == one


def test_our_own_events_come_back_as_they_were():
    assert CLOUDEVENTS.event(json.loads(json.dumps(to_cloudevents(OWN)))) == OWN
    assert CLOUDEVENTS.event(to_cloudevents(OWN, type_prefix="com.example."), OWN.tenant_id) == OWN


@pytest.mark.parametrize(
    ("changes", "tenant_id", "reason"),
    [
        ({"id": "0190a5b2-7c00-7000-8000-000000000002"}, None, "other_id"),
        ({}, UUID(int=7), "other_tenant"),
        ({"data": {**OWN.record(), "more": 1}}, None, "unknown_field"),
        ({"data": "text"}, None, "not_an_object"),
    ],
)
def test_our_own_event_must_be_whole(changes, tenant_id, reason):
    with pytest.raises(Refused) as caught:
        CLOUDEVENTS.event({**to_cloudevents(OWN), **changes}, tenant_id)
    assert caught.value.reason == reason


def test_a_record_is_an_object():
    with pytest.raises(Refused, match="not_an_object"):
        CLOUDEVENTS.event([record()])
