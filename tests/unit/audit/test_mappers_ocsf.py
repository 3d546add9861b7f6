"""Events as OCSF: the class and activity of an action, and the attributes of each class."""

from __future__ import annotations

from uuid import UUID

import pytest

from tenaudit.audit import AuditEvent
from tenaudit.audit.mappers import to_ocsf

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def event(**changes):
    base = {
        "event_id": UUID("0190a5b2-7c00-7000-8000-000000000001"),
        "tenant_id": UUID(TENANT),
        "occurred_at": "2024-07-12T00:00:00.000999Z",
        "action": "payment.voided",
        "service": "payment",
    }
    return AuditEvent(**{**base, **changes})


def mapped(**changes):
    return to_ocsf(event(**changes))


def test_every_attribute_of_a_full_api_activity():
    made = mapped(
        actor_id="u-1",
        actor_type="user",
        resource_type="payment",
        resource_id="p-1",
        outcome="denied",
        severity="security",
        trace_id=TRACE,
        payload={"client_ip": "192.0.2.1"},
        redactions=("payload.card:masked",),
        producer_id="pay-1",
        seq=0,
    )
    assert made == {
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": 6003,
        "class_name": "API Activity",
        "activity_id": 3,
        "activity_name": "Update",
        "type_uid": 600303,
        "type_name": "API Activity: Update",
        "time": 1_720_742_400_000,
        "severity_id": 4,
        "severity": "High",
        "status_id": 2,
        "status": "Failure",
        "status_code": "denied",
        "metadata": {
            "version": "1.3.0",
            "product": {"name": "tenaudit", "vendor_name": "tenaudit"},
            "uid": "0190a5b2-7c00-7000-8000-000000000001",
            "tenant_uid": TENANT,
            "event_code": "payment.voided",
            "log_name": "audit",
            "log_provider": "payment",
            "original_time": "2024-07-12T00:00:00.000999Z",
            "correlation_uid": TRACE,
            "sequence": 0,
        },
        "actor": {"user": {"uid": "u-1", "type_id": 1, "type": "User"}},
        "api": {"operation": "payment.voided", "service": {"name": "payment"}},
        "src_endpoint": {"ip": "192.0.2.1"},
        "resources": [{"uid": "p-1", "type": "payment"}],
        "unmapped": {
            "schema_version": 1,
            "payload": {"client_ip": "192.0.2.1"},
            "redactions": ["payload.card:masked"],
            "producer_id": "pay-1",
        },
    }


@pytest.mark.parametrize(
    ("changes", "class_uid", "activity"),
    [
        ({"action": "payment.created"}, 6003, (1, "Create")),
        ({"action": "payment.viewed"}, 6003, (2, "Read")),
        ({"action": "payment.removed"}, 6003, (4, "Delete")),
        ({"action": "payment.renamed"}, 6003, (3, "Update")),
        ({"action": "payment.settled"}, 6003, (99, "settled")),
        ({"action": "capability_denied"}, 6003, (99, "capability_denied")),
        ({"action": "user.login"}, 3002, (1, "Logon")),
        ({"action": "user.logout"}, 3002, (2, "Logoff")),
        ({"action": "user.created", "resource_id": "u-2"}, 3004, (1, "Create")),
        ({"action": "user.created"}, 6003, (1, "Create")),
        ({"action": "user.seen", "resource_id": "u-2"}, 6003, (99, "seen")),
        ({"action": "user.transferred", "resource_id": "u-2"}, 3004, (5, "Move")),
        ({"action": "user.enabled", "resource_id": "u-2"}, 3004, (8, "Enable")),
        ({"action": "tenant.suspended", "resource_id": "t"}, 3004, (12, "Suspend")),
    ],
)
def test_class_and_activity_come_from_the_words_of_the_action(changes, class_uid, activity):
    made = mapped(**changes)
    assert (made["class_uid"], made["activity_id"], made["activity_name"]) == (class_uid, *activity)
    assert made["type_uid"] == class_uid * 100 + activity[0]
    assert made["category_uid"] == class_uid // 1000
    assert made["type_name"].endswith(": Other") is (activity[0] == 99)


@pytest.mark.parametrize(
    ("actor", "user"),
    [
        (("u-1", "user"), {"uid": "u-1", "type_id": 1, "type": "User"}),
        (("cron", "system"), {"uid": "cron", "type_id": 3, "type": "System"}),
        (("ci", "service"), {"uid": "ci", "type_id": 99, "type": "service"}),
        ((None, "anonymous"), {"name": "anonymous", "type_id": 99, "type": "anonymous"}),
        (("", ""), {"name": "anonymous", "type_id": 99, "type": ""}),
    ],
)
def test_a_user_has_an_id_or_a_name(actor, user):
    assert mapped(actor_id=actor[0], actor_type=actor[1])["actor"] == {"user": user}


def test_signing_in_is_of_a_user_at_a_service():
    made = mapped(action="user.login", actor_id="u-1", actor_type="user", payload={"client_ip": "192.0.2.1"})
    assert made["user"] == made["actor"]["user"] == {"uid": "u-1", "type_id": 1, "type": "User"}
    assert (made["service"], made["src_endpoint"]) == ({"name": "payment"}, {"ip": "192.0.2.1"})
    assert "api" not in made
    assert "src_endpoint" not in mapped(action="user.login")


@pytest.mark.parametrize(
    ("kind", "entity"),
    [
        ("user", {"uid": "x", "type_id": 2, "type": "User", "user": {"uid": "x"}}),
        ("AWS::IAM::Group", {"uid": "x", "type_id": 3, "type": "Group", "group": {"uid": "x"}}),
        ("organization", {"uid": "x", "type_id": 4, "type": "Organization", "org": {"uid": "x"}}),
        ("managed_policy", {"uid": "x", "type_id": 5, "type": "Policy", "policy": {"uid": "x"}}),
        ("role", {"uid": "x", "type_id": 99, "type": "role"}),
        (None, {"uid": "x", "type_id": 99, "type": "unknown"}),
    ],
)
def test_an_entity_is_told_by_its_type(kind, entity):
    made = mapped(action="iam.update", resource_type=kind, resource_id="x")
    assert made["entity"] == entity
    assert made["unmapped"].get("resource_type") == kind
    assert "resources" not in made


def test_an_activity_without_address_comes_from_its_service():
    made = mapped(resource_type="payment")
    assert made["src_endpoint"] == {"svc_name": "payment"}
    assert made["unmapped"]["resource_type"] == "payment"
    assert "resources" not in made


def test_times_before_1970_are_negative():
    assert mapped(occurred_at="1969-12-31T23:59:59.999Z")["time"] == -1


@pytest.mark.parametrize(("severity", "number"), [("info", 1), ("warn", 2), ("error", 3), ("security", 4)])
def test_every_severity_has_its_number(severity, number):
    assert mapped(severity=severity)["severity_id"] == number


@pytest.mark.parametrize(("outcome", "number"), [("success", 1), ("denied", 2), ("failure", 2)])
def test_every_outcome_has_its_status(outcome, number):
    made = mapped(outcome=outcome)
    assert (made["status_id"], made["status_code"]) == (number, outcome)
