"""A shop behind a gate, and how to ask it: what the adapter's tests share."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Mount, Route

from tenaudit import ApiError, Gate, ensure_capability
from tenaudit.adapters.starlette import authenticated, current, install, internal_routes, public, require

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
IDENTITY = {"X-Tenant-ID": TENANT, "X-Roles": "Cashier", "X-User-ID": "u-1"}


@require("payment_process")
async def charge(_request: Request) -> JSONResponse:
    return JSONResponse({"tenant": str(current().tenant_id), "actor": current().actor.id})


@require("gdpr_manage")
async def erase(_request: Request) -> JSONResponse:
    raise AssertionError("must not be reached")


@authenticated()
async def crash(_request: Request) -> JSONResponse:
    raise RuntimeError("secret text")


@authenticated()
async def refuse(_request: Request) -> JSONResponse:
    raise ApiError.conflict("Not now.", code="order_closed")


@authenticated()
async def teapot(_request: Request) -> JSONResponse:
    raise HTTPException(409, "Said by the handler.", headers={"X-More": "1"})


@authenticated()
def blocking(_request: Request) -> JSONResponse:
    return JSONResponse({"tenant": str(current().tenant_id)})


@authenticated()
async def stream(_request: Request) -> StreamingResponse:
    async def chunks() -> Any:
        for _ in range(3):
            yield f"{current().actor.id};"

    return StreamingResponse(chunks())


@authenticated()
async def nested(_request: Request) -> JSONResponse:
    ensure_capability(current(), "gdpr_manage")
    raise AssertionError("must not be reached")


@public()
async def hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


@public()
async def moved(_request: Request) -> RedirectResponse:
    return RedirectResponse("/hello")


def make(registry: CollectorRegistry | None = None, **options: Any) -> tuple[Starlette, Gate]:
    gate = Gate("shop", registry=registry or CollectorRegistry(), **options)
    routes = [
        Route("/charge/{id}", charge, methods=["POST"]),
        Route("/erase", erase),
        Route("/crash", crash),
        Route("/refuse", refuse),
        Route("/teapot", teapot),
        Route("/blocking", blocking),
        Route("/stream", stream),
        Route("/nested", nested),
        Route("/hello", hello),
        Route("/moved", moved),
        Mount("/sub", routes=[Route("/{id}/hello", hello), Route("/charge", charge)]),
        *internal_routes(gate),
    ]
    app = Starlette(routes=routes)
    install(app, gate)
    return app, gate


def ask(app: Any, method: str, path: str, headers: Any = None, **more: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(main())


def assert_refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers.get("x-error-code")) == (status, code)
    body = answer.json()
    assert body["code"] == code
    assert body["trace_id"] == answer.headers["x-trace-id"]
    assert len(answer.headers.get_list("x-trace-id")) == 1
    return body
