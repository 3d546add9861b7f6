"""The OpenAPI document of a guarded FastAPI application: identity, capabilities, one shape of errors."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from starlette.applications import Starlette

from tenaudit import ConfigurationError, ErrorCatalogue, Gate, SecuritySettings
from tenaudit.adapters.starlette import authenticated, document, install, public, require
from tenaudit.security import ContextVerifier, SignatureKey
from tests.unit.adapters.shop import ask


class Order(BaseModel):
    price: int


def shop(errors: ErrorCatalogue | None = None, **options: Any) -> tuple[FastAPI, Gate]:
    errors = errors or ErrorCatalogue()
    errors.declare("order_closed", 409, "The order is closed.")
    gate = Gate("shop", registry=CollectorRegistry(), errors=errors, **options)
    app = FastAPI(openapi_url=None)
    router = APIRouter(prefix="/orders")

    @router.post("/{order_id}", responses=errors.openapi_responses("order_closed", "forbidden"))
    @require("payment_process")
    async def charge(order_id: int, order: Order) -> Order:
        return order

    app.include_router(router, prefix="/v1")

    @app.get("/me", responses={500: {"description": "In our own words."}, 418: {"description": "Tea."}})
    @authenticated()
    async def me() -> str:
        return ""

    @app.get("/open")
    @public()
    async def opened(limit: int = 1) -> int:
        return limit

    @app.get("/hidden", include_in_schema=False)
    @public()
    async def hidden() -> None: ...

    install(app, gate)
    return app, gate


def described(**options: Any) -> dict[str, Any]:
    app, gate = shop(**options)
    document(app, gate)
    schema: dict[str, Any] = app.openapi()
    return schema


def codes(operation: dict[str, Any]) -> dict[str, list[str]]:
    return {
        status: response["x-tenaudit-codes"]
        for status, response in operation["responses"].items()
        if "x-tenaudit-codes" in response
    }


IDENTITY_CODES = ["missing_tenant_id", "invalid_tenant_id", "invalid_user_id", "ambiguous_header"]


def test_a_guarded_operation_tells_what_it_needs_and_how_it_fails() -> None:
    charge = described()["paths"]["/v1/orders/{order_id}"]["post"]
    assert charge["x-tenaudit-capability"] == "payment_process"
    assert charge["security"] == [{"tenant": [], "roles": [], "user": []}]
    assert {"$ref": "#/components/parameters/traceparent"} in charge["parameters"]
    assert codes(charge) == {
        "400": IDENTITY_CODES,
        "401": ["untrusted_context", "unauthorized"],
        "403": ["missing_role", "forbidden"],
        "404": ["not_found"],
        "409": ["order_closed"],
        "422": ["unprocessable"],
        "500": ["internal_error"],
    }
    assert charge["responses"]["403"]["content"]["application/json"]["schema"]["oneOf"] == [
        {"$ref": "#/components/schemas/Error_missing_role"},
        {"$ref": "#/components/schemas/Error_forbidden"},
    ]
    assert charge["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Order")


def test_an_operation_for_anyone_with_an_identity_names_no_capability_and_keeps_its_own_words() -> None:
    me = described()["paths"]["/me"]["get"]
    assert "x-tenaudit-capability" not in me
    assert me["security"] == [{"tenant": [], "roles": [], "user": []}]
    assert set(codes(me)) == {"400", "401"}
    assert me["responses"]["500"]["description"] == "In our own words."
    assert me["responses"]["418"]["description"] == "Tea."


def test_a_public_operation_needs_nobody() -> None:
    opened = described()["paths"]["/open"]["get"]
    assert opened["security"] == []
    assert codes(opened) == {"422": ["unprocessable"], "500": ["internal_error"]}


def test_a_limited_gate_tells_of_429() -> None:
    paths = described(limits=["5/minute"])["paths"]
    limited = paths["/me"]["get"]["responses"]["429"]
    assert limited["x-tenaudit-codes"] == ["rate_limited"]
    assert "Retry-After" in limited["headers"]


def test_fastapis_own_shape_of_422_is_gone() -> None:
    text = json.dumps(described())
    assert "HTTPValidationError" not in text
    assert "ValidationError" not in text


def test_a_schema_of_fastapis_that_somebody_uses_stays() -> None:
    app, gate = shop()

    @app.get("/odd", responses={499: {"content": {"application/json": {"schema": HTTP_VALIDATION}}, "description": ""}})
    @public()
    async def odd(limit: int = 1) -> None: ...

    document(app, gate)
    assert {"HTTPValidationError", "ValidationError"} <= set(app.openapi()["components"]["schemas"])


HTTP_VALIDATION = {"$ref": "#/components/schemas/HTTPValidationError"}


def test_every_reference_leads_somewhere() -> None:
    schema = described(limits=["5/minute"])
    refs = set(re.findall(r'"(#/[^"]+)"', json.dumps(schema)))
    assert len(refs) > 20
    for ref in refs:
        target: Any = schema
        for part in ref.removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/")]


def test_the_schemes_follow_the_trust() -> None:
    verifier = ContextVerifier([SignatureKey.hmac_sha256("k1", b"an example secret of 32 bytes!!!")])
    signed = described(security=SecuritySettings(trust="signed", verifier=verifier))
    assert {scheme["name"] for scheme in signed["components"]["securitySchemes"].values()} == {
        "X-Tenant-ID",
        "X-Roles",
        "X-User-ID",
        "Signature",
        "Signature-Input",
    }


def test_an_edge_gate_takes_credentials() -> None:
    class Nobody:
        async def authenticate(self, _headers: Any) -> None:
            return None

    edge = described(authenticators=[Nobody()])
    assert edge["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    told = codes(edge["paths"]["/me"]["get"])
    assert (told["401"], told["503"]) == (["unauthorized"], ["unavailable"])


def test_schemes_can_be_ones_own() -> None:
    app, gate = shop()
    document(app, gate, security={"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}})
    schema = app.openapi()
    assert list(schema["components"]["securitySchemes"]) == ["key"]
    assert schema["paths"]["/me"]["get"]["security"] == [{"key": []}]


def test_the_document_is_made_once_and_again_when_a_route_comes() -> None:
    app, gate = shop()
    document(app, gate)
    first = app.openapi()
    assert app.openapi() is first
    assert "x-tenaudit" not in json.dumps({**app.openapi_schema, "paths": {"/me": app.openapi_schema["paths"]["/me"]}})

    @app.get("/late")
    @require("audit_view")
    async def late() -> None: ...

    assert app.openapi()["paths"]["/late"]["get"]["x-tenaudit-capability"] == "audit_view"


def test_rules_by_path_are_told_too() -> None:
    gate = Gate("shop", registry=CollectorRegistry())
    app = FastAPI(openapi_url=None)
    app.add_api_route("/bare", lambda: None)
    rules = {"/bare": require("audit_view")}
    install(app, gate, rules=rules)
    document(app, gate, rules=rules)
    schema = app.openapi()
    assert schema["paths"]["/bare"]["get"]["x-tenaudit-capability"] == "audit_view"
    assert "FieldError" in schema["components"]["schemas"]


@pytest.mark.parametrize("before", [True, False])
def test_document_and_pages_are_served_to_anyone(before: bool) -> None:
    gate = Gate("shop", registry=CollectorRegistry())
    app = FastAPI(openapi_url=None)
    if before:
        document(app, gate, openapi_url="/schema.json", docs_url="/docs")
    install(app, gate)
    if not before:
        document(app, gate, openapi_url="/schema.json", docs_url="/docs")
    assert "securitySchemes" in ask(app, "GET", "/schema.json").json()["components"]
    assert "/schema.json" in ask(app, "GET", "/docs").text


def test_only_fastapi_has_a_document() -> None:
    gate = Gate("shop", registry=CollectorRegistry())
    with pytest.raises(ConfigurationError, match="not a Starlette"):
        document(Starlette(), gate)
    with pytest.raises(ConfigurationError, match="docs_url needs openapi_url"):
        document(FastAPI(), gate, docs_url="/docs")


def test_a_route_that_is_in_no_document_is_passed_over() -> None:
    app, gate = shop()
    app.add_route("/plain", public()(lambda _request: None))
    document(app, gate)
    assert "/plain" not in app.openapi()["paths"]
