"""The fields of draft-ietf-httpapi-ratelimit-headers, byte for byte."""

from __future__ import annotations

import base64
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.errors import ConfigurationError
from tenaudit.ratelimit import InMemoryEngine, parse_rule, rate_limit_headers, retry_after_seconds
from tenaudit.testing.clock import ManualClock


def engine():
    return InMemoryEngine(clock=ManualClock(start=86_400.0 * 30))


def test_an_admitted_hit_reports_every_rule():
    rules = [
        parse_rule("100/minute;name=burst;algorithm=fixed_window"),
        parse_rule("1000/day;name=daily;algorithm=calendar"),
        parse_rule("5 concurrent;name=parallel"),
    ]
    assert rate_limit_headers(engine().hit_nowait("a", *rules)) == [
        (
            "RateLimit-Policy",
            '"burst";q=100;w=60, "daily";q=1000;w=86400, "parallel";q=5;qu="concurrent-requests"',
        ),
        ("RateLimit", '"burst";r=99;t=60, "daily";r=999;t=86400, "parallel";r=4'),
    ]


def test_a_refused_hit_reports_what_refused_it_and_when_to_come_back():
    limiter, wide, narrow = engine(), parse_rule("1000/month;name=wide"), parse_rule("7/10 seconds;name=narrow")
    limiter.hit_nowait("a", wide, narrow, cost=7)
    assert rate_limit_headers(limiter.hit_nowait("a", wide, narrow, cost=2)) == [
        ("RateLimit-Policy", '"wide";q=1000;w=2592000, "narrow";q=7;w=10'),
        ("RateLimit", '"narrow";r=0;t=2'),
        ("Retry-After", "3"),
    ]


def test_a_hit_that_can_never_pass_has_no_retry_after():
    decision = engine().hit_nowait("a", parse_rule("5/minute"), cost=6)
    assert rate_limit_headers(decision) == [
        ("RateLimit-Policy", '"5/minute";q=5;w=60'),
        ("RateLimit", '"5/minute";r=5'),
    ]
    assert retry_after_seconds(decision) is None


def test_what_is_left_is_never_above_the_quota():
    decision = engine().hit_nowait("a", parse_rule("10/second;burst=20"))
    assert dict(rate_limit_headers(decision))["RateLimit"] == '"10/second";r=10;t=1'


def test_a_shadow_rule_is_not_mentioned():
    limiter, rule = engine(), parse_rule("1/minute;shadow=true")
    limiter.hit_nowait("a", rule)
    assert rate_limit_headers(limiter.hit_nowait("a", rule)) == []


def test_a_partition_key_is_sent_as_an_hmac_only():
    decision = engine().hit_nowait("a", parse_rule("5/minute"))
    headers = rate_limit_headers(decision, partition_key="tenant-1", secret=b"key")
    digest = base64.b64encode(hmac.digest(b"key", b"tenant-1", "sha256")[:16]).decode()
    assert headers == [
        ("RateLimit-Policy", f'"5/minute";q=5;w=60;pk=:{digest}:'),
        ("RateLimit", f'"5/minute";r=4;t=12;pk=:{digest}:'),
    ]
    with pytest.raises(ConfigurationError, match="secret"):
        rate_limit_headers(decision, partition_key="tenant-1")


ITEM = r'"[ !#-\[\]-~]*"(;[a-z]+=(\d{1,15}|"[a-z-]+"|:[A-Za-z0-9+/=]*:))*'
LIST = re.compile(rf"{ITEM}(, {ITEM})*")


@given(
    texts=st.lists(
        st.sampled_from(
            ["3/second", "2/minute;burst=4", "4/month", "2 concurrent", "3/7 seconds;algorithm=sliding_window"]
        ),
        min_size=1,
        unique=True,
    ),
    hits=st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 3)), min_size=1, max_size=12),
)
def test_fields_are_structured_and_retry_after_is_never_before_t(texts, hits):
    clock = ManualClock()
    limiter, rules = InMemoryEngine(clock=clock), [parse_rule(text) for text in texts]
    for gap, cost in hits:
        clock.advance(gap / 1e6)
        decision = limiter.hit_nowait("a", *rules, cost=cost)
        headers = dict(rate_limit_headers(decision, partition_key="a", secret=b"k"))
        assert LIST.fullmatch(headers["RateLimit-Policy"])
        assert LIST.fullmatch(headers["RateLimit"])
        if decision.allowed:
            assert "Retry-After" not in headers
        elif "Retry-After" in headers:
            seconds = int(headers["Retry-After"])
            assert seconds >= max([0, *map(int, re.findall(r";t=(\d+)", headers["RateLimit"]))])
            assert decision.retry_after <= seconds < decision.retry_after + 1 or seconds == 1
