"""The shop in aiohttp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from tenaudit.adapters.aiohttp import authenticated, current, install, public, require
from tenaudit.policy import ensure_capability
from tests.conformance.http.shop import BODY_LIMIT, CAPABILITIES, JSON, error_of, gate_of, whoami

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAME = "aiohttp"
FRAMEWORK_ERRORS = {
    404: web.HTTPNotFound,
    409: web.HTTPConflict,
    415: web.HTTPUnsupportedMediaType,
    422: web.HTTPUnprocessableEntity,
    503: web.HTTPServiceUnavailable,
}


def answer(body: bytes, kind: str = JSON) -> web.Response:
    return web.Response(body=body, headers={"content-type": kind})


@authenticated()
async def who(_request: web.Request) -> web.Response:
    return answer(whoami())


@require("customer_view")
async def read(request: web.Request) -> web.Response:
    return answer(request.match_info["id"].encode(), "text/plain")


@require("customer_write")
async def write(request: web.Request) -> web.Response:
    return answer(request.match_info["id"].encode(), "text/plain")


@public()
async def hello(_request: web.Request) -> web.Response:
    return answer(b"hello", "text/plain")


@authenticated()
async def crash(_request: web.Request) -> web.Response:
    raise RuntimeError("secret text")


@authenticated()
async def error(request: web.Request) -> web.Response:
    raise error_of(request.match_info["kind"])


@authenticated()
async def framework(request: web.Request) -> web.Response:
    raise FRAMEWORK_ERRORS[int(request.match_info["status"])]


@authenticated()
async def stream(_request: web.Request) -> web.Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield f"{current().actor.id};".encode()

    return web.Response(body=pieces(), headers={"content-type": "text/plain"})


@authenticated()
async def echo(request: web.Request) -> web.Response:
    return answer(await request.read(), "text/plain")


@authenticated()
async def nested(_request: web.Request) -> web.Response:
    ensure_capability(current(), "gdpr_manage")
    return answer(b"done", "text/plain")


def capability(name: str) -> web.RouteDef:
    @require(name)
    async def handler(_request: web.Request) -> web.Response:
        return answer(name.encode(), "text/plain")

    return web.get(f"/cap/{name}", handler)


def make_app(variant: str) -> Any:
    app = web.Application(client_max_size=BODY_LIMIT)
    sub = web.Application()
    sub.add_routes([web.get("/things/{id}", read)])
    app.add_subapp("/sub", sub)
    app.add_routes(
        [
            web.get("/whoami", who),
            web.get("/things/{id}", read),
            *(web.route(method, "/things/{id}", write) for method in ("POST", "PUT", "PATCH", "DELETE")),
            web.get("/hello", hello),
            web.get("/crash", crash),
            web.get("/errors/{kind}", error),
            web.get("/framework/{status}", framework),
            web.get("/stream", stream),
            web.post("/echo", echo),
            web.get("/nested", nested),
            *map(capability, CAPABILITIES),
        ]
    )
    install(app, gate_of(variant))
    return app
