"""An export that proves itself: what is whole is verified, and everything that is done to it is found and named."""

from __future__ import annotations

import json

import pytest

from tenaudit.audit.export_check import MAX_PROBLEMS, Leniency
from tenaudit.audit.integrity import Checkpoint, CompactRange, leaf_hash
from tenaudit.audit.integrity.canonical import CanonicalError
from tenaudit.audit.integrity.exported_leaf import exported_leaf
from tenaudit.audit.personal import PersonalFields
from tenaudit.audit.proven_export import MAX_LINE_BYTES, ExportFileError, parsed_line
from tenaudit.audit.retention.records import PURGED
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event
from tests.unit.audit.exported_trail import KEY, STRANGER, Trail, changed, checked, kinds

TRAIL = Trail(12, 12)
PERSONAL = PersonalFields(["payload.*"])
IDS = [str(event.event_id) for event in TRAIL.events]


def test_a_whole_export_is_verified():
    report = checked(TRAIL.export())
    assert report.to_json() == {
        "verified": True, "events": 12, "tenants": 1, "problems": [], "problem_count": 0, "proven": 12, "hidden": 0,
        "redacted": 0, "uncovered": 0, "size": 12, "purged": 0, "whole": True,
    }  # fmt: skip


def test_a_part_is_verified_and_says_that_it_is_one():
    lines = [*TRAIL.lines(2, 5, 11), TRAIL.end(3, whole=False)]
    report = checked(lines)
    assert (report.verified, report.proven, report.whole) == (True, 3, False)
    demanding = checked(lines, leniency=Leniency(whole=True))
    assert [one.detail for one in demanding.problems] == [
        "the export has no entries from 0 to 1",
        "the export has no entries from 3 to 4",
        "the export has no entries from 6 to 10",
    ]


def test_an_export_of_nothing_is_a_part():
    report = checked([TRAIL.end(0, whole=False)])
    assert (report.verified, report.events, report.whole) == (True, 0, False)


def test_newest_first_is_an_order_too():
    assert checked([*reversed(TRAIL.lines()), TRAIL.end(12, order="desc")]).verified


OTHERS = changed(TRAIL.line(4), tenant_id=str(OTHER_TENANT))
UNLIKE = an_event(99, payload={"made": "up"})
MADE_UP = UNLIKE.record()


def unlike(place):
    """Return the line of an event with what that of another is."""
    return changed(TRAIL.line(place), **MADE_UP)


def hidden_line(place, trail=TRAIL):
    """Return a line with a hidden field that the leaf has no hash of."""
    return trail.line(place, shown=trail.events[place].model_copy(update={"resource_id": "***"}))


def proof_of(line):
    return json.loads(line)["tenaudit_proof"]


def without_place(lines):
    return changed(lines[3], tenaudit_proof=None)


@pytest.mark.parametrize(
    ("tampered", "found"),
    [
        (lambda lines: [*lines[:5], *lines[6:]], [("missing", None), ("missing", None)]),
        (lambda lines: [*lines[:5], changed(lines[5], actor_id="u-2"), *lines[6:]], [("changed", IDS[5])]),
        (lambda lines: [*lines[:5], changed(lines[5], more=1), *lines[6:]], [("changed", IDS[5])]),
        (
            lambda lines: [*lines[:5], lines[5].replace(b'"number":5', b'"number":1e999'), *lines[6:]],
            [("changed", IDS[5])],
        ),
        (
            lambda lines: [*lines[:5], changed(lines[6], tenaudit_proof=proof_of(lines[5])), *lines[6:]],
            [("changed", IDS[6])],
        ),
        (lambda lines: [lines[1], lines[0], *lines[2:]], [("reordered", IDS[0])]),
        (lambda lines: [*lines[:5], lines[4], *lines[5:]], [("inserted", IDS[4]), ("inserted", None)]),
        (
            lambda lines: [*lines[:12], unlike(3), lines[12]],
            [("inserted", MADE_UP["event_id"]), ("inserted", None)],
        ),
        (
            lambda lines: [*lines[:12], changed(lines[11], **MADE_UP, tenaudit_proof=None), lines[12]],
            [("uncovered", MADE_UP["event_id"]), ("inserted", None)],
        ),
        (lambda lines: [*lines[:4], OTHERS, *lines[5:]], [("inserted", IDS[4]), ("missing", None)]),
        (lambda lines: [*lines[:4], lines[12], *lines[5:]], [("inserted", None), ("missing", None)]),
        (lambda lines: [*lines[:3], without_place(lines), *lines[4:]], [("uncovered", IDS[3]), ("missing", None)]),
        (lambda lines: [*lines[:3], hidden_line(3), *lines[4:]], [("redacted", IDS[3])]),
    ],
)  # fmt: skip
def test_what_is_done_to_the_lines_is_found_and_named(tampered, found):
    report = checked(tampered(TRAIL.export()))
    assert not report.verified
    assert kinds(report) == found


