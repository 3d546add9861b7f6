"""Kubernetes audit events: names, actors, outcome, stages, forms of files, and what is refused and why."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from tenaudit.audit.importers import FORMATS, BrokenFile, Passed, Refused

KUBERNETES = FORMATS["kubernetes"]
SAMPLE = Path(__file__).parents[2] / "data" / "kubernetes" / "audit.ndjson"
TENANT = UUID(int=7, version=4)
# 2024-07-12T08:00:00.123Z
MOMENT_MS = 1_720_771_200_123


def record(**changes):
    base = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "a-1",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/pods/web?x=1",
        "verb": "delete",
        "user": {"username": "alice", "groups": ["system:authenticated"]},
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "web", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2024-07-12T08:00:00.123456Z",
        "stageTimestamp": "2024-07-12T08:00:01.000000Z",
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def event(**changes):
    return KUBERNETES.event(record(**changes), TENANT)


def values(text):
    return [(found.value, found.line) for found in KUBERNETES.records(text)]


def test_every_field_of_a_plain_record():
    made = event()
    assert made.payload == record()
    assert made.event_id.int >> 80 == MOMENT_MS
    assert made.record() | {"payload": None, "event_id": None} == {
        "event_id": None,
        "tenant_id": str(TENANT),
        "occurred_at": "2024-07-12T08:00:00.123456Z",
        "actor_id": "alice",
        "actor_type": "user",
        "action": "pods.delete",
        "resource_type": "pods",
        "resource_id": "shop/web",
        "outcome": "success",
        "severity": "info",
        "service": "kubernetes",
        "trace_id": None,
        "schema_version": 1,
        "payload": None,
        "redactions": [],
        "producer_id": None,
        "seq": None,
    }


def test_the_id_is_of_the_request_and_its_stage():
    ids = {
        event().event_id,
        event(auditID="a-2").event_id,
        event(stage="Panic").event_id,
        event(requestReceivedTimestamp="2024-07-12T08:00:00.124Z").event_id,
    }
    assert len(ids) == 4
    assert event(level="Request", user={}).event_id == event().event_id


def test_the_time_of_the_stage_stands_in_for_that_of_the_request():
    assert event(requestReceivedTimestamp=...).record()["occurred_at"] == "2024-07-12T08:00:01.000000Z"
    assert event(requestReceivedTimestamp=None).record()["occurred_at"] == "2024-07-12T08:00:01.000000Z"


@pytest.mark.parametrize(
    ("reference", "verb", "action", "resource"),
    [
        ({"resource": "pods", "name": "web"}, "get", "pods.get", ("pods", "web")),
        ({"resource": "pods", "namespace": "shop"}, "list", "pods.list", ("pods", None)),
        (
            {"apiGroup": "apps", "resource": "deployments", "subresource": "scale", "namespace": "a", "name": "b"},
            "patch",
            "deployments.scale.patch",
            ("apps/deployments/scale", "a/b"),
        ),
        ({"resource": "x" * 129}, "get", "url.get", ("url", "/api/v1/namespaces/shop/pods/web")),
        ({"resource": "pods", "namespace": "n" * 600, "name": "m" * 600}, "get", "pods.get", ("pods", None)),
        ("pods", "get", "url.get", ("url", "/api/v1/namespaces/shop/pods/web")),
    ],
)
def test_action_and_resource_come_from_the_reference(reference, verb, action, resource):
    made = event(objectRef=reference, verb=verb)
    assert made.action == action
    assert (made.resource_type, made.resource_id) == resource


def test_a_request_without_object_names_its_path():
    made = event(objectRef=..., verb="get", requestURI="/healthz?verbose")
    assert (made.action, made.resource_type, made.resource_id) == ("url.get", "url", "/healthz")
    made = event(objectRef=..., verb="get", requestURI=7)
    assert (made.resource_type, made.resource_id) == (None, None)


@pytest.mark.parametrize(
    ("user", "actor"),
    [
        ({"username": "alice"}, ("alice", "user")),
        ({"username": "system:serviceaccount:shop:ci"}, ("system:serviceaccount:shop:ci", "service")),
        ({"username": "system:node:n1"}, ("system:node:n1", "service")),
        ({"username": "system:kube-scheduler"}, ("system:kube-scheduler", "system")),
        ({"username": "system:anonymous"}, (None, "anonymous")),
        ({"username": 7}, (None, "anonymous")),
        ({}, (None, "anonymous")),
        (None, (None, "anonymous")),
    ],
)
def test_the_actor_is_the_user(user, actor):
    made = event(user=user)
    assert (made.actor_id, made.actor_type) == actor


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, ("success", "info")),
        ({"responseStatus": ...}, ("success", "info")),
        ({"responseStatus": {"code": "403"}}, ("success", "info")),
        ({"responseStatus": {"code": 101}}, ("success", "info")),
        ({"responseStatus": {"code": 401}}, ("denied", "security")),
        ({"responseStatus": {"code": 403}}, ("denied", "security")),
        ({"responseStatus": {"code": 404}}, ("failure", "warn")),
        ({"responseStatus": {"code": 500}}, ("failure", "error")),
        ({"stage": "Panic", "responseStatus": ...}, ("failure", "error")),
    ],
)
def test_the_outcome_comes_from_the_response(changes, result):
    made = event(**changes)
    assert (made.outcome, made.severity) == result


@pytest.mark.parametrize(
    ("stage", "reason"), [("RequestReceived", "request_received"), ("ResponseStarted", "response_started")]
)
def test_earlier_stages_are_passed_over(stage, reason):
    with pytest.raises(Passed) as caught:
        event(stage=stage)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "Pod"}, "not_an_audit_event"),
        ({"apiVersion": "audit.k8s.io/v1beta1"}, "not_an_audit_event"),
        ({"stage": "Later"}, "unknown_stage"),
        ({"stage": ...}, "missing_field"),
        ({"auditID": ...}, "missing_field"),
        ({"verb": 7}, "missing_field"),
        ({"requestReceivedTimestamp": "soon"}, "invalid_time"),
        ({"requestReceivedTimestamp": ..., "stageTimestamp": ...}, "invalid_time"),
        ({"verb": "---", "objectRef": {"resource": "9s"}}, "invalid_action"),
        ({"requestObject": {"data": "x" * 70_000}}, "event_too_large"),
    ],
)
def test_what_cannot_be_an_event_is_refused_with_its_reason(changes, reason):
    with pytest.raises(Refused) as caught:
        event(**changes)
    assert caught.value.reason == reason


def test_a_tenant_must_be_given():
    assert KUBERNETES.needs_tenant
    with pytest.raises(Refused, match="missing_tenant"):
        KUBERNETES.event(record())


@pytest.mark.parametrize("given", [None, 7, "text", [record()]])
def test_a_record_is_an_object(given):
    with pytest.raises(Refused, match="not_an_object"):
        KUBERNETES.event(given, TENANT)


def test_long_integers_become_text_and_are_tagged():
    made = event(requestObject={"generation": 2**63})
    assert made.payload["requestObject"] == {"generation": str(2**63)}
    assert made.redactions == ("payload.requestObject.generation:stringified",)


def test_the_items_of_lists_are_read_one_by_one():
    item = {name: value for name, value in record().items() if name not in {"kind", "apiVersion"}}
    listed = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [item, item]}
    assert values(json.dumps(listed, indent=2)) == [(item, None)] * 2
    assert KUBERNETES.event(item, TENANT).event_id == event().event_id
    lines = f"{json.dumps(listed)}\n\n{json.dumps(record())}\n"
    assert values(lines) == [(item, 1), (item, 1), (record(), 3)]
    assert values(json.dumps(record(), indent=1)) == [(record(), None)]


def test_a_file_that_is_no_json_is_refused():
    with pytest.raises(BrokenFile, match="invalid_json"):
        KUBERNETES.records("no\njson")


def test_the_sample_is_read_whole():
    found = list(KUBERNETES.records(SAMPLE.read_text()))
    made, passed = [], []
    for each in found:
        try:
            made.append(KUBERNETES.event(each.value, TENANT))
        except Passed as over:
            passed.append(over.reason)
    assert passed == ["request_received", "response_started"]
    assert [(one.action, one.actor_type, one.outcome) for one in made] == [
        ("pods.create", "user", "success"),
        ("secrets.delete", "service", "denied"),
        ("deployments.watch", "system", "success"),
        ("pods.exec.create", "user", "success"),
        ("deployments.scale.patch", "user", "failure"),
        ("url.get", "anonymous", "success"),
    ]
