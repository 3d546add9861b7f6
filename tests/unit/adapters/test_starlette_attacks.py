"""Ways round the Starlette adapter's guard, out of another request's context, and to answers in a foreign shape."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from tenaudit import ApiError, ConfigurationError, Gate, PolicyMatrix
from tenaudit.adapters.starlette import audit_routes, authenticated, install, public, require
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import RequestView
from tenaudit.security import bind_context, context_or_none
from tests.unit.adapters.shop import IDENTITY, ask, assert_refused


def gate_of(**options: Any) -> Gate:
    return Gate("shop", registry=CollectorRegistry(), **options)


def guarded(*routes: Any, rules: Any = None, undeclared: str = "refuse", **options: Any) -> Starlette:
    app = Starlette(routes=routes)
    install(app, gate_of(**options), rules=rules, undeclared=undeclared)
    return app


def bare() -> Any:
    """Return a handler without a mark, new each time: a mark stays."""

    async def handler(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("reached")

    return handler


@public()
async def who(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(repr(context_or_none()))


def test_a_request_that_starts_in_the_context_of_another_sees_nothing_of_it() -> None:
    # uvicorn starts a pipelined request out of the task of the one before it.
    other = gate_of().recognize(RequestView(list(IDENTITY.items()))).context
    assert other is not None
    with bind_context(other):
        assert ask(guarded(Route("/", who)), "GET", "/").text == "None"


def test_one_router_at_two_places_is_asked_for_its_rules_at_both() -> None:
    inner = Router([Route("/f", bare())])
    with pytest.raises(ConfigurationError, match="/private/f declares nothing"):
        guarded(Mount("/open", app=inner), Mount("/private", app=inner), rules={"/open/f": public()})
    with pytest.raises(ConfigurationError, match="guarded already as /open/f"):
        guarded(
            Mount("/open", app=(inner := Router([Route("/f", bare())]))),
            Mount("/private", app=inner),
            rules={"/open/f": public(), "/private/f": require("gdpr_manage")},
        )


def test_one_router_at_two_places_with_one_rule_is_served_at_both_and_asked_of_late_routes() -> None:
    inner = Router([Route("/who", who)])
    app = guarded(Mount("/a", app=inner), Mount("/b", app=inner), rules={"/a/late": public()})
    assert [ask(app, "GET", f"/{place}/who").status_code for place in "ab"] == [200, 200]
    with pytest.raises(ConfigurationError, match="/b/late declares nothing"):
        inner.routes.append(Route("/late", bare()))


def test_one_route_object_has_one_gate() -> None:
    route = Route("/erase", require("gdpr_manage")(bare()))
    lax = guarded(route, policy=PolicyMatrix.from_mapping({"Cashier": ["gdpr_manage"]}))
    with pytest.raises(ConfigurationError, match="by another gate"):
        guarded(route)
    assert ask(lax, "GET", "/erase", IDENTITY).status_code == 200


def test_an_opaque_application_at_two_places_is_compared_too(tmp_path: Any) -> None:
    files = Mount("/f", app=StaticFiles(directory=tmp_path))
    outer = [Mount("/a", routes=[files]), Mount("/b", routes=[files])]
    with pytest.raises(ConfigurationError, match="guarded already"):
        guarded(*outer, rules={"/a/f": public(), "/b/f": authenticated()})


def test_a_partial_of_a_class_view_still_declares_by_method() -> None:
    @authenticated()
    class View(HTTPEndpoint):
        async def get(self, _request: Request) -> PlainTextResponse:
            return PlainTextResponse("read")

        @require("gdpr_manage")
        async def post(self, _request: Request) -> PlainTextResponse:
            raise AssertionError("must not be reached")

    app = guarded(Route("/p", functools.partial(View)))
    assert ask(app, "GET", "/p", IDENTITY).text == "read"
    assert_refused(ask(app, "POST", "/p", IDENTITY), 403, "missing_role")


@pytest.mark.parametrize("inside", [False, True])
def test_a_default_handler_of_a_router_is_refused(inside: bool) -> None:
    sub = Starlette(routes=[Route("/who", who)])
    app = Starlette(routes=[Mount("/sub", sub)])
    (sub if inside else app).router.default = PlainTextResponse("reached")
    with pytest.raises(ConfigurationError, match="default handler"):
        install(app, gate_of())


def test_a_function_that_serves_options_with_other_methods_is_not_public_for_that() -> None:
    app = guarded(Route("/mixed", bare(), methods=["GET", "OPTIONS"]), undeclared="identify")
    assert_refused(ask(app, "OPTIONS", "/mixed"), 400, "missing_tenant_id")
    assert ask(app, "OPTIONS", "/mixed", IDENTITY).text == "reached"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=1", "\u20ac", "a\x00b"])
@pytest.mark.parametrize("kind", [HTTPException, ApiError])
def test_a_header_that_cannot_be_sent_is_left_out_of_the_error(kind: Any, value: str) -> None:
    @authenticated()
    async def refuse(_request: Request) -> PlainTextResponse:
        if kind is HTTPException:
            raise HTTPException(403, headers={"X-More": value, "X-Fine": "1"})
        error = ApiError(403, "forbidden", "No.")
        error.headers = (("X-More", value), ("X-Fine", "1"))
        raise error

    answer = ask(guarded(Route("/", refuse)), "GET", "/", IDENTITY)
    assert_refused(answer, 403, "forbidden")
    assert answer.headers["x-fine"] == "1"
    assert not {"x-more", "set-cookie"} & set(answer.headers)


def test_a_redirect_to_a_place_with_a_line_break_is_a_fault() -> None:
    @authenticated()
    async def move(_request: Request) -> PlainTextResponse:
        raise HTTPException(302, headers={"Location": "/a\r\nSet-Cookie: b=1"})

    assert_refused(ask(guarded(Route("/", move)), "GET", "/", IDENTITY), 500, "internal_error")


class FailsAfterwards:
    """Middleware of a mounted application that fails when its handler is done and nothing is sent."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def unsent(_message: Any) -> None: ...

        if scope["type"] == "http":
            await self._app(scope, receive, unsent)
            raise RuntimeError("secret text")
        await self._app(scope, receive, send)