@pytest.mark.parametrize(
    "proof",
    [
        {},
        [],
        "x",
        {"index": -1},
        {"index": True},
        {"index": 2**70},
        {"leaf_hash": "AAAA"},
        {"leaf_hash": 1},
        {"path": "x"},
        {"path": [1]},
        {"path": []},
        {"path": ["é" * 44]},
        {"path": ["A" * 42 + "B="]},
        {"path": ["A" * 43 + "="] * 65},
        {"redacted": 1},
    ],
)
def test_a_proof_of_another_form_proves_nothing(proof):
    lines = TRAIL.export()
    whole = json.loads(lines[3])["tenaudit_proof"]
    lines[3] = changed(lines[3], tenaudit_proof={**whole, **proof} if isinstance(proof, dict) and proof else proof)
    assert kinds(checked(lines)) == [("inserted", IDS[3]), ("missing", None)]


def test_a_hash_has_one_spelling():
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    lines, path = TRAIL.export(), proof_of(TRAIL.line(3))["path"]
    # The last two bits of a hash in base64 mean nothing, and are 0.
    path[0] = path[0][:42] + alphabet[alphabet.index(path[0][42]) + 1] + "="
    lines[3] = changed(lines[3], tenaudit_proof={**proof_of(lines[3]), "path": path})
    assert kinds(checked(lines)) == [("inserted", IDS[3]), ("missing", None)]


@pytest.mark.parametrize(
    "openings",
    [
        {"/actor_id": {"salt": "00"}},
        {"/actor_id": {"salt": "00" * 16}},
        {"/actor_id": {"hash": "00" * 32}},
        {"/actor_id": {"salt": "00" * 32}},
        {"/actor_id": {"salt": "00" * 16, "hash": "00" * 32}},
        {"/actor_id": {"salt": 5}},
        {"/actor_id": "00" * 16},
        {"/nothing": {"salt": "00" * 16}},
        {"": {"salt": "00" * 16}},
    ],
)
def test_openings_that_are_not_those_of_the_event_prove_nothing(openings):
    lines = TRAIL.export()
    lines[3] = changed(lines[3], tenaudit_proof={**proof_of(lines[3]), "openings": openings})
    assert kinds(checked(lines)) == [("changed", IDS[3])]
    with pytest.raises(CanonicalError, match="openings: "):
        exported_leaf({"actor_id": None}, {"/actor_id": {"salt": "00"}})


def test_a_hash_for_a_value_is_no_member_of_the_event():
    trail = Trail(3, 3, personal=PERSONAL)
    hidden = trail.events[1].model_copy(update={"actor_id": "***"})
    line = json.loads(trail.line(1, shown=hidden))
    proof = line.pop("tenaudit_proof")
    place, opening = next(iter(proof["openings"].items()))
    forged = {**line, "commitments": {place: opening["hash"]}, "tenaudit_proof": {**proof, "openings": {}}}
    lines = [trail.line(0), json.dumps(forged).encode() + b"\n", trail.line(2), trail.end(3)]
    assert kinds(checked(lines)) == [("changed", str(trail.events[1].event_id))]


