"""ApiError: its constructors, the two bodies, and the way back from a response."""

from __future__ import annotations

import json

import pytest

from tenaudit.errors import ApiError, ConfigurationError, ErrorCatalogue, TenauditError

TRACE = "0af7651916cd43dd8448eb211c80319c"
FIELDS = [{"field": "amount", "message": "must be positive"}]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ApiError.bad_request(), 400, "bad_request"),
        (ApiError.missing_tenant_id(), 400, "missing_tenant_id"),
        (ApiError.unauthorized(), 401, "unauthorized"),
        (ApiError.forbidden(), 403, "forbidden"),
        (ApiError.missing_role("gdpr_manage"), 403, "missing_role"),
        (ApiError.not_found(), 404, "not_found"),
        (ApiError.method_not_allowed(), 405, "method_not_allowed"),
        (ApiError.conflict(), 409, "conflict"),
        (ApiError.payload_too_large(), 413, "payload_too_large"),
        (ApiError.unprocessable(), 422, "unprocessable"),
        (ApiError.rate_limited(3), 429, "rate_limited"),
        (ApiError.unavailable(), 503, "unavailable"),
        (ApiError.internal(), 500, "internal_error"),
        (ApiError.internal(code="own"), 500, "own"),
        (ApiError.missing_role(code="own"), 403, "own"),
        (ApiError.missing_tenant_id(code="own"), 400, "own"),
        (ApiError.rate_limited(3, code="own"), 429, "own"),
        (ApiError.unavailable(code="own"), 503, "own"),
        (ApiError.method_not_allowed(code="own"), 405, "own"),
    ],
)
def test_each_constructor_has_its_status_and_code(error, status, code):
    assert (error.status, error.code) == (status, code)
    assert isinstance(error, TenauditError)
    assert str(error) == error.message != ""
    assert error.to_body(TRACE) | {"code": code, "trace_id": TRACE} == error.to_body(TRACE)
    assert repr(error).startswith(f"ApiError({status}, '{code}'")


@pytest.mark.parametrize(
    "make", ["bad_request", "unauthorized", "forbidden", "not_found", "conflict", "payload_too_large", "unprocessable"]
)
def test_code_and_message_can_be_ones_own(make):
    error = getattr(ApiError, make)("No such customer.", code="customer_not_found")
    assert (error.code, error.message) == ("customer_not_found", "No such customer.")


def test_the_challenge_and_the_methods_are_headers():
    assert ApiError.unauthorized(challenge="ApiKey").headers == (("WWW-Authenticate", "ApiKey"),)
    assert ApiError.method_not_allowed(["POST", "GET"]).headers == (("Allow", "GET, POST"),)
    assert ApiError.method_not_allowed("GET").headers == (("Allow", "GET"),)


def test_missing_role_is_a_constructor_on_the_class_and_a_name_on_an_error():
    error = ApiError.missing_role("payment_access", "Needs more.")
    assert (error.missing_role, error.message) == ("payment_access", "Needs more.")
    assert ApiError.missing_role().missing_role is None
    assert ApiError(403, "missing_role", "x", missing_role="a").missing_role == "a"
    assert callable(ApiError.missing_role)

    class OwnError(ApiError):
        """A service's own error."""

    assert isinstance(OwnError.missing_role("a"), OwnError)


def test_the_body_leaves_absent_members_out():
    assert ApiError.not_found("No.").to_body(TRACE) == {"code": "not_found", "message": "No.", "trace_id": TRACE}
    assert ApiError.missing_role("a").to_body(TRACE)["missing_role"] == "a"
    assert ApiError.unprocessable(errors=FIELDS).to_body(TRACE)["errors"] == FIELDS
    assert ApiError.rate_limited(0).to_body(TRACE)["retry_after"] == 0


def test_problem_details_hold_the_members_of_the_standard_and_the_envelope():
    problem = ApiError.not_found("No such order.", code="order_not_found").to_problem(TRACE)
    assert problem == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "No such order.",
        "instance": f"urn:trace:{TRACE}",
        "code": "order_not_found",
        "message": "No such order.",
        "trace_id": TRACE,
    }
    assert ApiError(499, "closed", "x").to_problem(TRACE, instance="/a")["instance"] == "/a"
    assert ApiError(499, "closed", "x").to_problem(TRACE)["title"] == "Error"


@pytest.mark.parametrize("code", ["", "A", "1a", "_a", "a-b", "a b", "a\n", "é", "a" * 65, "not_found\r\nX: y"])
def test_a_code_out_of_form_is_refused(code):
    with pytest.raises(ValueError, match="code"):
        ApiError(400, code, "x")


@pytest.mark.parametrize("status", [-1, 0, 200, 302, 399, 600, 1000])
def test_a_status_that_is_no_error_is_refused(status):
    with pytest.raises(ValueError, match="status"):
        ApiError(status, "a", "x")
    with pytest.raises(ValueError, match="status"):
        ApiError.from_response(status, {}, b"")


