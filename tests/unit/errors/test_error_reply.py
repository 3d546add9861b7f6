"""The reply on the wire: bytes, headers, and which of the two bodies an Accept header gets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tenaudit.errors import ApiError, error_reply, prefers_problem

TRACE = "0af7651916cd43dd8448eb211c80319c"
PROBLEM = "application/problem+json"


def test_the_envelope_is_these_bytes_and_headers():
    reply = error_reply(ApiError.missing_role("payment_access"), TRACE)
    body = (
        b'{"code":"missing_role","message":"A required capability is missing.",'
        b'"trace_id":"0af7651916cd43dd8448eb211c80319c","missing_role":"payment_access"}'
    )
    assert reply == (
        403,
        (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("x-error-code", "missing_role"),
            ("x-trace-id", TRACE),
        ),
        body,
    )


def test_the_problem_body_has_the_same_error():
    reply = error_reply(ApiError.rate_limited(7), TRACE, accept=PROBLEM)
    headers = dict(reply.headers)
    assert headers["content-type"] == PROBLEM
    assert (headers["retry-after"], headers["x-error-code"]) == ("7", "rate_limited")
    assert json.loads(reply.body) == ApiError.rate_limited(7).to_problem(TRACE)


def test_the_error_s_own_headers_are_sent_in_lower_case():
    headers = dict(error_reply(ApiError.unauthorized(), TRACE).headers)
    assert headers["www-authenticate"] == "Bearer"
    assert dict(error_reply(ApiError.method_not_allowed(["GET"]), TRACE).headers)["allow"] == "GET"


def test_text_outside_ascii_is_utf_8_and_measured_in_bytes():
    reply = error_reply(ApiError.not_found("Kein Café \u2028 名."), TRACE)
    assert json.loads(reply.body)["message"] == "Kein Café \u2028 名."
    assert dict(reply.headers)["content-length"] == str(len(reply.body))


def _cycle():
    item = {}
    item["self"] = item
    return item


@pytest.mark.parametrize(
    ("errors", "kept"),
    [
        ([{"input": UUID(int=1), "at": datetime(2026, 1, 1, tzinfo=UTC)}], True),
        ([{"input": b"\xff"}], True),
        ([{"input": {1, 2}}], True),
        ([{"input": float("nan")}], False),
        ([{("a", "b"): 1}], False),
        ([_cycle()], False),
    ],
    ids=["objects", "bytes", "set", "nan", "key", "cycle"],
)
def test_an_error_list_that_is_no_json_does_not_break_the_reply(errors, kept):
    reply = error_reply(ApiError.unprocessable(errors=errors), TRACE)
    body = json.loads(reply.body, parse_constant=pytest.fail)
    assert (body["code"], "errors" in body) == ("unprocessable", kept)


def test_half_a_character_does_not_break_the_reply():
    assert json.loads(error_reply(ApiError.not_found("a\udcffb"), TRACE).body)["message"] == "a?b"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("application/*", False),
        ("application/json", False),
        ("text/html", False),
        (PROBLEM, True),
        (PROBLEM.upper(), True),
        (f"  {PROBLEM} ;q=1 ", True),
        (f"{PROBLEM};charset=utf-8;q=0.4", True),
        (f"{PROBLEM};q=0", False),
        (f"{PROBLEM};q=0.000", False),
        (f"{PROBLEM}, application/json", True),
        (f"application/json, {PROBLEM}", True),
        (f"application/json;q=0.5, {PROBLEM};q=0.6", True),
        (f"application/json;q=0.6, {PROBLEM};q=0.5", False),
        (f"application/json, {PROBLEM};q=0.9", False),
        (f"{PROBLEM};q=0.5, */*", False),
        (f"{PROBLEM};q=0.5, */*;q=0.1", True),
        (f"{PROBLEM};q=0.5, application/*;q=0.6, */*;q=0.1", False),
        (f"{PROBLEM};q=0.5, application/json;q=0.1, */*", True),
        (f"text/html, {PROBLEM};q=0.9, */*;q=0.1", True),
        (f"{PROBLEM};q=", False),
        (f"{PROBLEM};q=abc", False),
        (f"{PROBLEM};q=nan", False),
        (f"{PROBLEM};q=-1", False),
        (f"{PROBLEM};q=1e999", False),
        (f"{PROBLEM};q=1.001", False),
        (f"{PROBLEM};q=0_1", False),
        (f"{PROBLEM};q=\u0661", False),
        (f"{PROBLEM};q=1.", True),
        (f"{PROBLEM};q=.3", True),
        (f"{PROBLEM};q=0.33333", True),
        (f"{PROBLEM};q = 1", True),
        (f"{PROBLEM};q=0;q=1", False),
        (f"{PROBLEM}, application/json;q=5", True),
        (f"application/json;q=0.5, {PROBLEM};q=0.4, {PROBLEM};q=0.6", True),
        (f"{PROBLEM};profile=x, {PROBLEM};q=0, application/json", False),
        ("application/json;q=0, */*", True),
        ("application/json;q=0.1, application/*;q=0.2", True),
        ("application/json;q=0", False),
        ("application/json;q=high, */*", False),
        (f"{PROBLEM};q=0, application/json;q=0", False),
        (f'text/html;x="a,{PROBLEM}", application/json', False),
        (f'text/html;x="a\\",{PROBLEM}"', False),
        (f'text/html;x="a,{PROBLEM}', False),
        (f"application/json\t;\tq=0.2\t,\t{PROBLEM}\t", True),
        (",".join(["text/html"] * 31 + [PROBLEM]), True),
        (",".join(["text/html"] * 10_000 + [PROBLEM]), False),
        ('"' * 100_000, False),
        ('"\\' * 50_000, False),
        ('"\\' * 4_095 + '"', False),
        (f"x{PROBLEM}", False),
        (f"{PROBLEM}x", False),
        (f";;,,=,{PROBLEM}", True),
        ("," * 100_000 + PROBLEM, False),
        ("problem+json;" * 50_000, False),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_the_accept_header_chooses_the_body(accept, wanted):
    assert prefers_problem(accept) is wanted
    expected = PROBLEM if wanted else "application/json"
    assert dict(error_reply(ApiError.internal(), TRACE, accept=accept).headers)["content-type"] == expected
