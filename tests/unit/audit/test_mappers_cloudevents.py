"""Events as CloudEvents: attributes, extensions, and what an attribute must not hold."""

from __future__ import annotations

from uuid import UUID

import pytest

from tenaudit.audit import AuditEvent
from tenaudit.audit.mappers import DATA_SCHEMA, to_cloudevents

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def event(**changes):
    base = {
        "event_id": UUID("0190a5b2-7c00-7000-8000-000000000001"),
        "tenant_id": UUID(TENANT),
        "occurred_at": "2024-07-12T00:00:00.000123Z",
        "action": "payment.voided",
        "service": "payment",
    }
    return AuditEvent(**{**base, **changes})


def mapped(**changes):
    return to_cloudevents(event(**changes))


def test_every_attribute_of_a_full_event():
    given = event(
        actor_id="u-1",
        actor_type="user",
        resource_type="payment",
        resource_id="p-1",
        outcome="denied",
        severity="security",
        trace_id=TRACE,
    )
    assert to_cloudevents(given) == {
        "specversion": "1.0",
        "id": "0190a5b2-7c00-7000-8000-000000000001",
        "source": f"/tenants/{TENANT}/services/payment",
        "type": "tenaudit.payment.voided",
        "subject": "payment/p-1",
        "time": "2024-07-12T00:00:00.000123Z",
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "tenantid": TENANT,
        "partitionkey": TENANT,
        "outcome": "denied",
        "authtype": "app_user",
        "authid": "u-1",
        "severitytext": "SECURITY",
        "severitynumber": 18,
        "traceid": TRACE,
        "data": given.record(),
    }


def test_what_is_unknown_is_left_out():
    assert set(mapped()) == {
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "datacontenttype",
        "dataschema",
        "tenantid",
        "partitionkey",
        "outcome",
        "authtype",
        "severitytext",
        "severitynumber",
        "data",
    }
    assert mapped()["authtype"] == "unauthenticated"
    assert mapped(actor_id="x", actor_type="robot")["authtype"] == "unknown"


@pytest.mark.parametrize(
    ("resource", "subject"),
    [(("a", "b"), "a/b"), (("a", None), "a"), ((None, "b"), "b"), ((None, None), None), (("", ""), None)],
)
def test_the_subject_is_the_resource(resource, subject):
    assert mapped(resource_type=resource[0], resource_id=resource[1]).get("subject") == subject


def test_the_source_is_a_reference_whatever_the_service_is_called():
    assert mapped(service="a b/é?#")["source"] == f"/tenants/{TENANT}/services/a%20b%2F%C3%A9%3F%23"


def test_the_type_begins_as_it_is_told():
    assert to_cloudevents(event(), type_prefix="com.example.")["type"] == "com.example.payment.voided"


def test_what_an_attribute_must_not_hold_is_replaced_there_only():
    made = mapped(resource_id="a\nb\x7f\ufdd0\U0001ffff😀", actor_id="x\ty")
    assert made["subject"] == "a\ufffdb\ufffd\ufffd\ufffd😀"
    assert made["authid"] == "x\ufffdy"
    assert made["data"]["resource_id"] == "a\nb\x7f\ufdd0\U0001ffff😀"


def test_severity_numbers_rise_with_severity():
    numbers = [mapped(severity=severity)["severitynumber"] for severity in ("info", "warn", "error", "security")]
    assert numbers == sorted(set(numbers))