@pytest.mark.parametrize("header", [("A\r\nB", "x"), ("A", "x\r\nSet-Cookie: a"), ("A", "x\n"), ("A", "\x00")])
def test_a_header_that_breaks_its_line_is_refused(header):
    with pytest.raises(ValueError, match="line break"):
        ApiError(401, "unauthorized", "x", headers=[header])


def test_retry_after_is_whole_seconds_rounded_up():
    assert ApiError.rate_limited(0.2).retry_after == 1
    assert ApiError.unavailable(retry_after=2).retry_after == 2
    for bad in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="retry_after"):
            ApiError.rate_limited(bad)


def same(first, second):
    fields = ("status", "code", "message", "missing_role", "errors", "retry_after")
    return all(getattr(first, name) == getattr(second, name) for name in fields)


@pytest.mark.parametrize("render", ["to_body", "to_problem"])
@pytest.mark.parametrize("wrap", [dict, json.dumps, lambda data: json.dumps(data).encode()])
def test_an_error_comes_back_from_its_response(render, wrap):
    error = ApiError(429, "quota_used_up", "Wait.", missing_role="a", errors=FIELDS, retry_after=7)
    assert same(ApiError.from_response(429, {}, wrap(getattr(error, render)(TRACE))), error)


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "message"),
    [
        (404, {}, b"", "not_found", "Not Found"),
        (404, {"X-ERROR-CODE": "order_not_found"}, b"<html>", "order_not_found", "Not Found"),
        (418, {}, b"teapot", "bad_request", "I'm a Teapot"),
        (502, {}, b"{", "internal_error", "Bad Gateway"),
        (599, {}, b"null", "internal_error", "Error"),
        (500, {}, b'{"code": "BAD CODE"}', "internal_error", "Internal Server Error"),
        (400, {"x-error-code": "bad\r\ncode"}, b"[]", "bad_request", "Bad Request"),
        (400, {}, b'{"code": 7, "message": {"a": 1}, "detail": "Why."}', "bad_request", "Why."),
        (400, {"x-error-code": "a"}, b'{"code": null, "message": null}', "a", "Bad Request"),
        (400, {}, b"\xff\xfe\x00", "bad_request", "Bad Request"),
        (400, {}, b"[" * 60_000, "bad_request", "Bad Request"),
        (400, {}, b'{"code": "a", "x": ' + b"9" * 10_000 + b"}", "bad_request", "Bad Request"),
        (400, {}, b'{"code": "a"}' + b" " * 70_000, "bad_request", "Bad Request"),
        (400, {}, b'{"code": "a", "errors": 7, "missing_role": []}', "a", "Bad Request"),
        (400, {}, b'{"code": "a", "errors": [1, null, {}], "retry_after": true}', "a", "Bad Request"),
        (400, {}, {"code": 10**5000, "message": 10**5000, "retry_after": 10**5000}, "bad_request", "Bad Request"),
    ],
    ids=range(16),
)
def test_a_foreign_or_hostile_body_still_gives_an_error(status, headers, body, code, message):
    error = ApiError.from_response(status, headers, body)
    assert (error.status, error.code, error.message, error.missing_role) == (status, code, message, None)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("header", "member", "seconds"),
    [
        ("7", ..., 7),
        ("7", None, 7),
        ("7", 3, 3),
        ("7", "soon", 7),
        ("Fri, 31 Dec 1999 23:59:59 GMT", ..., None),
        ("9" * 5000, ..., None),
        ("-1", ..., None),
        ("\u0667", ..., None),
        ("1.5", -1, None),
        (None, 1.5, None),
        (None, "4", 4),
    ],
)
def test_the_wait_comes_from_the_body_or_else_the_header(header, member, seconds):
    headers = {} if header is None else {"Retry-After": header}
    assert ApiError.from_response(503, headers, {} if member is ... else {"retry_after": member}).retry_after == seconds


def test_a_catalogue_makes_errors_of_its_codes():
    catalogue = ErrorCatalogue()
    closed = catalogue.declare("order_closed", 409, "The order is closed.")
    assert (closed().status, closed().code, closed().message) == (409, "order_closed", "The order is closed.")
    assert closed("Order 7.").message == "Order 7."
    assert catalogue.codes[-1] == "order_closed"
    assert {item.code: item.status for item in catalogue}["missing_tenant_id"] == 400
    assert "order_closed" not in ErrorCatalogue().codes


@pytest.mark.parametrize(("code", "status"), [("Bad", 400), ("a", 200), ("a", 600), ("not_found", 410), ("", 400)])
def test_a_catalogue_refuses_codes_out_of_form_and_contradictions(code, status):
    with pytest.raises(ConfigurationError, match="error code"):
        ErrorCatalogue().declare(code, status, "x")


@pytest.mark.parametrize("status", ["404", None, 404.0, 99, 600])
def test_a_status_is_a_number_of_an_error(status):
    with pytest.raises(ValueError, match="status must be a number, 400 to 599"):
        ApiError(status, "not_found", "x")