def test_what_is_hidden_and_committed_to_leaves_the_rest_proven():
    events = [an_event(n, payload={"mail": "ada@example.org", "amount": n}) for n in range(3)]
    trail = Trail(3, 3, events=events, personal=PersonalFields(["payload.mail"]))
    whole = checked(trail.export())
    assert (whole.verified, whole.proven, whole.hidden) == (True, 3, 0)
    shown = [
        # Masked, removed with its key, and nothing at all.
        events[0].model_copy(update={"actor_id": "****", "redactions": ("actor_id:mask",)}),
        events[1].model_copy(update={"payload": {"amount": 1}}),
        events[2],
    ]
    lines = [trail.line(n, shown=event) for n, event in enumerate(shown)]
    report = checked([*lines, trail.end(3)])
    assert (report.verified, report.proven, report.hidden, report.redacted) == (True, 3, 2, 0)
    assert b"u-1" not in lines[0]
    assert b"ada" not in lines[1]
    assert trail.openings[0]["/actor_id"].encode() not in lines[0]
    # What stands where only a hash is told is nothing that was proven.
    for forged in ("u-2", {}, 0):
        record = {**json.loads(lines[0]), "actor_id": forged}
        again = [json.dumps(record).encode() + b"\n", *lines[1:], trail.end(3)]
        assert kinds(checked(again)) == [("changed", str(events[0].event_id))]


def test_a_hidden_field_that_is_not_committed_to_is_not_proven_beside_one_that_is():
    trail = Trail(2, 2, personal=PERSONAL)
    shown = trail.events[0].model_copy(update={"actor_id": None, "resource_id": "***"})
    line = trail.line(0, shown=shown)
    report = checked([line, trail.line(1), trail.end(2)])
    assert (report.proven, report.redacted) == (1, 1)
    # Nothing of the salts or hashes, with which values could be tried out.
    assert "openings" not in proof_of(line)


def test_events_behind_the_signed_checkpoint_are_counted_and_not_passed():
    trail = Trail(9, 6)
    report = checked(trail.export())
    assert (report.verified, report.proven, report.uncovered, report.whole) == (False, 6, 3, True)
    assert kinds(report) == [("uncovered", str(event.event_id)) for event in trail.events[6:]]
    lenient = checked(trail.export(), leniency=Leniency(unproven=True))
    assert (lenient.verified, lenient.proven, lenient.uncovered) == (True, 6, 3)


def test_redacted_lines_prove_their_place_and_are_counted():
    lines = TRAIL.export()
    lines[4] = hidden_line(4)
    report = checked(lines)
    assert (report.verified, report.proven, report.redacted, report.whole) == (False, 11, 1, True)
    lenient = checked(lines, leniency=Leniency(unproven=True))
    assert (lenient.verified, lenient.redacted) == (True, 1)
    lines[5] = changed(hidden_line(4), **{**TRAIL.events[5].record(), "actor_id": "***"})
    assert kinds(checked(lines, leniency=Leniency(unproven=True))) == [("inserted", IDS[5]), ("missing", None)]


def test_what_a_proven_purge_took_is_no_gap():
    record = an_event(20, action=PURGED, payload={"ranges": [[1, 2], [4, 4], [7, 9], [3], "x", [5, 3], [True, 9]]})
    trail = Trail(8, 8, events=[*(an_event(number) for number in range(7)), record])
    lines = [*trail.lines(0, 3, 5, 6, 7), trail.end(5)]
    report = checked(lines)
    assert (report.verified, report.whole, report.purged, report.proven) == (True, True, 3, 5)
    more = checked([*trail.lines(0, 3, 6, 7), trail.end(4)])
    assert [one.detail for one in more.problems] == ["the export has no entries from 5 to 5"]
    later = an_event(20, action=PURGED, payload={"ranges": [[1, 1], [3, 3]]})
    trail_2 = Trail(5, 5, events=[an_event(0), an_event(1), later, an_event(3), an_event(4)])
    untrue = checked([*trail_2.lines(0, 2, 4), trail_2.end(3)])
    assert [one.detail for one in untrue.problems if one.kind == "missing"] == ["the export has no entries from 3 to 3"]
    unproven = [*trail.lines(0, 3, 5, 6), hidden_line(7, trail), trail.end(5)]
    gaps = [one.detail for one in checked(unproven, leniency=Leniency(unproven=True)).problems]
    assert gaps == ["the export has no entries from 1 to 2", "the export has no entries from 4 to 4"]


