"""Hostile files of every format: a report and never an exception, the same events each time, and round trips."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit import AppendResult, AuditEvent
from tenaudit.audit.importers import FORMATS, BrokenFile, Loader, Passed, Refused, documents, storable
from tenaudit.audit.integrity import canonical_json
from tenaudit.audit.mappers import to_cloudevents, to_ecs, to_ocsf
from tenaudit.testing.clock import ManualClock

TENANT = UUID(int=7, version=4)
NEW = [name for name in FORMATS if name != "cloudtrail"]
ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | ANY_TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4), max_leaves=20
)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2026, 1, 1)).map(lambda moment: f"{moment.isoformat()}Z")  # noqa: DTZ001 - hypothesis wants it naive
GOOD = {
    "kubernetes": {
        "kind": st.just("Event"),
        "apiVersion": st.just("audit.k8s.io/v1"),
        "auditID": st.uuids().map(str),
        "stage": st.sampled_from(["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]),
        "verb": st.sampled_from(["get", "create"]),
        "requestURI": st.just("/healthz"),
        "user": st.fixed_dictionaries({"username": ANY_TEXT}),
        "objectRef": st.fixed_dictionaries({"resource": st.just("pods"), "name": ANY_TEXT, "namespace": ANY_TEXT}),
        "responseStatus": st.fixed_dictionaries({"code": st.integers(0, 600)}),
        "requestReceivedTimestamp": TIMES,
    },
    "github": {
        "_document_id": st.uuids().map(str),
        "action": st.sampled_from(["repo.create", "user.failed_login"]),
        "@timestamp": st.integers(0, 10**13),
        "actor": ANY_TEXT,
        "org": st.just("octo-org"),
        "repo": ANY_TEXT,
        "status_code": st.integers(0, 600),
    },
    "cloudevents": {
        "specversion": st.just("1.0"),
        "id": ANY_TEXT,
        "source": st.just("/shop") | ANY_TEXT,
        "type": st.just("com.example.OrderPlaced"),
        "time": TIMES,
        "subject": ANY_TEXT,
        "authid": ANY_TEXT,
        "traceparent": ANY_TEXT,
        "severitytext": st.sampled_from(["INFO", "LOUD"]),
        "data": JSON,
    },
    "ndjson": {
        "event_id": st.just("0190a5b2-7c00-7000-8000-000000000001"),
        "tenant_id": st.just(str(TENANT)),
        "occurred_at": st.just("2024-07-12T00:00:00Z"),
        "action": st.just("payment.voided"),
        "service": st.just("payment"),
        "actor_id": ANY_TEXT,
        "seq": st.integers(0, 2**54),
        "redactions": st.lists(ANY_TEXT, max_size=2),
        "payload": st.dictionaries(ANY_TEXT, JSON, max_size=3),
    },
}
NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)


def _stored(payload):
    try:
        return storable(payload)[0]
    except Refused:
        return {}


EVENTS = st.builds(
    AuditEvent,
    event_id=st.just("0190a5b2-7c00-7000-8000-000000000001"),
    tenant_id=st.uuids(),
    occurred_at=st.datetimes(datetime(2024, 7, 12), datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants it naive
    actor_id=st.none() | NAMES,
    actor_type=NAMES,
    action=st.sampled_from(["payment.voided", "user.login", "iam.create_user", "capability_denied"]),
    resource_type=st.none() | NAMES,
    resource_id=st.none() | NAMES,
    outcome=st.sampled_from(["success", "denied", "failure"]),
    severity=st.sampled_from(["info", "warn", "error", "security"]),
    service=NAMES.filter(bool),
    trace_id=st.none() | st.just("0af7651916cd43dd8448eb211c80319c"),
    schema_version=st.integers(1, 2**31 - 1),
    payload=st.dictionaries(ANY_TEXT, JSON, max_size=4).map(_stored),
    redactions=st.lists(NAMES, max_size=3),
    producer_id=st.none() | NAMES,
    seq=st.none() | st.integers(0, 2**53 - 1),
)


def records(name):
    good = GOOD[name]
    spoilt = {field: strategy | JSON for field, strategy in good.items()}
    return (
        st.fixed_dictionaries(good)
        | st.fixed_dictionaries(spoilt, optional={"more": JSON})
        | st.fixed_dictionaries({}, optional=spoilt)
        | JSON
    )


class CountingStore:
    """A store that keeps events by their identity and counts."""

    def __init__(self):
        self.events = {}

    async def append(self, events):
        new = {(one.tenant_id, one.event_id): one for one in events if (one.tenant_id, one.event_id) not in self.events}
        self.events.update(new)
        return AppendResult(len(new), len(events) - len(new), 0, 0)

    async def seal(self, tenant_id=None):
        return ()


def load(name, text, store, tenant_id=TENANT):
    async def run():
        loader = Loader(store, FORMATS[name], tenant_id=tenant_id, clock=ManualClock(4_000_000_000), batch=3)
        await loader.load("file", text)
        return await loader.finish()

    return asyncio.run(run())


def outcome_of(name, record):
    try:
        return FORMATS[name].event(record, TENANT).record()
    except (Refused, Passed) as refusal:
        return refusal.reason


@pytest.mark.parametrize("name", NEW)
@given(st.data())
def test_a_record_is_refused_or_becomes_an_event_that_can_be_stored_and_read_back(name, data):
    record = data.draw(records(name))
    made = outcome_of(name, record)
    assert repr(outcome_of(name, copy.deepcopy(record))) == repr(made)
    if isinstance(made, dict):
        canonical_json(made)
        event = AuditEvent(**made)
        assert event.record() == made
        for mapper in (to_cloudevents, to_ecs, to_ocsf):
            json.dumps(mapper(event), allow_nan=False).encode()


@pytest.mark.parametrize("name", NEW)
@given(st.data())
def test_a_good_record_is_never_refused_for_its_fields(name, data):
    record = data.draw(st.fixed_dictionaries(GOOD[name]))
    made = outcome_of(name, record)
    assert isinstance(made, dict) or made in {
        "event_too_large",
        "invalid_text",
        "payload_not_json",
        "missing_field",
        "invalid_event",
        "request_received",
        "response_started",
    }


@pytest.mark.parametrize("name", NEW)
@given(st.data())
def test_a_file_of_anything_is_a_report_that_adds_up_and_loading_again_stores_nothing(name, data):
    listed = data.draw(st.lists(records(name), max_size=6))
    lines = [json.dumps(one) for one in listed]
    for place in data.draw(st.lists(st.integers(0, 5), max_size=2)):
        lines.insert(place, data.draw(st.sampled_from(["", "{", '"cut":1}', "[]", "nul", " {} {}", "\ufeff"])))
    text = "\n".join(lines)
    store = CountingStore()
    first, again = load(name, text, store), load(name, text, store)
    for report in (first, again):
        refused = sum(report.refused.values()) - sum(one.record is None for one in report.problems)
        assert report.read == report.stored + report.duplicates + refused + sum(report.passed.values())
    assert (again.stored, again.read, again.refused) == (0, first.read, first.refused)


@pytest.mark.parametrize("name", NEW)
@given(st.data())
def test_lines_in_pieces_are_the_same_report_as_at_once(name, data):
    lines = [json.dumps(one) for one in data.draw(st.lists(records(name), max_size=6))]
    lines += data.draw(st.lists(st.sampled_from(["", "{", '"cut":1}', "[]", " {} {}"]), max_size=3))
    lines = data.draw(st.permutations(lines))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=3)))
    pieces = [
        "".join(f"{one}\n" for one in lines[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True)
    ]
    stores = CountingStore(), CountingStore()

    async def run(store, given):
        loader = Loader(store, FORMATS[name], tenant_id=TENANT, clock=ManualClock(4_000_000_000), batch=2)
        await loader.load_lines("file", given)
        return (await loader.finish()).to_json()

    assert asyncio.run(run(stores[0], pieces)) == asyncio.run(run(stores[1], ["".join(pieces)]))
    assert stores[0].events == stores[1].events


@pytest.mark.parametrize("name", NEW)
@given(st.text(alphabet='{}[]",:a 0\\\n', max_size=60))
def test_a_text_is_read_or_refused(name, text):
    report = load(name, text, CountingStore())
    assert report.files == 1


@given(st.lists(JSON, max_size=5), st.sampled_from([None, 1]))
def test_the_records_of_an_array_are_those_that_json_reads(listed, indent):
    text = json.dumps(listed, indent=indent)
    assert repr([found.value for found in documents(text)]) == repr(json.loads(text))


@given(st.lists(st.dictionaries(ANY_TEXT, JSON, max_size=3), max_size=5))
def test_the_records_of_lines_are_those_that_json_reads(listed):
    text = "".join(f"{json.dumps(one)}\n" for one in listed)
    found = list(documents(text))
    assert repr([one.value for one in found]) == repr([json.loads(line) for line in text.splitlines()])
    assert [one.line for one in found] == list(range(1, len(listed) + 1))


@given(st.lists(st.dictionaries(ANY_TEXT, JSON, min_size=1, max_size=3), min_size=1, max_size=4), st.data())
def test_an_array_that_was_cut_anywhere_is_refused_whole(listed, data):
    text = json.dumps(listed)
    with pytest.raises(BrokenFile, match="invalid_json"):
        documents(text[: data.draw(st.integers(1, len(text) - 1))])


@given(EVENTS)
def test_cloudevents_and_the_wire_form_give_the_same_event_back(event):
    for name, made in (("cloudevents", to_cloudevents(event)), ("ndjson", event.record())):
        assert FORMATS[name].event(json.loads(json.dumps(made))) == event


@given(st.lists(EVENTS, max_size=4))
def test_an_export_is_the_same_events_again(events):
    text = "".join(f"{json.dumps(event.record())}\n" for event in events)
    store = CountingStore()
    report = load("ndjson", text, store, tenant_id=None)
    assert report.complete
    first = {}
    for event in events:
        first.setdefault((event.tenant_id, event.event_id), event)
    assert store.events == first


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize(
    "piece", ["[", "[\n", '{"a":\n', "{\n", "\n", '"\n', "{}\n", '{"items":[]}\n', "[]\n", "[1,\n"]
)
def test_reading_is_linear_in_the_length_of_the_text(name, piece):
    def seconds(times):
        text = piece * times
        began = time.process_time()
        try:
            for _ in FORMATS[name].records(text):
                pass
        except BrokenFile:
            pass
        return time.process_time() - began

    # Sixteen times the text: a quadratic reader would take 256 times as long, and minutes.
    small, large = min(seconds(5_000) for _ in range(3)), seconds(80_000)
    assert large < 0.2 + 64 * small
