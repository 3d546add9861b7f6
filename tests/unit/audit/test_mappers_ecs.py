"""Events as documents of the Elastic Common Schema: fields, categories, and the words of actions."""

from __future__ import annotations

from uuid import UUID

import pytest

from tenaudit.audit import AuditEvent
from tenaudit.audit.mappers import to_ecs
from tenaudit.audit.mappers.source_ip import source_ip
from tenaudit.audit.mappers.verbs import VERBS, verb_of

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


def test_every_field_of_a_full_event():
    made = to_ecs(
        event(
            actor_id="u-1",
            actor_type="user",
            resource_type="payment",
            resource_id="p-1",
            outcome="denied",
            severity="security",
            trace_id=TRACE,
            payload={"client_ip": "192.0.2.1", "empty": {}},
            redactions=("payload.card:masked",),
            producer_id="pay-1",
            seq=0,
        )
    )
    assert made == {
        "@timestamp": "2024-07-12T00:00:00.000123Z",
        "ecs": {"version": "8.17.0"},
        "event": {
            "kind": "event",
            "id": "0190a5b2-7c00-7000-8000-000000000001",
            "action": "payment.voided",
            "category": ["api"],
            "type": ["change", "denied"],
            "outcome": "failure",
            "severity": 4,
            "sequence": 0,
            "module": "tenaudit",
            "dataset": "tenaudit.audit",
        },
        "user": {"id": "u-1"},
        "organization": {"id": TENANT},
        "service": {"name": "payment"},
        "source": {"ip": "192.0.2.1"},
        "trace": {"id": TRACE},
        "tenaudit": {
            "actor_type": "user",
            "resource": {"type": "payment", "id": "p-1"},
            "outcome": "denied",
            "severity": "security",
            "schema_version": 1,
            "payload": {"client_ip": "192.0.2.1", "empty": {}},
            "redactions": ["payload.card:masked"],
            "producer_id": "pay-1",
        },
    }


def test_a_field_without_a_value_is_left_out():
    made = to_ecs(event(payload={"a": None}))
    assert set(made) == {"@timestamp", "ecs", "event", "organization", "service", "tenaudit"}
    assert "sequence" not in made["event"]
    assert made["tenaudit"] == {
        "actor_type": "anonymous",
        "outcome": "success",
        "severity": "info",
        "schema_version": 1,
        "payload": {"a": None},
        "redactions": [],
    }


@pytest.mark.parametrize(
    ("action", "outcome", "category", "types"),
    [
        ("payment.created", "success", "api", ["creation"]),
        ("payment.viewed", "denied", "api", ["access", "denied"]),
        ("capability_denied", "denied", "api", ["info", "denied"]),
        ("user.login", "failure", "authentication", ["start"]),
        ("console.logout", "denied", "authentication", ["end"]),
        ("iam.create_user", "success", "iam", ["creation", "user"]),
        ("iam.add_user_to_group", "denied", "iam", ["creation", "group", "user"]),
        ("iam.list_policies", "success", "iam", ["info", "admin"]),
        ("role.granted", "success", "iam", ["change", "admin"]),
    ],
)
def test_category_and_type_come_from_the_words_of_the_action(action, outcome, category, types):
    made = to_ecs(event(action=action, outcome=outcome))["event"]
    assert (made["category"], made["type"]) == ([category], types)


@pytest.mark.parametrize(
    ("action", "verb"),
    [
        ("iam.delete_login_profile", "delete"),
        ("ec2.batch_get_images", "read"),
        ("pods.deletecollection", "delete"),
        ("user.password_reset", "update"),
        ("create.summary", "other"),
        ("a__.", "other"),
        ("order.suspended", "suspend"),
    ],
)
def test_the_verb_is_the_first_known_word_of_the_last_segment(action, verb):
    assert verb_of(action) == verb


def test_no_word_tells_two_verbs():
    words = [word for listed in VERBS.values() for word in listed.split()]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("payload", "address"),
    [
        ({"client_ip": "192.0.2.1"}, "192.0.2.1"),
        ({"sourceIPAddress": "ec2.amazonaws.com", "actor_ip": "2001:DB8::1"}, "2001:db8::1"),
        ({"sourceIPs": ["10.0.0.1", "192.0.2.1"]}, "10.0.0.1"),
        ({"sourceIPs": [], "client_ip": 7}, None),
        ({"client_ip": "fe80::1%eth0"}, None),
        ({"client_ip": "1" * 100}, None),
        ({}, None),
    ],
)
def test_the_address_is_the_first_that_is_one(payload, address):
    assert source_ip(payload) == address
