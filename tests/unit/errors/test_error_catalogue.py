"""The catalogue: its types and titles, its documents, its table, and the way back from a response."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tenaudit.errors import ApiError, ConfigurationError, ErrorCatalogue, error_reply

TRACE = "0af7651916cd43dd8448eb211c80319c"
BASE = "https://errors.example.com/#"


def made(**options: Any) -> ErrorCatalogue:
    catalogue = ErrorCatalogue(**options)
    catalogue.declare("order_closed", 409, "The order is closed.")
    return catalogue


def problem(error: ApiError, catalogue: ErrorCatalogue) -> dict[str, Any]:
    reply = error_reply(error, TRACE, accept="application/problem+json", catalogue=catalogue)
    body: dict[str, Any] = json.loads(reply.body)
    return body


def test_a_declared_code_has_a_type_and_a_title_of_its_own() -> None:
    body = problem(ApiError.conflict("Order 7.", code="order_closed"), made(type_base=BASE))
    assert (body["type"], body["title"]) == (f"{BASE}order_closed", "The order is closed.")
    assert (body["status"], body["detail"], body["instance"]) == (409, "Order 7.", f"urn:trace:{TRACE}")
    assert body.keys() == {"type", "title", "status", "detail", "instance", "code", "message", "trace_id"}


@pytest.mark.parametrize(
    ("catalogue", "code"), [(made(), "order_closed"), (made(type_base=BASE), "undeclared"), (made(), "undeclared")]
)
def test_without_a_base_or_a_declaration_the_type_is_blank_and_the_title_the_phrase(
    catalogue: ErrorCatalogue, code: str
) -> None:
    body = problem(ApiError.conflict(code=code), catalogue)
    assert (body["type"], body["title"]) == ("about:blank", "Conflict")


def test_the_envelope_knows_nothing_of_types() -> None:
    reply = error_reply(ApiError.conflict(), TRACE, catalogue=made(type_base=BASE))
    assert json.loads(reply.body) == {"code": "conflict", "message": "Conflict.", "trace_id": TRACE}


@pytest.mark.parametrize(
    "base", ["", "errors/", "//host/", "1a:b", "https://x/\n", "https://x/é", "https://x/ y", 'a:"', "a:<", "a:"]
)
def test_a_base_that_is_no_absolute_uri_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError, match="type_base"):
        ErrorCatalogue(type_base=base)


@pytest.mark.parametrize("base", ["https://errors.example.com/", "urn:problem:", "https://[::1]:8443/e?code=", BASE])
def test_any_absolute_uri_is_a_base(base: str) -> None:
    assert made(type_base=base).type_uri("not_found") == f"{base}not_found"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (f"{BASE}order_closed", "order_closed"),
        (f"{BASE}undeclared", "conflict"),
        (BASE, "conflict"),
        ("https://elsewhere.example.com/order_closed", "conflict"),
        ("about:blank", "conflict"),
        (7, "conflict"),
        (None, "conflict"),
        ({"a": 1}, "conflict"),
    ],
)
def test_a_foreign_problem_gets_the_code_that_its_type_names(kind: Any, code: str) -> None:
    body = {"type": kind, "title": "x", "detail": "Why."}
    error = ApiError.from_response(409, {}, body, made(type_base=BASE))
    assert (error.status, error.code, error.message) == (409, code, "Why.")
    assert ApiError.from_response(409, {}, body).code == "conflict"
    assert ApiError.from_response(409, {}, body, made()).code == "conflict"


def test_the_code_and_the_header_come_before_the_type() -> None:
    body = {"type": f"{BASE}order_closed", "code": "mine"}
    catalogue = made(type_base=BASE)
    assert ApiError.from_response(409, {}, body, catalogue).code == "mine"
    assert ApiError.from_response(409, {"X-Error-Code": "told"}, {**body, "code": "NO"}, catalogue).code == "told"
    assert ApiError.from_response(409, {"X-Error-Code": "NO"}, {**body, "code": "NO"}, catalogue).code == "order_closed"


@pytest.mark.parametrize("accept", ["", "application/problem+json"])
def test_every_declared_error_comes_back_typed(accept: str) -> None:
    catalogue = made(type_base=BASE)
    for item in catalogue:
        error = ApiError(item.status, item.code, "Why.", retry_after=3, errors=[{"field": "a", "message": "b"}])
        reply = error_reply(error, TRACE, accept=accept, catalogue=catalogue)
        back = ApiError.from_response(reply.status, dict(reply.headers), reply.body, catalogue)
        assert (back.code, back.message, back.retry_after, back.errors) == (item.code, "Why.", 3, error.errors)


def test_a_maker_takes_what_its_error_may_carry() -> None:
    slow = ErrorCatalogue().declare("quota_used_up", 429, "The quota is used up.")
    error = slow("Wait.", retry_after=7, errors=[{"field": "a", "message": "b"}])
    assert (error.status, error.retry_after, len(error.errors)) == (429, 7, 1)


def test_responses_are_by_status_with_both_media_types() -> None:
    catalogue = made()
    responses = catalogue.openapi_responses("order_closed", "conflict", "rate_limited", "order_closed")
    assert list(responses) == ["409", "429"]
    conflict = responses["409"]
    assert conflict["x-tenaudit-codes"] == ["order_closed", "conflict"]
    assert "`order_closed`: The order is closed." in conflict["description"]
    assert set(conflict["headers"]) == {"X-Error-Code", "X-Trace-ID"}
    assert set(responses["429"]["headers"]) == {"X-Error-Code", "X-Trace-ID", "Retry-After"}
    assert set(conflict["content"]) == {"application/json", "application/problem+json"}
    schema = conflict["content"]["application/problem+json"]["schema"]
    assert [item["$ref"].rsplit("/", 1)[1] for item in schema["oneOf"]] == ["Problem_order_closed", "Problem_conflict"]
    assert schema["discriminator"]["mapping"]["conflict"] == "#/components/schemas/Problem_conflict"


def test_the_components_hold_all_that_is_referred_to_and_no_more_codes_than_asked_for() -> None:
    catalogue = made()
    codes = ("order_closed", "missing_tenant_id")
    document = {
        "components": catalogue.openapi_components(*codes),
        "responses": catalogue.openapi_responses(*codes),
    }
    for ref in re.findall(r'"#/components/(\w+)/([\w-]+)"', json.dumps(document)):
        assert ref[1] in document["components"][ref[0]]
    schemas = set(document["components"]["schemas"])
    assert {name for name in schemas if "_" in name} == {
        f"{kind}_{code}" for kind in ("Error", "Problem") for code in codes
    }
    assert len(catalogue.openapi_components()["schemas"]) == 3 + 2 * len(catalogue.codes)


def test_the_schemas_describe_what_is_sent() -> None:
    schemas = made().openapi_components()["schemas"]
    full = ApiError(409, "order_closed", "x", missing_role="a", errors=[{"field": "a", "message": "b"}], retry_after=1)
    for name, sent in (("ErrorEnvelope", full.to_body(TRACE)), ("ProblemDetails", full.to_problem(TRACE))):
        assert set(sent) == set(schemas[name]["properties"])
    for name, sent in (
        ("ErrorEnvelope", ApiError.not_found().to_body(TRACE)),
        ("ProblemDetails", ApiError.not_found().to_problem(TRACE)),
    ):
        assert set(sent) == set(schemas[name]["required"])


def test_a_code_that_is_not_declared_is_in_no_document() -> None:
    with pytest.raises(ConfigurationError, match="'nope' is not declared"):
        made().openapi_responses("nope")
    with pytest.raises(ConfigurationError, match="'nope' is not declared"):
        made().openapi_components("nope")


def test_a_document_cannot_change_the_next_one() -> None:
    catalogue = made()
    catalogue.openapi_components()["schemas"].clear()
    assert "ErrorEnvelope" in catalogue.openapi_components()["schemas"]


def test_the_table_has_a_row_for_each_code_and_no_row_can_break_it() -> None:
    catalogue = made()
    catalogue.declare("odd", 400, "a | b\nc")
    lines = catalogue.to_markdown().splitlines()
    assert lines[:2] == ["| code | status | meaning |", "| --- | --- | --- |"]
    assert lines[-2:] == ["| `order_closed` | 409 | The order is closed. |", "| `odd` | 400 | a \\| b c |"]
    assert len(lines) == 2 + len(catalogue.codes)
