"""What the mappers make is valid by the schemas of the standards, for samples of every format and for any event."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit import AuditEvent
from tenaudit.audit.importers import FORMATS, Passed
from tenaudit.audit.mappers import to_cloudevents, to_ecs, to_ocsf

DATA = Path(__file__).parents[2] / "data"
MAPPERS = {"cloudevents-1.0.2": to_cloudevents, "ecs-8.17": to_ecs, "ocsf-1.3.0": to_ocsf}
TENANT = UUID(int=7, version=4)
SAMPLES = {
    "cloudtrail": sorted((DATA / "cloudtrail").glob("*.json")),
    "kubernetes": [DATA / "kubernetes" / "audit.ndjson"],
    "github": [DATA / "github" / "audit.json"],
}
NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
WORDS = st.sampled_from(
    [
        "user",
        "payment",
        "iam",
        "login",
        "logout",
        "create",
        "view",
        "update",
        "remove",
        "rename",
        "enable",
        "suspend",
        "settled",
    ]
)
EVENTS = st.builds(
    AuditEvent,
    event_id=st.just("0190a5b2-7c00-7000-8000-000000000001"),
    tenant_id=st.uuids(),
    occurred_at=st.datetimes(timezones=st.just(UTC)),
    actor_id=st.none() | NAMES,
    actor_type=st.sampled_from(["user", "service", "system", "anonymous"]) | NAMES,
    action=st.lists(WORDS, min_size=1, max_size=4).map(".".join),
    resource_type=st.none() | st.sampled_from(["user", "policy"]) | NAMES,
    resource_id=st.none() | NAMES,
    outcome=st.sampled_from(["success", "denied", "failure"]),
    severity=st.sampled_from(["info", "warn", "error", "security"]),
    service=NAMES.filter(bool),
    trace_id=st.none() | st.just("0af7651916cd43dd8448eb211c80319c"),
    payload=st.dictionaries(
        st.sampled_from(["client_ip", "a"]), st.ip_addresses().map(str) | NAMES | st.lists(NAMES), max_size=2
    ),
    redactions=st.lists(NAMES, max_size=2),
    producer_id=st.none() | NAMES,
    seq=st.none() | st.integers(0, 2**53 - 1),
)


def validator(name):
    schema = json.loads((DATA / "schemas" / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


VALIDATORS = {name: validator(name) for name in MAPPERS}


def check(event):
    for name, mapper in MAPPERS.items():
        made = mapper(event)
        assert json.loads(json.dumps(made, allow_nan=False)) == made
        VALIDATORS[name].validate(made)


def events_of(name):
    importer = FORMATS[name]
    for path in SAMPLES[name]:
        for found in importer.records(path.read_text()):
            try:
                yield importer.event(found.value, TENANT)
            except Passed:
                continue


@pytest.mark.parametrize(("name", "events"), [("cloudtrail", 49), ("kubernetes", 6), ("github", 4)])
def test_every_record_of_the_samples_maps_to_valid_events(name, events):
    made = list(events_of(name))
    assert len(made) == events
    for event in made:
        check(event)


@given(EVENTS)
def test_any_event_maps_to_valid_events(event):
    check(event)


@pytest.mark.parametrize("name", MAPPERS)
def test_a_schema_refuses_what_it_does_not_know(name):
    made = MAPPERS[name](next(events_of("github")))
    for broken in ({**made, "surprise": 1}, dict(list(made.items())[1:])):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATORS[name].validate(broken)
