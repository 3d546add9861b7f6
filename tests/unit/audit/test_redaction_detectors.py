"""Detectors find what gives itself away, leave what only looks like it, and are linear in the text."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import RedactionPolicy
from tenaudit.audit.redaction import MAX_TAGS, MAX_WALK_DEPTH
from tenaudit.audit.redaction_detectors import DETECTORS, find_detected, mask_detected
from tenaudit.testing.conformance import an_event

# Made up, in the shape that the standard gives them; none was ever good for anything.
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: A,B\n\nMIIE+/=\n-----END RSA PRIVATE KEY-----"
FOUND = {
    "card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "2223003122003222",
        "378282246310005",
        "6011111111111117",
        "30569309025904",
        "3530111333300000",
        "6240008631401148",
    ],
    "iban": ["CH9300762011623852957", "DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "NO9386011117947"],
    "email": ["alice@example.com", "a.b+c%d@sub.example.co.uk", "X_1@EXAMPLE.ORG"],
    "jwt": [JWT],
    "key": [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "sk_live_" + "0" * 24,
        "xoxb-1234567890-abc",
        "AIza" + "x" * 35,
        PEM,
    ],
}
HONEST = {
    "card": [
        "4111111111111112",  # the sum is wrong
        "9999999999999995",  # no issuer
        "14111111111111111",
        "41111111111111110000",
        "id-4111111111111111",
        "4111111111111111.5",
        "0190a5b2-7c00-7000-8000-4111111111111111",
        "2024-07-12 00:00:00",
        "1720742400000000",
    ],
    "iban": ["CH9300762011623852958", "DE8937040044053201300", "XX9300762011623852957", "ACH9300762011623852957"],
    "email": ["@example.com", "alice@", "alice@example", "user@host.1", "arn:aws:iam::123456789012:user/alice"],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.e30.x", "aeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.x"],
    "key": ["AKIASHORT", "XAKIAIOSFODNN7EXAMPLE", "ghp_short", "pk_live_" + "0" * 24, "-----BEGIN PUBLIC KEY-----"],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_what_gives_itself_away_is_found_wherever_it_stands(kind, text):
    for before, after in (
        ("", ""),
        ("(", ")"),
        ("see: ", ", please"),
        ('"', '"'),
        ("on 2024-07-12 ", " 12/27"),
        ("A ", " EUR"),
    ):
        around = f"{before}{text}{after}"
        assert find_detected(around, DETECTORS) == [(len(before), len(before) + len(text), kind)], around


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in HONEST.items() for text in texts])
def test_what_only_looks_like_it_is_left(kind, text):
    assert find_detected(text, [kind]) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4111 1111 1111 1111 123", ["4111 1111 1111 1111"]),
        ("4111111111111111 123", ["4111111111111111"]),
        ("378282246310005 1234", ["378282246310005"]),
        ("3782 822463 10005 1234", ["3782 822463 10005"]),
        ("qty 2 4111111111111111 5555555555554444", ["4111111111111111", "5555555555554444"]),
        ("AT61 1904 3002 3457 3201 EUR", ["AT61 1904 3002 3457 3201"]),
        ("ES9121000418450200051332 BIC CAIXESBB", ["ES9121000418450200051332"]),
        ("PL61 1090 1014 0000 0712 1981 2874 PLN", ["PL61 1090 1014 0000 0712 1981 2874"]),
        ("bob@example.org-", ["bob@example.org"]),
        ("x" * 200 + "@example.org", ["x" * 200 + "@example.org"]),
    ],
)
def test_a_value_among_others_of_its_kind_is_found(text, found):
    assert [text[start:end] for start, end, _ in find_detected(text, DETECTORS)] == found


def test_a_key_without_an_end_hides_the_rest_of_its_text():
    text = "so: -----BEGIN PRIVATE KEY-----\nMIIE and more"
    assert find_detected(text, ["key"]) == [(4, len(text), "key")]


def test_findings_that_overlap_are_one():
    text = "alice-4111111111111111@example.com 4111111111111111"
    assert find_detected(text, DETECTORS) == [(0, 34, "email"), (35, 51, "card")]


def test_texts_are_masked_in_part_and_the_rest_is_shared():
    value = {
        "a": ["mail alice@example.com and bob@example.org", 5, None],
        "b": {"c": "nothing"},
        "d": ("4111111111111111",),
    }
    masked, places = mask_detected(value, DETECTORS, "payload")
    assert masked == {"a": ["mail ****.com and ****.org", 5, None], "b": {"c": "nothing"}, "d": ["****1111"]}
    assert places == {"payload.a[*]", "payload.d[*]"}
    assert masked["b"] is value["b"]
    assert mask_detected(masked, DETECTORS, "payload") == (masked, set())
    assert mask_detected(value["b"], DETECTORS, "payload")[0] is value["b"]


def test_an_object_that_is_no_dict_is_looked_at():
    value = MappingProxyType({"n": "write bob@example.org", "m": {"k": 1}})
    assert mask_detected(value, ["email"], "payload") == ({"n": "write ****.org", "m": {"k": 1}}, {"payload.n"})


def test_what_lies_too_deep_to_look_at_is_masked():
    deep = {"text": "alice@example.com"}
    for _ in range(MAX_WALK_DEPTH):
        deep = {"a": deep}
    masked, places = mask_detected(deep, ["email"], "payload")
    assert "alice" not in json.dumps(masked)
    assert len(places) == 1


PIECES = "4|4 |41-|AB12 |AB12CDEF|a@|a.|@a.b|eyJ|eyJaaaaaaaa.|.eyJaaaaaaaa|-----BEGIN |AKIA|ghp_|xoxb-|a@b.c.d.|CH93 "


@pytest.mark.parametrize("piece", [*PIECES.split("|"), "-----BEGIN PRIVATE KEY-----"])
def test_a_hostile_text_is_searched_to_its_end(piece):
    # A search that is not linear in a text of a mebibyte runs into the timeout of a test.
    text = (piece * 2**20)[: 2**20] + " alice@example.com"
    found = find_detected(text, DETECTORS)
    assert found[-1][1] == len(text)


def test_the_records_of_a_cloud_hold_keys_and_nothing_else_that_is_found():
    # False positives on real data: of 1667 records with 1.1 million characters only the access key ids were found.
    sample = Path(__file__).parents[2] / "data"
    found = {
        (place, kind)
        for path in sample.rglob("*CloudTrail*.json")
        for record in json.loads(path.read_text())["Records"]
        for place, text in _texts(record, "")
        for _, _, kind in find_detected(text, DETECTORS)
    }
    assert found
    assert {kind for _, kind in found} == {"key"}
    assert all(place.endswith(".accessKeyId") for place, _ in found)


def _texts(value, place):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, place)
    elif isinstance(value, str):
        yield place, value


def test_a_policy_detects_in_payloads_alone_at_both_layers():
    rules = RedactionPolicy(["payload.note"], detect=["email", "card"], registry=CollectorRegistry())
    payload = {"note": "alice@example.com", "free": "pay 4111111111111111", "bob@example.org": 1}
    event = an_event(1, tenant_id=UUID(int=1), actor_id="alice@example.com", payload=payload)
    written = rules.written(event)
    assert written.payload == {"note": "****.com", "free": "pay ****1111", "bob@example.org": 1}
    assert written.redactions == ("payload.free:mask", "payload.note:mask")
    assert written.actor_id == "alice@example.com"
    assert rules(event.record())[0]["payload"] == written.payload
    assert rules.written(written) is written
    assert rules({"actor_id": "x"}) == ({"actor_id": "x"}, ())


def test_tags_of_detected_places_are_bounded():
    rules = RedactionPolicy(detect=["email"], registry=CollectorRegistry())
    written = rules.written(an_event(1, payload={f"f{n}": "a@example.com" for n in range(MAX_TAGS + 5)}))
    assert len(written.redactions) == MAX_TAGS + 1
    assert "+more:mask" in written.redactions


@pytest.mark.parametrize("detect", ["email", ["mail"], [["email"]]])
def test_an_unknown_detector_is_refused(detect):
    with pytest.raises(ConfigurationError, match="detect must name some of card, iban, email, jwt, key"):
        RedactionPolicy(detect=detect, registry=CollectorRegistry())
