"""Hostile CloudTrail records and files: a refusal or an event that every store takes, the same each time."""

from __future__ import annotations

import copy
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.importers import FORMATS, BrokenFile, Refused, snake_case, storable
from tenaudit.audit.integrity import canonical_json

CLOUDTRAIL = FORMATS["cloudtrail"]
ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.floats(1e15, 1e22) | ANY_TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4), max_leaves=20
)
FIELDS = {
    "eventID": st.uuids().map(str) | JSON,
    "eventTime": st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z") | JSON,
    "eventSource": st.sampled_from(["iam.amazonaws.com", "ec2.amazonaws.com"]) | JSON,
    "eventName": st.sampled_from(["CreateUser", "RunInstances"]) | JSON,
    "userIdentity": st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("type", "arn", "principalId", "userName", "invokedBy", "accountId"), JSON)
    )
    | JSON,
    "recipientAccountId": st.just("123456789012") | JSON,
    "errorCode": st.sampled_from(["AccessDenied", "NoSuchEntity"]) | JSON,
    "resources": st.lists(st.fixed_dictionaries({}, optional={"ARN": JSON, "type": JSON}), max_size=3) | JSON,
    "requestParameters": st.dictionaries(st.sampled_from(["userName", "instanceId"]), JSON) | JSON,
    "responseElements": JSON,
    "more": JSON,
}
RECORDS = st.fixed_dictionaries({}, optional=FIELDS) | st.fixed_dictionaries(FIELDS) | JSON


def outcome_of(record):
    try:
        return CLOUDTRAIL.event(record).record()
    except Refused as refusal:
        return refusal.reason


@given(RECORDS)
def test_a_record_is_refused_or_becomes_an_event_that_can_be_stored_and_read_back(record):
    made = outcome_of(record)
    if isinstance(made, str):
        assert re.fullmatch(r"[a-z_]+", made)
        return
    stored = canonical_json(made)
    assert canonical_json(json.loads(stored)) == stored


@given(RECORDS)
def test_the_same_record_gives_the_same_event_and_is_left_alone(record):
    before = copy.deepcopy(record)
    assert outcome_of(record) == outcome_of(copy.deepcopy(record))
    assert repr(record) == repr(before)


@given(st.dictionaries(ANY_TEXT, JSON, max_size=5))
def test_what_storable_returns_is_read_back_the_same_and_needs_no_more_change(record):
    try:
        payload, _ = storable(record)
    except Refused as refusal:
        # Every number here has a text, and none is so long that it makes the record too large.
        assert refusal.reason in {"payload_not_json", "invalid_text"}  # noqa: PT017 - refusing is allowed, not asked for
        return
    stored = canonical_json(payload)
    assert canonical_json(json.loads(stored)) == stored
    assert storable(payload) == (payload, ())


@given(st.text())
def test_a_name_becomes_lower_case_words(name):
    snake = snake_case(name)
    assert re.fullmatch(r"(?:[a-z0-9]+(?:_[a-z0-9]+)*)?", snake)
    assert snake_case(snake) == snake
    assert snake.replace("_", "") == re.sub(r"[^a-z0-9]", "", re.sub(r"[^A-Za-z0-9]", "", name).lower())


@given(st.lists(JSON, max_size=5), st.dictionaries(ANY_TEXT, JSON, max_size=3), st.sampled_from([None, 1]))
def test_the_records_of_a_file_are_those_that_json_reads(records, others, indent):
    text = json.dumps({**others, "Records": records}, indent=indent)
    assert repr([found.value for found in CLOUDTRAIL.records(text)]) == repr(json.loads(text)["Records"])


@given(st.lists(JSON, min_size=1, max_size=4), st.data())
def test_a_file_that_was_cut_anywhere_is_refused_whole(records, data):
    text = json.dumps({"Records": records})
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(BrokenFile, match="invalid_json"):
        CLOUDTRAIL.records(text[:cut])


@given(st.text(alphabet='{}[]",:Records 0\\\n', max_size=60))
def test_a_text_is_read_or_refused(text):
    try:
        read = list(CLOUDTRAIL.records(text))
    except BrokenFile:
        return
    assert "Records" in json.loads(text)
    assert isinstance(read, list)
