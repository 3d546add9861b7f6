"""What is aiohttp's own: sub-applications, class views, WebSockets, keep-alive connections, bodies made late."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from uuid import UUID

import aiohttp_cors
import pytest
from aiohttp import ClientSession, WSServerHandshakeError, web
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, AuditProducer, Gate
from tenaudit.adapters.aiohttp import (
    audit_routes,
    authenticated,
    context_of,
    current,
    install,
    internal_routes,
    lifespan,
    public,
    require,
)
from tenaudit.backends.sqlite import SqliteSink, SqliteStore
from tenaudit.security import ApiKeyAuthenticator, InMemoryApiKeyStore, context_or_none, new_api_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
OTHER = "11111111-2222-4333-8444-555555555555"
IDENTITY = {"X-Tenant-ID": TENANT, "X-Roles": "Cashier", "X-User-ID": "u-1"}


@authenticated()
async def who(request: web.Request) -> web.Response:
    return web.json_response({"tenant": str(current().tenant_id), "roles": request.headers.get("X-Roles")})


@public()
async def hello(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


def make(*routes: web.RouteDef, options: dict[str, Any] | None = None, **gate_options: Any) -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    gate_options.setdefault("registry", CollectorRegistry())
    install(app, Gate("shop", **gate_options), **(options or {}))
    return app


def serve(app: web.Application, talk: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    """Serve the application on a free port while *talk* asks it."""

    async def main() -> Any:
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            async with ClientSession(f"http://{host}:{port}") as session:
                return await asyncio.wait_for(talk(session), 30)
        finally:
            await runner.cleanup()

    return asyncio.run(main())


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def ask(app: web.Application, method: str, path: str, headers: Any = None, **more: Any) -> Answer:
    async def talk(session: ClientSession) -> Answer:
        async with session.request(method, path, headers=headers, allow_redirects=False, **more) as response:
            return Answer(response.status, response.headers, await response.read())

    answer: Answer = serve(app, talk)
    return answer


async def bare(_request: web.Request) -> web.Response:
    return web.Response(text="served")


def test_a_route_without_a_declaration_is_refused_at_install_or_at_start() -> None:
    with pytest.raises(Exception, match=r"route /bare declares nothing"):
        make(web.get("/bare", bare))
    app = make()
    app.router.add_get("/late", bare)
    with pytest.raises(Exception, match=r"route /late declares nothing"):
        ask(app, "GET", "/late", IDENTITY)


def test_undeclared_routes_can_be_served_to_any_identity(caplog: pytest.LogCaptureFixture) -> None:
    app = make(web.get("/bare", bare), options={"undeclared": "identify"})
    assert ask(app, "GET", "/bare").status == 400
    assert "route_undeclared" in [getattr(record, "action", "") for record in caplog.records]
    app = make(web.get("/bare", bare), options={"undeclared": "identify"})
    assert ask(app, "GET", "/bare", IDENTITY).body == b"served"


def test_rules_speak_for_handlers_that_cannot_be_decorated(tmp_path: Path) -> None:
    (tmp_path / "logo.txt").write_text("logo")
    app = make(web.static("/static", tmp_path), options={"rules": {"/static": public()}})
    assert ask(app, "GET", "/static/logo.txt").body == b"logo"


def test_sub_applications_are_guarded_and_their_errors_have_our_shape() -> None:
    inner = web.Application()
    inner.add_routes([web.get("/who/{id}", who)])
    app = web.Application()
    app.add_subapp("/inner", inner)
    install(app, Gate("shop", registry=(registry := CollectorRegistry())))

    async def talk(session: ClientSession) -> list[int]:
        paths = [("/inner/who/1", IDENTITY), ("/inner/who/1", {}), ("/inner/none", IDENTITY), ("/inner/none", {})]
        return [(await session.get(path, headers=headers)).status for path, headers in paths]

    assert serve(app, talk) == [200, 400, 404, 400]
    labels = {"service": "shop", "method": "GET", "route": "/inner/who/{id}", "status": "200"}
    assert registry.get_sample_value("http_requests_total", labels) == 1.0


class Things(web.View):
    async def get(self) -> web.Response:
        return web.Response(text="got")

    @require("gdpr_manage")
    async def post(self) -> web.Response:
        raise AssertionError("must not be reached")


authenticated()(Things)


def test_a_class_view_declares_as_a_whole_or_by_method() -> None:
    async def talk(session: ClientSession) -> list[tuple[int, str | None]]:
        answers = []
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            async with session.request(method, "/things", headers=IDENTITY) as response:
                answers.append((response.status, response.headers.get("Allow")))
        return answers

    allow = "GET, OPTIONS, POST"
    assert serve(make(web.view("/things", Things)), talk) == [(200, None), (403, None), (405, allow), (204, allow)]


def test_one_handler_for_any_method() -> None:
    assert ask(make(web.route("*", "/any", who)), "PATCH", "/any", IDENTITY).status == 200


def test_a_websocket_has_the_context_or_is_denied_with_the_envelope() -> None:
    @require("payment_process")
    async def socket(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for message in answer:
            await answer.send_str(f"{message.data} {current().actor.id}")
        return answer

    async def talk(session: ClientSession) -> str:
        with pytest.raises(WSServerHandshakeError) as denied:
            await session.ws_connect("/socket", headers={**IDENTITY, "X-Roles": "Support"})
        assert denied.value.status == 403
        assert denied.value.headers is not None
        assert denied.value.headers["x-error-code"] == "missing_role"
        async with session.ws_connect("/socket", headers=IDENTITY) as open_socket:
            await open_socket.send_str("hi")
            return str(await open_socket.receive_str())

    assert serve(make(web.get("/socket", socket)), talk) == "hi u-1"


def test_a_body_made_late_and_a_task_started_here_see_the_context() -> None:
    seen: list[str] = []

    @authenticated()
    async def stream(_request: web.Request) -> web.Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield f"{current().actor.id};".encode()
                await asyncio.sleep(0)

        task = asyncio.create_task(later())
        await task
        return web.Response(body=pieces())

    async def later() -> None:
        await asyncio.sleep(0)
        seen.append(str(current().tenant_id))

    assert ask(make(web.get("/stream", stream)), "GET", "/stream", IDENTITY).body == b"u-1;u-1;u-1;"
    assert seen == [TENANT]


def test_the_next_request_of_a_connection_finds_nothing_of_the_last() -> None:
    app = make(web.get("/who", who), web.get("/hello", hello))
    before: list[object] = []
    after: list[str] = []

    @web.middleware
    async def outer(request: web.Request, handler: Any) -> web.StreamResponse:
        before.append(context_or_none())
        response: web.StreamResponse = await handler(request)
        context = context_of(request)
        after.append("" if context is None else str(context.tenant_id))
        return response

    app.middlewares.insert(0, outer)

    async def talk(session: ClientSession) -> list[str]:
        bodies = []
        for path, headers in (("/who", IDENTITY), ("/hello", {}), ("/who", {**IDENTITY, "X-Tenant-ID": OTHER})):
            async with session.get(path, headers=headers) as response:
                bodies.append((await response.text())[:50])
        return bodies

    assert [TENANT in body or OTHER in body for body in serve(app, talk)] == [True, False, True]
    assert before == [None, None, None]
    assert after == [TENANT, "", OTHER]


def test_middleware_inside_sees_the_context_and_a_refused_request_never_reaches_it() -> None:
    app = make(web.get("/who", who))
    seen: list[str] = []

    @web.middleware
    async def inner(request: web.Request, handler: Any) -> web.StreamResponse:
        seen.append(str(current().tenant_id))
        response: web.StreamResponse = await handler(request)
        return response

    app.middlewares.append(inner)

    async def talk(session: ClientSession) -> list[int]:
        return [(await session.get("/who", headers=headers)).status for headers in (IDENTITY, {})]

    assert serve(app, talk) == [200, 400]
    assert seen == [TENANT]


@public()
async def raises(request: web.Request) -> web.StreamResponse:
    match request.match_info["how"]:
        case "reason":
            raise web.HTTPConflict(reason="Said by the handler")
        case "text":
            raise web.HTTPConflict(text="Text of the handler.")
        case "plain":
            raise web.HTTPConflict
        case "returned":
            return web.HTTPNotFound()
        case "redirect":
            raise web.HTTPFound("/elsewhere")
        case "nothing":
            return None  # type: ignore[return-value]
        case "late":
            response = web.StreamResponse()
            await response.prepare(request)
            raise RuntimeError("after the response has begun")
        case _:
            raise RuntimeError("secret text")


def test_what_handlers_raise_has_our_shape() -> None:
    async def talk(session: ClientSession) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for how in ("reason", "text", "plain", "returned", "nothing", "crash"):
            async with session.get(f"/raises/{how}") as response:
                answers[how] = (await response.json())["message"]
        async with session.get("/raises/redirect", allow_redirects=False) as response:
            answers["redirect"] = response.status, response.headers["Location"], "X-Trace-ID" in response.headers
        return answers

    assert serve(make(web.get("/raises/{how}", raises)), talk) == {
        "reason": "Said by the handler",
        "text": "Text of the handler.",
        "plain": ApiError.conflict().message,
        "returned": ApiError.not_found().message,
        "nothing": ApiError.internal().message,
        "crash": ApiError.internal().message,
        "redirect": (302, "/elsewhere", True),
    }


def test_what_fails_after_the_answer_began_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL), pytest.raises(Exception, match=r"payload|disconnected|Response"):
        ask(make(web.get("/raises/{how}", raises)), "GET", "/raises/late")


def test_slash_redirects_are_for_those_with_an_identity() -> None:
    app = web.Application(middlewares=[web.normalize_path_middleware(append_slash=True)])
    app.add_routes([web.get("/dir/", who)])
    install(app, Gate("shop", registry=CollectorRegistry()))
    assert ask(app, "GET", "/dir").status == 400


def test_a_body_over_the_limit_is_a_413_of_ours() -> None:
    @public()
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application(client_max_size=16)
    app.add_routes([web.post("/echo", echo)])
    install(app, Gate("shop", registry=CollectorRegistry()))
    answer = ask(app, "POST", "/echo", data=b"x" * 64)
    assert (answer.status, answer.headers["x-error-code"]) == (413, "payload_too_large")


def test_cors_preflight_is_answered_without_an_identity() -> None:
    @require("payment_process")
    async def pay(_request: web.Request) -> web.Response:
        return web.Response(text="served")

    app = web.Application()
    cors = aiohttp_cors.setup(app, defaults={"https://shop.example": aiohttp_cors.ResourceOptions()})
    cors.add(app.router.add_post("/pay", pay))
    install(app, Gate("shop", registry=CollectorRegistry()))
    preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = ask(app, "OPTIONS", "/pay", preflight)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://shop.example")


def test_limits_and_slots_are_the_same_as_elsewhere() -> None:
    async def talk(session: ClientSession) -> list[tuple[int, bool]]:
        answers = []
        for _ in range(4):
            async with session.get("/who", headers=IDENTITY) as response:
                answers.append((response.status, "RateLimit" in response.headers))
        return answers

    app = make(web.get("/who", who), limits=["1 concurrent", "3/minute"])
    assert serve(app, talk) == [(200, True), (200, True), (200, True), (429, True)]


def test_an_edge_replaces_what_the_client_said_of_itself() -> None:
    key, record = new_api_key(UUID(TENANT), ["Inventory"])
    app = make(web.get("/who", who), authenticators=[ApiKeyAuthenticator(InMemoryApiKeyStore([record]))])
    answer = ask(app, "GET", "/who", {"X-API-Key": key, "X-Roles": "SuperAdmin"})
    assert answer.body == f'{{"tenant": "{TENANT}", "roles": "Inventory"}}'.encode()


def test_ready_made_routes_and_parts_that_live_with_the_application(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "audit.db")
    producer = AuditProducer(SqliteSink(store), service="shop", registry=CollectorRegistry(), linger=0.0)
    gate = Gate("shop", registry=CollectorRegistry(), producer=producer)
    app = web.Application()
    app.add_routes([*internal_routes(gate), *audit_routes(gate, store)])
    app.cleanup_ctx.append(lifespan(store, producer))
    install(app, gate)

    async def talk(session: ClientSession) -> list[Any]:
        support = {**IDENTITY, "X-Roles": "Support"}
        return [
            (await (await session.get("/internal/health")).json())["live"],
            "http_requests_total" in await (await session.get("/internal/metrics")).text(),
            (await (await session.get("/audit/events", headers=support)).json())["events"],
            (await session.get("/audit/events/nothing", headers=support)).status,
        ]

    assert serve(app, talk) == [True, True, [], 404]