def test_of_many_problems_a_thousand_are_listed_and_all_counted():
    lines = [changed(TRAIL.line(0), tenaudit_proof=None)] * (MAX_PROBLEMS + 5)
    report = checked([*lines, TRAIL.end(len(lines), whole=False)])
    assert (len(report.problems), report.found, report.uncovered) == (MAX_PROBLEMS, MAX_PROBLEMS + 5, MAX_PROBLEMS + 5)


def end_with(**members):
    end = json.loads(TRAIL.end(12))
    end["tenaudit_export"]["proofs"]["tip"] |= members
    return json.dumps(end).encode() + b"\n"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (end_with(checkpoint=TRAIL.tip.body.replace("\n12\n", "\n11\n")), "not in the log of all logs"),
        (end_with(index=0), "not in the log of all logs"),
        (end_with(note=TRAIL.tip.note.replace("\n3\n", "\n4\n")), "signatures: the one of audit.example/prod is bad"),
        (end_with(note="x"), "note: does not end in a newline"),
        (end_with(note=1), "tip: note: is no text"),
        (end_with(note="\ud800"), "tip: note: is no text"),
        (end_with(index="1"), "tip: index: is no whole number"),
        (end_with(path=None), "tip: path: is no list"),
        (b'{"tenaudit_export":{"complete":true,"events":1}}\n', "the export has no proofs"),
        (b'{"tenaudit_export":{"complete":true,"events":1,"proofs":{}}}\n', "has another form"),
        (b'{"tenaudit_export":{"complete":false,"events":1,"proofs":{}}}\n', "truncated"),
        (TRAIL.line(11), "truncated"),
        (b"\xff\n", "truncated"),
    ],
)
def test_an_end_that_nothing_stands_by_is_told(end, said):
    assert said in checked([*TRAIL.lines(), end])


def test_another_key_with_the_same_name_proves_nothing():
    assert checked(TRAIL.export(), trusted=STRANGER) == "the signed checkpoint: signatures: none is of a trusted key"
    assert KEY.startswith("PRIVATE+KEY+")


def test_a_checkpoint_of_one_tenant_proves_no_event_of_another():
    theirs = [an_event(number, tenant_id=OTHER_TENANT) for number in range(3)]
    root = CompactRange().extend([leaf_hash(b"x")]).root()
    assert Checkpoint(f"tenaudit/tenant/{TENANT}", 1, root).origin == TRAIL.checkpoint.origin
    other = Trail(3, 3, events=theirs)
    assert kinds(checked([*other.lines(), TRAIL.end(3, whole=False)])) == [
        ("inserted", str(event.event_id)) for event in theirs
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{}" + b" " * MAX_LINE_BYTES, f"line 7: is longer than {MAX_LINE_BYTES} bytes"),
        (b"", "line 7: is no JSON object: expecting value at character 0"),
        (b"[]", "line 7: is no JSON object: it is another value"),
        (b"\xff", "line 7: is no JSON object: no UTF-8 at byte 0"),
        (b"[" * 200_000, "line 7: is no JSON object: it is nested too deeply"),
        (b'{"a":1,"a":2}', "line 7: is no JSON object: a member is named twice"),
        (b'{"a":{"b":1,"b":1}}', "line 7: is no JSON object: a member is named twice"),
        (b'{"a":NaN}', "line 7: is no JSON object: NaN is no JSON"),
        (b'{"a":1} x', "line 7: is no JSON object: extra data at character 8"),
    ],
)
def test_a_line_that_is_none_is_refused_by_its_number(raw, said):
    with pytest.raises(ExportFileError) as refused:
        parsed_line(raw, 7)
    assert str(refused.value) == said
    assert refused.value.code == "invalid_export"


def test_numbers_are_read_as_the_store_reads_them():
    assert parsed_line(b'{"a":9007199254740991,"b":-9007199254740993,"c":' + b"1" * 5000 + b"}", 1) == {
        "a": 9007199254740991,
        "b": -9007199254740992.0,
        "c": float("inf"),
    }