@pytest.mark.parametrize("debug", [False, True])
def test_what_a_mounted_applications_middleware_raises_is_opaque(debug: bool) -> None:
    sub = Starlette(routes=[Route("/who", who)], middleware=[Middleware(FailsAfterwards)], debug=debug)
    answer = ask(guarded(Mount("/sub", sub)), "GET", "/sub/who", IDENTITY)
    assert_refused(answer, 500, "internal_error")
    assert "secret" not in answer.text


def test_a_mounted_application_keeps_its_own_handler_of_faults() -> None:
    async def own(_request: Request, _error: Exception) -> PlainTextResponse:
        return PlainTextResponse("own words", 500)

    sub = Starlette(
        routes=[Route("/who", who)], middleware=[Middleware(FailsAfterwards)], exception_handlers={Exception: own}
    )
    assert ask(guarded(Mount("/sub", sub)), "GET", "/sub/who", IDENTITY).text == "own words"


@pytest.mark.parametrize("headers", [None, [[b"content-length", b"1"]]])
def test_a_413_without_headers_or_with_lists_of_them_goes_out(headers: Any) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, **({"headers": headers} if headers else {})})
        await send({"type": "http.response.body", "body": b"x"})

    answer = ask(guarded(Mount("/raw", authenticated()(app))), "GET", "/raw/", IDENTITY)
    assert (answer.status_code, answer.text) == (413, "x")


def handshake(app: Any, path: str = "/ws") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in IDENTITY.items()]
    scope = {"type": "websocket", "path": path, "headers": headers, "extensions": {"websocket.http.response": {}}}
    asyncio.run(app(scope, receive, send))
    return sent


