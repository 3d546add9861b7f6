"""GitHub audit log entries: names, tenant, actors, outcome, and what is refused and why."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import NAMESPACE_DNS, UUID, uuid5

import pytest

from tenaudit.audit.importers import FORMATS, ORGANIZATION_NAMESPACE, Refused, tenant_of_organization

GITHUB = FORMATS["github"]
SAMPLE = Path(__file__).parents[2] / "data" / "github" / "audit.json"
MOMENT_MS = 1_720_771_200_250


def record(**changes):
    base = {
        "@timestamp": MOMENT_MS,
        "created_at": MOMENT_MS + 9000,
        "_document_id": "d-1",
        "action": "repo.create",
        "actor": "octocat",
        "actor_id": 1,
        "org": "octo-org",
        "repo": "octo-org/docs",
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def event(**changes):
    return GITHUB.event(record(**changes))


def test_every_field_of_a_plain_record():
    made = event()
    assert made.payload == record()
    assert made.event_id.int >> 80 == MOMENT_MS
    assert made.record() | {"payload": None, "event_id": None} == {
        "event_id": None,
        "tenant_id": str(uuid5(uuid5(NAMESPACE_DNS, "audit-log.github.com"), "octo-org")),
        "occurred_at": "2024-07-12T08:00:00.250000Z",
        "actor_id": "octocat",
        "actor_type": "user",
        "action": "repo.create",
        "resource_type": "repository",
        "resource_id": "octo-org/docs",
        "outcome": "success",
        "severity": "info",
        "service": "github",
        "trace_id": None,
        "schema_version": 1,
        "payload": None,
        "redactions": [],
        "producer_id": None,
        "seq": None,
    }


def test_the_id_is_of_the_document():
    assert event().event_id == event(actor="hubot").event_id != event(_document_id="d-2").event_id


def test_the_time_of_creation_stands_in():
    assert event(**{"@timestamp": ...}).event_id.int >> 80 == MOMENT_MS + 9000
    assert event(**{"@timestamp": None}).event_id.int >> 80 == MOMENT_MS + 9000


def test_the_tenant_is_the_organization_unless_given():
    assert uuid5(NAMESPACE_DNS, "audit-log.github.com") == ORGANIZATION_NAMESPACE
    assert event(org="Octo-Org").tenant_id == event().tenant_id == tenant_of_organization("octo-org")
    assert event(org=..., business="octo-corp").tenant_id == tenant_of_organization("octo-corp")
    assert GITHUB.event(record(org=...), UUID(int=7)).tenant_id == UUID(int=7)
    with pytest.raises(Refused, match="missing_organization"):
        event(org=["octo-org"])


@pytest.mark.parametrize(
    ("changes", "actor"),
    [
        ({}, ("octocat", "user")),
        ({"actor": "dependabot[bot]"}, ("dependabot[bot]", "service")),
        ({"actor_is_bot": True}, ("octocat", "service")),
        ({"actor_is_bot": False}, ("octocat", "user")),
        ({"actor": ...}, ("1", "user")),
        ({"actor": ..., "actor_id": True}, (None, "anonymous")),
        ({"actor": "", "actor_id": None}, (None, "anonymous")),
    ],
)
def test_the_actor_is_named_or_numbered(changes, actor):
    made = event(**changes)
    assert (made.actor_id, made.actor_type) == actor


@pytest.mark.parametrize(
    ("changes", "resource"),
    [
        ({"team": "octo-org/docs-team"}, ("repository", "octo-org/docs")),
        ({"repo": ..., "team": "octo-org/t", "user": "hubot"}, ("team", "octo-org/t")),
        ({"repo": "", "user": "hubot"}, ("user", "hubot")),
        ({"repo": ...}, ("organization", "octo-org")),
        ({"repo": ..., "org": 7, "business": "octo-corp"}, ("enterprise", "octo-corp")),
    ],
)
def test_the_resource_is_the_narrowest(changes, resource):
    made = event(**changes)
    assert (made.resource_type, made.resource_id) == resource


def test_nothing_named_is_no_resource():
    made = GITHUB.event(record(repo=..., org=...), UUID(int=7))
    assert (made.resource_type, made.resource_id) == (None, None)


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, ("success", "info")),
        ({"action": "user.failed_login"}, ("failure", "security")),
        ({"action": "workflows.failed_run"}, ("failure", "warn")),
        ({"action": "api.request", "status_code": 204}, ("success", "info")),
        ({"action": "api.request", "status_code": 401}, ("denied", "security")),
        ({"action": "api.request", "status_code": 403}, ("denied", "security")),
        ({"action": "api.request", "status_code": 422}, ("failure", "warn")),
        ({"action": "api.request", "status_code": "403"}, ("success", "info")),
    ],
)
def test_the_outcome_comes_from_status_and_name(changes, result):
    made = event(**changes)
    assert (made.outcome, made.severity) == result


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"_document_id": ...}, "missing_field"),
        ({"action": ""}, "missing_field"),
        ({"action": "..."}, "invalid_action"),
        ({"@timestamp": "2024-07-12T08:00:00Z"}, "invalid_time"),
        ({"@timestamp": True}, "invalid_time"),
        ({"@timestamp": -1}, "invalid_time"),
        ({"@timestamp": 253_402_300_800_000}, "invalid_time"),
        ({"@timestamp": ..., "created_at": ...}, "invalid_time"),
        ({"data": {"x": "y" * 70_000}}, "event_too_large"),
    ],
)
def test_what_cannot_be_an_event_is_refused_with_its_reason(changes, reason):
    with pytest.raises(Refused) as caught:
        event(**changes)
    assert caught.value.reason == reason


def test_the_last_time_that_fits_is_taken():
    assert event(**{"@timestamp": 253_402_300_799_999}).record()["occurred_at"] == "9999-12-31T23:59:59.999000Z"


def test_a_record_is_an_object():
    with pytest.raises(Refused, match="not_an_object"):
        GITHUB.event([record()])


def test_an_array_and_lines_are_the_same_records():
    entries = json.loads(SAMPLE.read_text())
    lines = "".join(f"{json.dumps(entry)}\n" for entry in entries)
    assert [found.value for found in GITHUB.records(SAMPLE.read_text())] == entries
    assert [(found.value, found.line) for found in GITHUB.records(lines)] == [
        (entry, number) for number, entry in enumerate(entries, 1)
    ]
    assert [GITHUB.event(entry).action for entry in entries] == [
        "repo.create",
        "org.add_member",
        "git.clone",
        "api.request",
    ]
