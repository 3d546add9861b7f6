"""What the text of a rule means, and what a bad one is told."""

from __future__ import annotations

import dataclasses

import pytest

from tenaudit.errors import TenauditError
from tenaudit.ratelimit import InvalidRule, Rule, parse_rule


@pytest.mark.parametrize(
    ("text", "limit", "window", "algorithm", "burst"),
    [
        ("100/minute", 100, 60, "gcra", 100),
        ("10/second;burst=20", 10, 1, "gcra", 20),
        (" 10 / 5 minutes ", 10, 300, "gcra", 10),
        ("10/5min", 10, 300, "gcra", 10),
        ("3/week", 3, 604_800, "gcra", 3),
        ("1000/day", 1000, 86_400, "gcra", 1000),
        ("1000/day;algorithm=calendar", 1000, 86_400, "calendar", 1000),
        ("100000/month", 100_000, 2_592_000, "calendar", 100_000),
        ("100000/month;algorithm=gcra", 100_000, 2_592_000, "gcra", 100_000),
        ("5 concurrent", 5, 60, "concurrency", 5),
        ("5 concurrent;lease=30", 5, 30, "concurrency", 5),
        ("7/hour;algorithm=sliding_window", 7, 3_600, "sliding_window", 7),
        ("7/hour;algorithm=fixed_window", 7, 3_600, "fixed_window", 7),
    ],
)
def test_text_means(text, limit, window, algorithm, burst):
    rule = parse_rule(text)
    assert (rule.limit, rule.window, rule.algorithm, rule.burst) == (limit, window, algorithm, burst)


def test_options():
    rule = parse_rule("1/s; name=log in ; shadow=true; on_failure=closed")
    assert (rule.name, rule.shadow, rule.on_failure) == ("log in", True, "closed")
    assert parse_rule("1/s;shadow=false").shadow is False


def test_a_name_defaults_to_the_plain_text():
    assert parse_rule("600/60 seconds;burst=5").name == "600/minute"
    assert parse_rule("5 concurrent;lease=9").name == "5 concurrent"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected 'N/unit' or 'N concurrent'"),
        ("100", "expected"),
        ("/minute", "'' is not a whole number"),
        ("-1/minute", "'-1' is not a whole number"),
        ("1.5/minute", "'1.5' is not a whole number"),
        ("٣/minute", "is not a whole number"),
        ("0/minute", "the least is 1"),
        ("1/0 minutes", "the least is 1"),
        ("1/fortnight", "'fortnight' is not a unit of time"),
        ("1/2 months", "write days"),
        ("1/hour;algorithm=calendar", "one day or one month"),
        ("1/30 days;algorithm=calendar", "one day or one month"),
        ("1/minute;algorithm=guess", "'guess' is none of"),
        ("1/minute;algorithm=concurrency", "N concurrent"),
        ("1/minute;lease=3", "N concurrent"),
        ("5 concurrent;algorithm=gcra", "counted by concurrency"),
        ("5 concurrent;burst=6", "burst goes with gcra only"),
        ("20000 concurrent", "limit must be"),
        ("1/minute;burst", "needs a value"),
        ("1/minute;burst=", "needs a value"),
        ("1/minute;burst=2;burst=2", "given twice"),
        ("1/minute;colour=red", "unknown option 'colour'"),
        ("1/minute;", "unknown option ''"),
        ("1/minute;shadow=yes", "'yes' is none of true, false"),
        ("1/minute;on_failure=maybe", "'maybe' is none of open, closed, local"),
        ('1/minute;name=a"b', "name must be"),
        ("1/minute;name=" + "a" * 65, "at most 64"),
        ("9999999999999999/minute", "more than 15 digits"),
        ("9999999999999/minute", "limit must be"),
        ("1/400 days", "window must be"),
        ("999999999989/second;burst=999999999989", "exact arithmetic"),
        ("1/minute;name=" + "a" * 300, "longer than 256"),
    ],
)
def test_a_bad_text_is_told_what_is_wrong(text, reason):
    with pytest.raises(InvalidRule) as caught:
        parse_rule(text)
    assert reason in str(caught.value)
    assert caught.value.text == text
    assert isinstance(caught.value, TenauditError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "fields",
    [
        {"limit": 1.5},
        {"limit": True},
        {"window": 0},
        {"burst": -1},
        {"algorithm": "calendar", "window": 60},
        {"algorithm": "none"},
        {"shadow": 1},
        {"on_failure": "hope"},
        {"name": " padded"},
    ],
)
def test_a_rule_made_in_code_is_checked_too(fields):
    with pytest.raises(InvalidRule):
        Rule(**{"limit": 10, "window": 60, **fields})


def test_a_rule_is_a_frozen_hashable_value():
    rule = parse_rule("100/minute")
    assert {rule, parse_rule("100/60 seconds")} == {rule}
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.limit = 5
    assert dataclasses.replace(rule, shadow=True).state_key == rule.state_key