def socket_of(error: Exception, *, accept: bool) -> Starlette:
    @authenticated()
    async def handler(socket: WebSocket) -> None:
        if accept:
            await socket.accept()
        raise error

    return guarded(WebSocketRoute("/ws", handler), limits=["1 concurrent"])


def test_a_fault_before_the_handshake_is_denied_with_the_envelope() -> None:
    start, body = handshake(socket_of(RuntimeError("secret text"), accept=False))
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 500)
    assert b"internal_error" in body["body"]
    assert b"secret" not in body["body"]


def test_an_http_exception_before_the_handshake_is_a_response_and_after_it_a_close() -> None:
    assert handshake(socket_of(HTTPException(409), accept=False))[0]["status"] == 409
    kinds = [message["type"] for message in handshake(socket_of(HTTPException(409), accept=True))]
    assert kinds == ["websocket.accept", "websocket.close"]


def test_a_fault_after_the_handshake_is_the_servers_to_end_and_gives_the_slot_back() -> None:
    app = socket_of(RuntimeError("secret text"), accept=True)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="secret text"):
            handshake(app)


def test_a_limiter_that_fails_closes_the_route_and_one_that_cannot_take_slots_back_does_not() -> None:
    class Broken:
        async def hit(self, *_args: Any, **_options: Any) -> Any:
            raise ConnectionError("redis://:secret@host")

    app = guarded(Route("/", authenticated()(bare())), Route("/who", who), limiter=Broken(), limits=["1/minute"])
    answer = ask(app, "GET", "/", IDENTITY)
    assert_refused(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert "secret" not in answer.text
    assert httpx.codes.is_success(ask(app, "GET", "/who").status_code)


def test_a_class_view_of_a_mounted_application_has_no_code_for_a_method() -> None:
    @authenticated()
    class View(HTTPEndpoint):
        async def get(self, _request: Request) -> PlainTextResponse:
            return PlainTextResponse("read")

    answer = ask(guarded(Mount("/sub", Starlette(routes=[Route("/v", View)]))), "POST", "/sub/v", IDENTITY)
    assert_refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_kind_of_route_that_is_not_known_is_refused() -> None:
    class Odd(BaseRoute): ...

    with pytest.raises(ConfigurationError, match="a Odd cannot be guarded"):
        guarded(Odd())


def test_starlettes_own_413_has_our_shape() -> None:
    app = guarded(Mount("/raw", authenticated()(PlainTextResponse("Content Too Large", 413))))
    assert_refused(ask(app, "GET", "/raw/", IDENTITY), 413, "payload_too_large")


def test_a_socket_that_no_guard_stands_before_is_not_opened() -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()

    sub = Starlette()
    app = guarded(Mount("/sub", sub))
    sub.router.routes = [WebSocketRoute("/ws", handler)]
    assert [message.get("status") for message in handshake(app, "/sub/ws")][:1] == [500]


def test_a_lifespan_goes_through() -> None:
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.shutdown" if sent else "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    app: Any = guarded(Route("/who", who))
    asyncio.run(app({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_the_audit_trail_is_for_those_who_may_view_it(tmp_path: Any) -> None:
    async def talk() -> list[httpx.Response]:
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            app = guarded(*audit_routes(gate_of(), store))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                support = {**IDENTITY, "X-Roles": "Support"}
                return [
                    await client.get("/audit/events", headers=support),
                    await client.get("/audit/events/nothing", headers=support),
                    await client.get("/audit/events", headers={**IDENTITY, "X-Roles": "Inventory"}),
                ]

    events, nothing, denied = asyncio.run(talk())
    assert events.json()["events"] == []
    assert_refused(nothing, 404, "not_found")
    assert_refused(denied, 403, "missing_role")


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=1", "a\nb", "a\rb"])
def test_no_handler_splits_a_response(value: str) -> None:
    @public()
    async def reflect(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("split", headers={"X-More": value})

    assert_refused(ask(guarded(Route("/", reflect)), "GET", "/"), 500, "internal_error")
