"""Our own wire form back as the same events, what is not ours, and how texts fall into records."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import pytest

from tenaudit.audit import AppendResult, AuditEvent, SinkRejected
from tenaudit.audit.importers import FORMATS, BrokenFile, Loader, Refused, documents
from tenaudit.audit.importers.fields import event_of

NDJSON = FORMATS["ndjson"]
EVENT = AuditEvent(
    event_id=UUID("0190a5b2-7c00-7000-8000-000000000001"),
    tenant_id=UUID("7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"),
    occurred_at="2024-07-12T00:00:00.000123Z",
    actor_id="u-1",
    actor_type="user",
    action="payment.voided",
    resource_type="payment",
    resource_id="p-1",
    outcome="failure",
    severity="warn",
    service="payment",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    schema_version=2,
    payload={"amount": 1999, "deep": [{"é": None}]},
    redactions=["payload.card:masked"],
    producer_id="pay-1",
    seq=7,
)


def record(**changes):
    return {name: value for name, value in {**EVENT.record(), **changes}.items() if value is not ...}


def reason(given, tenant_id=None):
    with pytest.raises(Refused) as caught:
        NDJSON.event(given, tenant_id)
    return caught.value.reason


def values(text):
    return [(found.value, found.line) for found in documents(text)]


def test_the_wire_form_is_read_back_as_the_same_event():
    assert NDJSON.event(json.loads(json.dumps(EVENT.record()))) == EVENT
    least = {name: EVENT.record()[name] for name in ("event_id", "tenant_id", "occurred_at", "action", "service")}
    assert NDJSON.event(least).record() | least == NDJSON.event(least).record()


def test_the_time_may_have_any_zone():
    assert NDJSON.event(record(occurred_at="2024-07-12t02:00:00.000123+02:00")) == EVENT


def test_only_the_tenant_that_is_named_is_taken():
    assert NDJSON.event(record(), EVENT.tenant_id) == EVENT
    assert reason(record(), UUID(int=7)) == "other_tenant"


@pytest.mark.parametrize(
    ("sign", "format_name"),
    [
        ("Records", "cloudtrail"),
        ("eventID", "cloudtrail"),
        ("auditID", "kubernetes"),
        ("_document_id", "github"),
        ("specversion", "cloudevents"),
    ],
)
def test_a_record_of_another_format_is_named(sign, format_name):
    with pytest.raises(Refused, match=f"other_format: .* --format {format_name}"):
        NDJSON.event({sign: "x"})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"more": 1}, "unknown_field"),
        ({"event_id": ...}, "missing_field"),
        ({"tenant_id": None}, "missing_field"),
        ({"service": ""}, "missing_field"),
        ({"action": ["payment.voided"]}, "missing_field"),
        ({"occurred_at": 1_720_742_400}, "missing_field"),
        ({"occurred_at": "1720742400"}, "invalid_time"),
        ({"occurred_at": "2024-07-12T24:00:00Z"}, "invalid_time"),
        ({"occurred_at": "2024-02-30T00:00:00Z"}, "invalid_time"),
        ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "invalid_time"),
        ({"event_id": "0190A5B2-7C00-7000-8000-000000000001"}, "invalid_id"),
        ({"event_id": "{0190a5b2-7c00-7000-8000-000000000001}"}, "invalid_id"),
        ({"event_id": "0190a5b2-7c00-4000-8000-000000000001"}, "invalid_event"),
        ({"event_id": "fff0a5b2-7c00-7000-8000-000000000001"}, "invalid_id"),
        ({"seq": "7"}, "invalid_event"),
        ({"seq": True}, "invalid_event"),
        ({"seq": float("nan")}, "invalid_event"),
        ({"seq": 2**53}, "invalid_event"),
        ({"outcome": "maybe"}, "invalid_event"),
        ({"actor_id": "a\x00"}, "invalid_event"),
        ({"actor_id": "\ud800"}, "invalid_event"),
        ({"redactions": "tag"}, "invalid_event"),
        ({"payload": None}, "not_an_object"),
        ({"payload": {"x": "y" * 70_000}}, "event_too_large"),
    ],
)
def test_what_is_not_ours_is_refused_with_its_reason(changes, why):
    assert reason(record(**changes)) == why


@pytest.mark.parametrize("given", [None, 7, "text", []])
def test_a_record_is_an_object(given):
    assert reason(given) == "not_an_object"


def test_what_no_store_takes_is_changed_and_tagged_beside_the_tags_that_are_there():
    made = NDJSON.event(record(payload={"size": 2**60, "name": "a\x00"}))
    assert made.payload == {"size": str(2**60), "name": "a\ufffd"}
    assert made.redactions == ("payload.card:masked", "payload.name:replaced", "payload.size:stringified")
    tagged = record(payload={"size": 2**60}, redactions=["payload.size:stringified"])
    assert NDJSON.event(tagged).redactions == ("payload.size:stringified",)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" \n\n", []),
        ("[]", []),
        ('[{"a": 1},\n 2]', [({"a": 1}, None), (2, None)]),
        ('{"a": 1}', [({"a": 1}, 1)]),
        ('\n{"a": 1}\r\n\r\n[2]\n', [({"a": 1}, 2), ([2], 4)]),
        ('{"a":\n1}', [({"a": 1}, None)]),
        ('{"a":\n1}\n{"b":\n2}\n', [({"a": 1}, None), ({"b": 2}, None)]),
        ('{"a": "\u2028"}\n7', [({"a": "\u2028"}, 1), (7, 2)]),
    ],
)
def test_a_text_is_an_array_or_lines_or_values(text, found):
    assert values(text) == found


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ('{"a": 1}\n{"b\n{"c": 3}\n', {2: "invalid_json"}),
        ('{"a": 1}\n{} {}\n{"c": 3}', {2: "invalid_json"}),
        ('{"a": 1}\n' + "[" * 100_000 + '\n{"c": 3}', {2: "json_too_deep"}),
        ('"cut": 1}\n{"b": 2}\n', {1: "invalid_json"}),
    ],
)
def test_a_broken_line_is_refused_alone(text, refused):
    found = list(documents(text))
    assert {one.line: one.refusal.reason for one in found if one.refusal} == refused
    assert len(found) > len(refused)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no json", "invalid_json"),
        ("[1", "invalid_json"),
        ("[1] 2", "invalid_json"),
        ('[1]\n{"a": 1}\n', "invalid_json"),
        ('{"a":\n1}\n{"b":', "invalid_json"),
        ("no\njson", "invalid_json"),
        ("no\n7", "invalid_json"),
        ("[" * 100_000, "json_too_deep"),
    ],
)
def test_a_broken_document_is_refused_whole(text, why):
    with pytest.raises(BrokenFile) as caught:
        documents(text)
    assert caught.value.reason == why


def test_fields_that_no_event_takes_are_refused_by_the_first_that_is_wrong():
    with pytest.raises(Refused) as caught:
        event_of(**{**EVENT.model_dump(), "action": "Not Dotted"})
    assert (caught.value.reason, caught.value.detail.partition(":")[0]) == ("invalid_event", "action")


class PickyStore:
    """A store that refuses the events of a service."""

    def __init__(self):
        self.stored = []

    async def append(self, events):
        wrong = [one.event_id for one in events if one.service == "picky"]
        if wrong:
            raise SinkRejected(wrong, "picky")
        self.stored += events
        return AppendResult(len(events), 0, 0, 0)

    async def seal(self, tenant_id=None):
        return ()


def load_lines(name, *pieces, store=None):
    def given():
        for piece in pieces:
            if isinstance(piece, BrokenFile):
                raise piece
            yield piece

    async def run():
        loader = Loader(store or PickyStore(), FORMATS[name])
        await loader.load_lines("log", given())
        return await loader.finish()

    return asyncio.run(run())


def line(number, **changes):
    return json.dumps(record(event_id=f"0190a5b2-7c00-7000-8000-{number:012}", **changes)) + "\n"


def test_lines_that_come_in_pieces_are_numbered_through():
    store = PickyStore()
    report = load_lines(
        "ndjson", line(1) + "\n", "{cut\n" + line(2), line(3, service="picky"), line(4)[:-1], store=store
    )
    assert (report.files, report.read, report.stored) == (1, 5, 3)
    assert [(one.line, one.record, one.reason) for one in report.problems] == [
        (3, 1, "invalid_json"),
        (5, 3, "picky"),
    ]
    assert [one.event_id.int & 0xF for one in store.stored] == [1, 2, 4]


def test_what_came_before_a_fault_of_the_file_is_kept():
    report = load_lines("ndjson", line(1), BrokenFile("broken_gzip", "cut off"), line(2))
    assert (report.files, report.read, report.stored, dict(report.refused)) == (1, 1, 1, {"broken_gzip": 1})
    assert [(one.path, one.record, one.line) for one in report.problems] == [("log", None, None)]


def test_a_format_without_lines_is_not_read_so():
    with pytest.raises(TypeError, match="cloudtrail"):
        load_lines("cloudtrail", "{}")


@pytest.mark.parametrize("name", ["cloudevents", "github", "kubernetes", "ndjson"])
def test_every_format_of_lines_reads_them_from_a_number_on(name):
    found = list(FORMATS[name].lines('{"a": 1}\n\n{"a":\n', 7))
    assert [(one.value, one.line, one.refusal is None) for one in found] == [({"a": 1}, 7, True), (None, 9, False)]


def test_a_batch_holds_at_least_one_event():
    with pytest.raises(ValueError, match="batch must be at least 1"):
        Loader(PickyStore(), FORMATS["ndjson"], batch=0)


def test_the_end_of_an_export_is_passed_over():
    report = load_lines("ndjson", line(1), json.dumps({"tenaudit_export": {"complete": True, "events": 1}}) + "\n")
    assert (report.read, report.stored, dict(report.passed), report.problems) == (2, 1, {"export_end": 1}, ())
