"""What the Starlette adapter shares with the others: class views, preflight, rules, WebSockets, outer middleware."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from tenaudit import Gate
from tenaudit.adapters.starlette import authenticated, context_of, current, install, public, require
from tenaudit.policy import PolicyFile
from tests.unit.adapters.shop import IDENTITY, TENANT, ask, assert_refused
from tests.unit.gate.waiting_engine import WaitingEngine

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.websockets import WebSocket


def make(*routes: Any, options: dict[str, Any] | None = None, **gate_options: Any) -> Starlette:
    app = Starlette(routes=routes)
    install(app, Gate("shop", registry=CollectorRegistry(), **gate_options), **(options or {}))
    return app


@authenticated()
async def who(_request: Request) -> Response:
    return PlainTextResponse(str(current().tenant_id))


@authenticated()
class Things(HTTPEndpoint):
    async def get(self, _request: Request) -> Response:
        return PlainTextResponse("got")

    @require("gdpr_manage")
    async def post(self, _request: Request) -> Response:
        raise AssertionError("must not be reached")


def test_a_class_view_declares_as_a_whole_or_by_method() -> None:
    app = make(Route("/things", Things))
    assert ask(app, "GET", "/things", IDENTITY).text == "got"
    assert ask(app, "HEAD", "/things", IDENTITY).status_code == 200
    assert_refused(ask(app, "POST", "/things", IDENTITY), 403, "missing_role")
    answer = ask(app, "DELETE", "/things", IDENTITY)
    assert_refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert ask(app, "OPTIONS", "/things").status_code == 204


class Asked(HTTPEndpoint):
    @authenticated()
    async def get(self, _request: Request) -> Response:
        return PlainTextResponse("got")

    async def options(self, _request: Request) -> Response:
        return PlainTextResponse("asked")


def test_a_handler_of_its_own_for_options_is_served_to_anyone() -> None:
    app = make(Route("/asked", Asked))
    assert ask(app, "OPTIONS", "/asked").text == "asked"
    assert_refused(ask(app, "GET", "/asked"), 400, "missing_tenant_id")


@pytest.mark.parametrize("before", [True, False], ids=["cors-inside", "cors-outside"])
def test_preflight_is_answered_without_an_identity(before: bool) -> None:
    @require("payment_process")
    async def pay(_request: Request) -> Response:
        raise AssertionError("must not be reached")

    app = Starlette(routes=[Route("/pay", pay, methods=["POST"])])
    gate = Gate("shop", registry=CollectorRegistry())
    if before:
        app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_methods=["POST"])
        install(app, gate)
    else:
        install(app, gate)
        app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_methods=["POST"])
    preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = ask(app, "OPTIONS", "/pay", preflight)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://shop.example")


def test_rules_speak_for_handlers_that_cannot_be_decorated(tmp_path: Path) -> None:
    (tmp_path / "logo.txt").write_text("logo")
    app = make(Mount("/static", StaticFiles(directory=tmp_path)), options={"rules": {"/static": public()}})
    assert ask(app, "GET", "/static/logo.txt").text == "logo"
    with pytest.raises(Exception, match=r"rules\['/static'\]"):
        make(options={"rules": {"/static": "public"}})
    with pytest.raises(Exception, match="undeclared must be"):
        make(options={"undeclared": "allow"})


def test_a_capability_that_no_matrix_has_stops_the_start() -> None:
    typo = Route("/typo", require("paymnt_process")(PlainTextHandler()))
    with pytest.raises(Exception, match=r"route /typo needs .*'paymnt_process'.* did you mean 'payment_process'\?"):
        make(typo)
    with pytest.raises(Exception, match=r"which the matrix does not have$"):
        make(Route("/other", require("zzz")(PlainTextHandler())))


def test_a_matrix_that_reloads_may_get_the_capability_yet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[roles]\nCashier = ["page_read"]\n')
    policy = PolicyFile(file, registry=CollectorRegistry())
    app = make(Route("/typo", require("page_write")(PlainTextHandler())), policy=policy)
    assert "capability_unknown" in [getattr(record, "action", "") for record in caplog.records]
    assert "route /typo needs the capability 'page_write'" in caplog.text
    assert_refused(ask(app, "GET", "/typo", IDENTITY), 403, "missing_role")


class PlainTextHandler:
    """A handler that is an object."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("must not be reached")


