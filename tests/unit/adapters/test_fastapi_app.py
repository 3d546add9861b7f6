"""FastAPI behind the gate: included routers, dependencies, threads, tasks, streams, validation errors."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Annotated, Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, field_validator
from starlette.routing import Mount, Route

from tenaudit import ApiError, ConfigurationError, Gate, SecurityContext
from tenaudit.adapters.starlette import authenticated, current, install, internal_routes, own_routes, public, require
from tests.unit.adapters.shop import IDENTITY, ask, assert_refused


class Item(BaseModel):
    price: int
    name: str = ""

    @field_validator("name")
    @classmethod
    def no_secret(cls, value: str) -> str:
        if value.startswith("bad"):
            raise ValueError(f"{value} is bad")
        if value == "taken":
            raise ValueError("choose another one")
        return value


class Order(BaseModel):
    items: list[Item]


def made(**options: Any) -> tuple[FastAPI, Gate]:
    gate = Gate("shop", registry=CollectorRegistry(), **options)
    return FastAPI(docs_url=None, redoc_url=None, openapi_url=None), gate


def whoami() -> str | None:
    return current().actor.id


def routers() -> tuple[APIRouter, APIRouter]:
    outer, inner = APIRouter(prefix="/orders"), APIRouter(prefix="/items")

    @outer.post("/{order_id}")
    @require("payment_process")
    async def charge(order_id: int, order: Order) -> dict[str, Any]:
        return {"id": order_id, "items": len(order.items)}

    @inner.get("/{item_id}")
    @require("gdpr_manage")
    def erase(item_id: int) -> None:
        raise AssertionError("must not be reached")

    @inner.delete("/{item_id}")
    @authenticated()
    def remove(item_id: int) -> dict[str, int]:
        return {"removed": item_id}

    outer.include_router(inner, prefix="/{order_id}")
    return outer, inner


def shop(**options: Any) -> tuple[FastAPI, Gate]:
    app, gate = made(**options)
    outer, _ = routers()
    app.include_router(outer, prefix="/v1")

    @app.get("/sync")
    @authenticated()
    def sync(who: Annotated[str, Depends(whoami)]) -> dict[str, Any]:
        return {"who": who, "again": current().actor.id, "main": threading.current_thread() is threading.main_thread()}

    @app.get("/coroutine")
    @authenticated()
    async def coroutine(who: Annotated[str, Depends(whoami)]) -> dict[str, str]:
        return {"who": who}

    @app.get("/stream")
    @authenticated()
    async def stream() -> StreamingResponse:
        async def chunks() -> Any:
            for _ in range(3):
                yield f"{current().actor.id};"

        return StreamingResponse(chunks())

    @app.get("/refuse")
    @authenticated()
    async def refuse() -> None:
        raise HTTPException(409, {"why": ["any JSON"]})

    @app.get("/own")
    @authenticated()
    async def own() -> None:
        raise ApiError.conflict(code="order_closed")

    @app.get("/wrong-answer", response_model=Item)
    @authenticated()
    async def wrong_answer() -> dict[str, str]:
        return {"price": "a secret"}

    @app.get("/open")
    @public()
    async def opened(limit: int = 1) -> int:
        return limit

    app.router.routes.extend(internal_routes(gate))
    install(app, gate)
    return app, gate


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("POST", "/v1/orders/1", {}, 400, "missing_tenant_id"),
        ("GET", "/v1/orders/1/items/2", {}, 400, "missing_tenant_id"),
        ("GET", "/v1/orders/1/items/2", IDENTITY, 403, "missing_role"),
        ("PUT", "/v1/orders/1/items/2", IDENTITY, 405, "method_not_allowed"),
        ("PUT", "/v1/orders/1", IDENTITY, 405, "method_not_allowed"),
        ("GET", "/orders/1", IDENTITY, 404, "not_found"),
        ("GET", "/v1/orders/1/items/x", {**IDENTITY, "X-Roles": "SuperAdmin"}, 422, "unprocessable"),
        ("GET", "/refuse", IDENTITY, 409, "conflict"),
        ("GET", "/own", IDENTITY, 409, "order_closed"),
        ("GET", "/wrong-answer", IDENTITY, 500, "internal_error"),
        ("GET", "/openapi.json", IDENTITY, 404, "not_found"),
    ],
)
def test_every_refusal_has_one_shape_in_included_routers_too(
    method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    app, _ = shop()
    assert_refused(ask(app, method, path, headers), status, code)


def test_included_routers_serve_and_are_counted_by_their_whole_template() -> None:
    app, gate = shop()
    answer = ask(app, "POST", "/v1/orders/7", IDENTITY, json={"items": [{"price": 1}]})
    assert (answer.status_code, answer.json()) == (200, {"id": 7, "items": 1})
    assert ask(app, "DELETE", "/v1/orders/7/items/3", IDENTITY).json() == {"removed": 3}
    labels = {"service": "shop", "method": "DELETE", "status": "200"}
    template = "/v1/orders/{order_id}/items/{item_id}"
    assert gate.registry is not None
    assert gate.registry.get_sample_value("http_requests_total", {**labels, "route": template}) == 1


def test_all_methods_of_an_included_path_are_named() -> None:
    app, _ = shop()
    assert ask(app, "PUT", "/v1/orders/1/items/2", IDENTITY).headers["allow"] == "DELETE, GET, OPTIONS"
    assert ask(app, "OPTIONS", "/v1/orders/1").headers["allow"] == "OPTIONS, POST"


def test_an_included_request_is_charged_once() -> None:
    app, _ = shop(limits=["2/minute;name=tenant"])
    for _ in range(2):
        assert ask(app, "DELETE", "/v1/orders/7/items/3", IDENTITY).status_code == 200
    assert_refused(ask(app, "DELETE", "/v1/orders/7/items/3", IDENTITY), 429, "rate_limited")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("depth", ["outer", "inner"])
def test_an_included_route_without_a_declaration_is_refused(when: str, depth: str) -> None:
    app, gate = made()
    outer, inner = routers()
    router = outer if depth == "outer" else inner

    def forget() -> None:
        @router.get("/forgotten")
        async def forgotten() -> None: ...

    place = "/v1/orders/forgotten" if depth == "outer" else r"/v1/orders/\{order_id\}/items/forgotten"
    if when == "before":
        forget()
    app.include_router(outer, prefix="/v1")
    if when == "before":
        with pytest.raises(ConfigurationError, match=f"route {place} declares nothing"):
            install(app, gate)
    else:
        install(app, gate)
        with pytest.raises(ConfigurationError, match=f"route {place} declares nothing"):
            forget()


def test_routes_and_routers_that_come_later_are_guarded() -> None:
    app, _ = shop()
    late, later = APIRouter(prefix="/late"), APIRouter()

    @late.get("/{item}")
    @require("gdpr_manage")
    async def erase(item: str) -> None: ...

    app.include_router(late)

    @late.get("/second/{item}")
    @require("payment_process")
    async def charge(item: str) -> str:
        return item

    @later.get("/third")
    @require("gdpr_manage")
    async def third() -> None: ...

    late.include_router(later)
    assert_refused(ask(app, "GET", "/late/1", IDENTITY), 403, "missing_role")
    assert_refused(ask(app, "GET", "/late/second/1"), 400, "missing_tenant_id")
    assert ask(app, "GET", "/late/second/1", IDENTITY).json() == "1"
    assert_refused(ask(app, "GET", "/late/third", IDENTITY), 403, "missing_role")


def test_one_router_at_two_prefixes_is_guarded_at_both() -> None:
    app, gate = made()
    router = APIRouter()

    @router.get("/a")
    @require("gdpr_manage")
    async def erase() -> None: ...

    app.include_router(router, prefix="/one")
    app.include_router(router, prefix="/two")
    install(app, gate, rules={"/one/late": public(), "/two/later": public()})
    for prefix in ("/one", "/two"):
        assert_refused(ask(app, "GET", f"{prefix}/a", IDENTITY), 403, "missing_role")
    with pytest.raises(ConfigurationError, match="route /two/late declares nothing"):
        router.add_api_route("/late", lambda: None)
    with pytest.raises(ConfigurationError, match="route /one/later declares nothing"):
        router.add_api_route("/later", lambda: None)


def test_a_mounted_application_with_included_routers_is_guarded_by_its_whole_path() -> None:
    app, gate = made()
    inner = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    outer, _ = routers()
    inner.include_router(outer, prefix="/v1")
    app.mount("/sub", inner)
    install(app, gate)
    assert_refused(ask(app, "GET", "/sub/v1/orders/1/items/2", IDENTITY), 403, "missing_role")
    assert_refused(ask(app, "GET", "/sub/v1/orders/1/items/2"), 400, "missing_tenant_id")
    assert ask(app, "DELETE", "/sub/v1/orders/1/items/2", IDENTITY).json() == {"removed": 2}
    answer = ask(app, "PUT", "/sub/v1/orders/1/items/2", IDENTITY)
    assert_refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "DELETE, GET, OPTIONS"
    assert_refused(ask(app, "DELETE", "/sub/v1/orders/1/items/x", IDENTITY), 422, "unprocessable")
    with pytest.raises(ConfigurationError, match="route /sub/v1/orders/late declares nothing"):
        outer.add_api_route("/late", lambda: None)


def test_starlette_routes_and_mounts_of_an_included_router_are_guarded() -> None:
    app, gate = made()
    router = APIRouter()

    @require("gdpr_manage")
    async def erase(_request: Any) -> None: ...

    @authenticated()
    async def page(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("a page")

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("mounted")(scope, receive, send)

    router.add_route("/plain", erase)
    router.routes.append(Mount("/sub", routes=[Route("/page", page)]))
    router.routes.append(Mount("/asgi", asgi))
    app.include_router(router, prefix="/v1")
    install(app, gate, rules={"/v1/asgi": public()})
    assert_refused(ask(app, "GET", "/v1/plain", IDENTITY), 403, "missing_role")
    assert_refused(ask(app, "GET", "/v1/sub/page"), 400, "missing_tenant_id")
    assert ask(app, "GET", "/v1/sub/page", IDENTITY).text == "a page"
    assert ask(app, "GET", "/v1/asgi/x").text == "mounted"


def test_a_frontend_folder_is_no_way_around_the_gate(tmp_path: Any) -> None:
    app, gate = made()
    (tmp_path / "index.html").write_text("secret")
    app.frontend("/", directory=str(tmp_path))
    install(app, gate)
    assert_refused(ask(app, "GET", "/"), 400, "missing_tenant_id")
    assert_refused(ask(app, "GET", "/index.html", IDENTITY), 500, "internal_error")


def test_dependencies_threads_streams_see_the_context() -> None:
    app, _ = shop()
    assert ask(app, "GET", "/sync", IDENTITY).json() == {"who": "u-1", "again": "u-1", "main": False}
    assert ask(app, "GET", "/coroutine", IDENTITY).json() == {"who": "u-1"}
    assert ask(app, "GET", "/stream", IDENTITY).text == "u-1;u-1;u-1;"


def test_background_tasks_see_the_context() -> None:
    app, gate = made()
    seen: list[SecurityContext] = []

    @app.get("/later")
    @authenticated()
    async def later(tasks: BackgroundTasks) -> None:
        tasks.add_task(lambda: seen.append(current()))

        async def again() -> None:
            seen.append(current())

        tasks.add_task(again)

    install(app, gate)
    assert ask(app, "GET", "/later", IDENTITY).status_code == 200
    assert [context.actor.id for context in seen] == ["u-1", "u-1"]


def test_a_wrong_body_names_its_fields_and_repeats_nothing() -> None:
    app, _ = shop()
    sent = {"items": [{"price": "s3cret"}, {"price": 1, "name": "bad-s3cret"}, {"price": 1, "name": "taken"}, {}]}
    answer = ask(app, "POST", "/v1/orders/7", IDENTITY, json=sent)
    body = assert_refused(answer, 422, "unprocessable")
    assert body["errors"] == [
        {
            "field": "body.items.0.price",
            "message": "Input should be a valid integer, unable to parse string as an integer",
        },
        {"field": "body.items.1.name", "message": "is not valid"},
        {"field": "body.items.2.name", "message": "Value error, choose another one"},
        {"field": "body.items.3.price", "message": "Field required"},
    ]
    assert "s3cret" not in answer.text
    assert body.keys() == {"code", "message", "trace_id", "errors"}


def test_a_wrong_body_as_problem_details() -> None:
    app, _ = shop()
    answer = ask(app, "GET", "/open?limit=x", {"Accept": "application/problem+json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == "query.limit"


@pytest.mark.parametrize("sent", [b"{", b"\xff", b"[" * 10_000, b"null", b'{"items": 1}'])
def test_a_body_that_is_no_json_has_the_same_shape(sent: bytes) -> None:
    app, _ = shop()
    headers = {**IDENTITY, "Content-Type": "application/json"}
    answer = ask(app, "POST", "/v1/orders/7", headers, content=sent)
    assert answer.status_code in (400, 422)
    assert_refused(answer, answer.status_code, "unprocessable" if answer.status_code == 422 else "bad_request")


def test_validation_comes_after_the_gate() -> None:
    app, _ = shop()
    assert_refused(ask(app, "POST", "/v1/orders/x", json={}), 400, "missing_tenant_id")
    assert_refused(ask(app, "POST", "/v1/orders/x", {**IDENTITY, "X-Roles": "Support"}, json={}), 403, "missing_role")


def test_a_wrong_handshake_is_closed_without_its_values() -> None:
    app, gate = made()

    @app.websocket("/feed")
    @authenticated()
    async def feed(socket: WebSocket, limit: int) -> None: ...

    install(app, gate)
    headers = [(name.lower().encode(), value.encode()) for name, value in IDENTITY.items()]
    scope = {"type": "websocket", "path": "/feed", "query_string": b"limit=s3cret", "headers": headers}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


def test_fastapis_own_routes_are_declared_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"/openapi\.json declares nothing"):
        install(FastAPI(), Gate("shop", registry=CollectorRegistry()))
    app = FastAPI()
    install(app, Gate("shop", registry=CollectorRegistry()), rules=own_routes(app))
    assert ask(app, "GET", "/openapi.json").json()["info"]["title"] == "FastAPI"
    assert "swagger-ui" in ask(app, "GET", "/docs").text
    closed = FastAPI(docs_url=None)
    rules = own_routes(closed, require("audit_view"))
    assert "/docs" not in rules
    install(closed, Gate("shop", registry=CollectorRegistry()), rules=rules)
    assert_refused(ask(closed, "GET", "/openapi.json", IDENTITY), 403, "missing_role")


def test_over_a_real_server() -> None:
    app, _ = shop()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=asyncio.run, args=(server.serve([listener]),))
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline and thread.is_alive():
            thread.join(0.02)
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=5) as client:
            sent = {"items": [{"price": 1}]}
            assert client.post("/v1/orders/7", headers=IDENTITY, json=sent).json() == {"id": 7, "items": 1}
            assert_refused(client.post("/v1/orders/x", headers=IDENTITY, json=sent), 422, "unprocessable")
            assert_refused(client.get("/v1/orders/1/items/2", headers=IDENTITY), 403, "missing_role")
            assert client.get("/stream", headers=IDENTITY).text == "u-1;u-1;u-1;"
            assert client.get("/sync", headers=IDENTITY).json()["who"] == "u-1"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
    assert not thread.is_alive()
