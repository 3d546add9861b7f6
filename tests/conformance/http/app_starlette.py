"""The shop in Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route

from tenaudit.adapters.starlette import authenticated, current, install, public, require
from tenaudit.policy import ensure_capability
from tests.conformance.http.shop import BODY_LIMIT, CAPABILITIES, JSON, error_of, gate_of, whoami

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

NAME = "starlette"


def answer(body: bytes, kind: str = JSON) -> Response:
    return Response(body, headers={"content-type": kind})


@authenticated()
async def who(_request: Request) -> Response:
    return answer(whoami())


@require("customer_view")
async def read(request: Request) -> Response:
    return answer(request.path_params["id"].encode(), "text/plain")


@require("customer_write")
async def write(request: Request) -> Response:
    return answer(request.path_params["id"].encode(), "text/plain")


@public()
async def hello(_request: Request) -> Response:
    return answer(b"hello", "text/plain")


@authenticated()
async def crash(_request: Request) -> Response:
    raise RuntimeError("secret text")


@authenticated()
async def error(request: Request) -> Response:
    raise error_of(request.path_params["kind"])


@authenticated()
async def framework(request: Request) -> Response:
    raise HTTPException(int(request.path_params["status"]))


@authenticated()
async def stream(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield f"{current().actor.id};".encode()

    return StreamingResponse(pieces(), headers={"content-type": "text/plain"})


@authenticated()
async def echo(request: Request) -> Response:
    return answer(await request.body(), "text/plain")


@authenticated()
async def nested(_request: Request) -> Response:
    ensure_capability(current(), "gdpr_manage")
    return answer(b"done", "text/plain")


def capability(name: str) -> Route:
    @require(name)
    async def handler(_request: Request) -> Response:
        return answer(name.encode(), "text/plain")

    return Route(f"/cap/{name}", handler)


def make_app(variant: str) -> Any:
    routes = [
        Route("/whoami", who),
        Route("/things/{id}", read),
        Route("/things/{id}", write, methods=["POST", "PUT", "PATCH", "DELETE"]),
        Route("/hello", hello),
        Route("/crash", crash),
        Route("/errors/{kind}", error),
        Route("/framework/{status}", framework),
        Route("/stream", stream),
        Route("/echo", echo, methods=["POST"], max_body_size=BODY_LIMIT),
        Route("/nested", nested),
        Mount("/sub", routes=[Route("/things/{id}", read)]),
        *map(capability, CAPABILITIES),
    ]
    app = Starlette(routes=routes)
    install(app, gate_of(variant))
    return app