def test_what_takes_no_mark_is_told_of() -> None:
    class Handlers:
        __slots__ = ()

    with pytest.raises(Exception, match="takes no mark"):
        public()(Handlers())  # type: ignore[type-var]


def test_methods_are_named_over_mounts_and_hosts() -> None:
    read, write = Route("/{id}", who), Route("/{id}", authenticated()(who), methods=["POST"])
    app = make(Mount("/m", routes=[Mount("/n", routes=[read, write])]), Host("api.shop", Starlette(routes=[read])))
    assert ask(app, "PUT", "/m/n/1", IDENTITY).headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert ask(app, "PUT", "/1", {**IDENTITY, "Host": "api.shop"}).headers["allow"] == "GET, HEAD, OPTIONS"


@require("payment_process")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(str(current().actor.id))
    await websocket.close()


def shake_hands(app: Any, headers: dict[str, str], **scope: Any) -> list[dict[str, Any]]:
    """Return what an application sends to a WebSocket's handshake."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    connection = {"type": "websocket", "path": "/socket", "headers": raw, "query_string": b"", **scope}
    asyncio.run(app(connection, receive, send))
    return sent


def test_a_websocket_has_the_context_or_is_denied_with_the_envelope() -> None:
    app = make(WebSocketRoute("/socket", socket))
    assert [message.get("text") for message in shake_hands(app, IDENTITY)] == [None, "u-1", None]
    extensions = {"websocket.http.response": {}}
    for headers, status, code in [({}, 400, "missing_tenant_id"), ({**IDENTITY, "X-Roles": ""}, 403, "missing_role")]:
        start, body = shake_hands(app, headers, extensions=extensions)
        assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
        assert (b"x-error-code", code.encode()) in start["headers"]
        assert json.loads(body["body"])["code"] == code
        (closed,) = shake_hands(app, headers)
        assert (closed["type"], closed["code"]) == ("websocket.close", 1008)


def test_a_websocket_is_bound_to_the_signed_request() -> None:
    from tenaudit.security import ContextSigner, ContextVerifier, SecuritySettings, SignatureKey, SignedTarget

    key = SignatureKey.hmac_sha256("k1", b"an example secret of 32 bytes!!!")
    settings = SecuritySettings(trust="signed", verifier=ContextVerifier([key]))
    app = make(WebSocketRoute("/socket", socket), security=settings)
    signed = ContextSigner(key).sign(IDENTITY, SignedTarget("GET", "shop", "/socket"))
    headers = {**IDENTITY, "Host": "shop", **dict(signed)}
    assert shake_hands(app, headers)[1]["text"] == "u-1"
    assert shake_hands(app, headers, query_string=b"a=1")[0]["type"] == "websocket.close"


def test_middleware_outside_sees_whose_request_it_was_and_tasks_keep_it() -> None:
    seen: list[str] = []

    @authenticated()
    async def later(_request: Request) -> Response:
        return PlainTextResponse("ok", background=BackgroundTask(lambda: seen.append(str(current().actor.id))))

    inner = make(Route("/later", later))

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        assert context_of(scope) is None

        async def send_on(message: Any) -> None:
            seen.append(str(current().tenant_id))
            await send(message)

        await inner(scope, receive, send_on)
        context = context_of(scope)
        assert context is not None
        seen.append(str(context.tenant_id))

    assert ask(outer, "GET", "/later", IDENTITY).text == "ok"
    assert seen == [TENANT, TENANT, "u-1", TENANT]


def test_a_limiter_that_waits_is_waited_for() -> None:
    app = make(Route("/who", who), limiter=WaitingEngine(), limits=["1 concurrent"])
    answers = [ask(app, "GET", "/who", IDENTITY) for _ in range(3)]
    assert [(answer.status_code, "ratelimit" in answer.headers) for answer in answers] == [(200, True)] * 3


def test_a_websocket_in_a_mounted_application_is_denied_too() -> None:
    app = make(Mount("/sub", Starlette(routes=[WebSocketRoute("/socket", socket)])), limits=["1 concurrent"])
    (closed,) = shake_hands(app, {**IDENTITY, "X-Roles": ""}, path="/sub/socket")
    assert closed["code"] == 1008
    for _ in range(2):
        assert shake_hands(app, IDENTITY, path="/sub/socket")[1]["text"] == "u-1"
