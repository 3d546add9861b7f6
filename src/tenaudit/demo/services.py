"""Two services behind the gateway: orders and payments, with their audit events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tenaudit.adapters.starlette import current, install, internal_routes, require
from tenaudit.errors import ApiError, ErrorCatalogue

if TYPE_CHECKING:
    from starlette.requests import Request

    from tenaudit.audit import AuditProducer
    from tenaudit.gate import Gate

__all__ = ["ERRORS", "order_app", "payment_app"]

ERRORS = ErrorCatalogue()
_order_not_found = ERRORS.declare("order_not_found", 404, "There is no such order.")
_already_voided = ERRORS.declare("payment_already_voided", 409, "The payment is voided already.")


@dataclass(slots=True)
class _Rows:
    """What a service keeps, by tenant: a look-up cannot reach another tenant's rows."""

    by_tenant: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def mine(self) -> dict[str, dict[str, Any]]:
        return self.by_tenant.setdefault(str(current().tenant_id), {})


async def _body(request: Request, *fields: str) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise ApiError.bad_request("The body is not JSON.") from None
    missing = [name for name in fields if not isinstance(body, dict) or name not in body]
    if missing:
        wrong = [{"field": name, "message": "is required"} for name in missing]
        raise ApiError.unprocessable("Fields are missing.", errors=wrong)
    result: dict[str, Any] = body
    return result


def order_app(gate: Gate, producer: AuditProducer) -> Starlette:
    """Return the order service: create, read, and a handler that crashes."""
    rows = _Rows()

    @require("payment_process")
    async def create(request: Request) -> Response:
        body = await _body(request, "sku", "quantity")
        order_id = f"o-{len(rows.mine()) + 1}"
        rows.mine()[order_id] = body
        producer.emit("order.created", resource_type="order", resource_id=order_id, payload=body)
        return JSONResponse({"id": order_id, **body}, 201)

    @require("customer_view")
    async def read(request: Request) -> Response:
        order_id = request.path_params["order_id"]
        if order_id not in rows.mine():
            raise _order_not_found()
        return JSONResponse({"id": order_id, **rows.mine()[order_id]})

    @require("customer_view")
    async def report(_request: Request) -> Response:
        raise RuntimeError("the report generator has a defect: its text must not reach a client")

    routes = [
        Route("/orders", create, methods=["POST"]),
        Route("/orders/report", report),
        Route("/orders/{order_id}", read),
    ]
    app = Starlette(routes=[*routes, *internal_routes(gate)])
    install(app, gate)
    return app


def payment_app(gate: Gate, producer: AuditProducer) -> Starlette:
    """Return the payment service: process and void."""
    rows = _Rows()

    @require("payment_process")
    async def process(request: Request) -> Response:
        body = await _body(request, "order_id", "amount", "card")
        payment_id = f"p-{len(rows.mine()) + 1}"
        rows.mine()[payment_id] = {"voided": False, "amount": body["amount"]}
        # The card goes into the trail in clear: redaction decides who may read it.
        producer.emit("payment.processed", resource_type="payment", resource_id=payment_id, payload=body)
        return JSONResponse({"id": payment_id, "amount": body["amount"]}, 201)

    @require("payment_process")
    async def void(request: Request) -> Response:
        payment_id = request.path_params["payment_id"]
        payment = rows.mine().get(payment_id)
        if payment is None:
            raise ApiError.not_found("There is no such payment.", code="not_found")
        if payment["voided"]:
            raise _already_voided()
        payment["voided"] = True
        producer.emit(
            "payment.voided",
            resource_type="payment",
            resource_id=payment_id,
            severity="warn",
            payload={"amount": payment["amount"]},
        )
        return JSONResponse({"id": payment_id, "voided": True})

    routes = [
        Route("/payments", process, methods=["POST"]),
        Route("/payments/{payment_id}/void", void, methods=["POST"]),
    ]
    app = Starlette(routes=[*routes, *internal_routes(gate)])
    install(app, gate)
    return app
