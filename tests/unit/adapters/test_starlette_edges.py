"""The Starlette adapter where things are odd: foreign headers, redirects, sockets, edges, what stays bound."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tenaudit import ApiError, Gate
from tenaudit.adapters.starlette import authenticated, current, install, public, require
from tenaudit.security import ApiKeyAuthenticator, InMemoryApiKeyStore, NoContextError, new_api_key

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
IDENTITY = {"X-Tenant-ID": TENANT, "X-Roles": "Cashier", "X-User-ID": "u-1"}


def app_of(handler: Any, *more: Any, **options: Any) -> Starlette:
    app = Starlette(routes=[Route("/", handler), *more])
    install(app, Gate("shop", registry=CollectorRegistry(), **options))
    return app


def ask(app: Any, headers: Any = IDENTITY, path: str = "/") -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(main())


@pytest.mark.parametrize("error", [HTTPException, ApiError])
def test_headers_of_an_error_cannot_replace_ours(error: Any) -> None:
    foreign = {"Content-Length": "3", "Content-Type": "text/plain", "X-Trace-ID": "dup", "X-Error-Code": "foo"}

    @authenticated()
    async def handler(_request: Request) -> JSONResponse:
        if error is ApiError:
            raise ApiError(403, "forbidden", "No.", headers=tuple(foreign.items()))
        raise HTTPException(403, headers=foreign)

    answer = ask(app_of(handler))
    assert answer.json()["code"] == "forbidden"
    for name in ("content-type", "content-length", "x-error-code", "x-trace-id"):
        assert len(answer.headers.get_list(name)) == 1, name
    assert answer.headers["x-error-code"] == "forbidden"


@pytest.mark.parametrize(("status", "expected"), [(302, 302), (303, 303), (304, 304), (204, 204), (999, 500)])
def test_an_http_exception_that_is_no_error_is_sent_as_it_is(status: int, expected: int) -> None:
    @authenticated()
    async def handler(_request: Request) -> JSONResponse:
        raise HTTPException(status, headers={"Location": "/elsewhere"})

    answer = ask(app_of(handler))
    assert answer.status_code == expected
    assert answer.headers["location"] == "/elsewhere"
    assert "x-trace-id" in answer.headers


def test_a_handlers_own_trace_id_and_limits_give_way_to_the_gates() -> None:
    @authenticated()
    async def handler(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("t", headers={"X-Trace-ID": "mine", "RateLimit": '"other";r=1'})

    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {**IDENTITY, "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    answer = ask(app_of(handler, limits=["9/minute;name=tenant"]), headers)
    assert answer.headers.get_list("x-trace-id") == [trace]
    (limit,) = answer.headers.get_list("ratelimit")
    assert limit.startswith('"tenant";r=8;t=')


def edge(authenticators: Any) -> Starlette:
    @authenticated()
    async def echo(request: Request) -> JSONResponse:
        roles = request.headers.getlist("x-roles")
        return JSONResponse({"roles": roles, "tenant": request.headers.get("x-tenant-id"), "raw": str(request.headers)})

    @public()
    async def hello(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    return app_of(echo, Route("/hello", hello), authenticators=authenticators)


def test_handlers_behind_an_edge_see_the_verified_headers_alone() -> None:
    from uuid import UUID

    key, record = new_api_key(UUID(TENANT), ["Cashier"])
    spoofed = {"X-API-Key": key, "X-Roles": "SuperAdmin", "X_Roles": "Admin", "X-Tenant-ID": str(UUID(int=1))}
    seen = ask(edge([ApiKeyAuthenticator(InMemoryApiKeyStore([record]))]), spoofed).json()
    assert (seen["roles"], seen["tenant"]) == (["Cashier"], TENANT)
    assert "SuperAdmin" not in seen["raw"]
    assert "Admin" not in seen["raw"]


def test_a_key_store_that_fails_is_a_503_and_public_routes_go_on() -> None:
    class Broken:
        async def authenticate(self, headers: Any) -> None:
            raise OSError("the key store is down")

    app = edge([Broken()])
    answer = ask(app)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["trace_id"] == answer.headers["x-trace-id"]
    assert ask(app, path="/hello").text == "hello"


def test_nothing_stays_bound_after_a_request() -> None:
    @authenticated()
    async def handler(_request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(current().actor.id))

    app = app_of(handler)

    async def main() -> None:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "root_path": ""}
        headers = [(name.lower().encode(), value.encode()) for name, value in IDENTITY.items()]
        await app({**scope, "headers": headers}, receive, send)
        assert sent[0]["status"] == 200
        with pytest.raises(NoContextError):
            current()

    asyncio.run(main())


async def converse(app: Any, headers: dict[str, str]) -> list[Any]:
    """Open a WebSocket, say nothing, close it; return what the application sent."""
    sent: list[Any] = []
    inbox = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]

    async def receive() -> Any:
        return inbox.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": "/ws", "query_string": b"", "root_path": "", "headers": raw}
    await app(scope, receive, send)
    with pytest.raises(NoContextError):
        current()
    return sent


@require("payment_process")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(str(current().actor.id))
    await websocket.receive()


@require("gdpr_manage")
async def secret_socket(websocket: WebSocket) -> None:
    raise AssertionError("must not be reached")


@public()
async def index(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("index")


def test_a_socket_has_the_context_of_its_handshake() -> None:
    sent = asyncio.run(converse(app_of(index, WebSocketRoute("/ws", socket)), IDENTITY))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send"]
    assert sent[1]["text"] == "u-1"


@pytest.mark.parametrize(("handler", "headers"), [(socket, {}), (secret_socket, IDENTITY), (secret_socket, {})])
def test_a_socket_that_may_not_be_is_closed_before_it_is_accepted(handler: Any, headers: dict[str, str]) -> None:
    sent = asyncio.run(converse(app_of(index, WebSocketRoute("/ws", handler)), headers))
    assert [(message["type"], message.get("code")) for message in sent] == [("websocket.close", 1008)]


def test_a_socket_gives_its_slot_back() -> None:
    app = app_of(index, WebSocketRoute("/ws", socket), limits=["1 concurrent"])
    for _ in range(3):
        assert asyncio.run(converse(app, IDENTITY))[0]["type"] == "websocket.accept"


def test_a_socket_added_late_to_a_router_is_guarded() -> None:
    app = app_of(index)
    app.router.routes.append(WebSocketRoute("/ws", secret_socket))
    assert asyncio.run(converse(app, {}))[0]["type"] == "websocket.close"
