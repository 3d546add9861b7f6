"""Ways to answers in a foreign shape, round the guard and to lost slots in the aiohttp adapter, over raw sockets."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web, web_urldispatcher
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, Gate
from tenaudit.adapters.aiohttp import authenticated, install, public
from tenaudit.gate import RequestView
from tenaudit.ratelimit import InMemoryEngine
from tenaudit.security import (
    ContextSigner,
    ContextVerifier,
    SecuritySettings,
    SignatureKey,
    SignedTarget,
    bind_context,
    context_or_none,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IDENTITY = [("X-Tenant-ID", "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"), ("X-Roles", "Cashier"), ("X-User-ID", "u-1")]
KEY = SignatureKey.hmac_sha256("k1", b"an example secret of 32 bytes!!!")
HOST = [("Host", "shop.test")]


def gate_of(**options: Any) -> Gate:
    return Gate("shop", registry=CollectorRegistry(), **options)


@public()
async def who(_request: web.Request) -> web.Response:
    return web.Response(text=repr(context_or_none()))


def app_of(*routes: web.RouteDef, undeclared: str = "refuse", **options: Any) -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    install(app, gate_of(**options), undeclared=undeclared)
    return app


class Answer:
    def __init__(self, received: bytes) -> None:
        head, _, self.body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}

    def refused(self, status: int, code: str) -> bool:
        envelope = json.loads(self.body)
        assert envelope["trace_id"] == self.headers["x-trace-id"]
        assert int(self.headers["content-length"]) == len(self.body)
        return (self.status, self.headers["x-error-code"], envelope["code"]) == (status, code, code)


def ask(
    app: web.Application, target: str, headers: Sequence[tuple[str, str]], method: str = "GET", version: str = "1.1"
) -> Answer:
    lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in headers)]

    async def main() -> bytes:
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
            writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
            try:
                return await asyncio.wait_for(reader.read(), 10)
            finally:
                writer.close()
        finally:
            await runner.cleanup()

    return Answer(asyncio.run(main()))


def test_a_connection_that_starts_in_the_context_of_another_request_sees_nothing_of_it() -> None:
    other = gate_of().recognize(RequestView(IDENTITY)).context
    assert other is not None
    with bind_context(other):
        assert ask(app_of(web.get("/", who)), "/", HOST).body == b"None"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=1", "\u20ac"])
@pytest.mark.parametrize("kind", [web.HTTPForbidden, ApiError])
def test_a_header_that_cannot_be_sent_is_left_out_of_the_error(kind: Any, value: str) -> None:
    @authenticated()
    async def refuse(_request: web.Request) -> web.Response:
        if kind is ApiError:
            error = ApiError(403, "forbidden", "Forbidden.")
            error.headers = (("X-More", value), ("X-Fine", "1"))
            raise error
        raise web.HTTPForbidden(headers={"X-More": value, "X-Fine": "1"})

    answer = ask(app_of(web.get("/", refuse)), "/", [*HOST, *IDENTITY])
    assert answer.refused(403, "forbidden")
    assert answer.headers["x-fine"] == "1"
    assert not {"x-more", "set-cookie"} & answer.headers.keys()


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_an_expectation_that_aiohttp_refuses_by_itself_has_our_shape(path: str) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = [*HOST, ("Expect", "the impossible"), ("traceparent", f"00-{trace}-b7ad6b7169203331-01")]
    answer = ask(app_of(web.get("/", who)), path, headers)
    assert answer.refused(417, "bad_request")
    assert answer.headers["x-trace-id"] == trace
    assert answer.headers["content-type"] == "application/json"
    assert ask(app_of(web.get("/", who)), "/", [*HOST, ("Expect", "100-continue")]).status == 100


def test_a_response_of_middleware_outside_is_left_as_it_is() -> None:
    @web.middleware
    async def outside(request: web.Request, handler: Any) -> web.StreamResponse:
        del request, handler
        return web.Response(text="outside")

    app = app_of(web.get("/", who))
    app.middlewares.insert(0, outside)
    answer = ask(app, "/", HOST)
    assert (answer.body, "x-trace-id" in answer.headers) == (b"outside", False)


class NoRefunds:
    def __init__(self) -> None:
        self._inner = InMemoryEngine()

    async def hit(self, key: str, *rules: Any, cost: int = 1) -> Any:
        return await self._inner.hit(key, *rules, cost=cost)

    async def refund(self, *_args: Any, **_options: Any) -> None:
        raise ConnectionError("redis://:secret@host")


def test_a_limiter_that_takes_no_slot_back_does_not_spoil_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of(web.get("/", who), limiter=NoRefunds(), limits=["5 concurrent"])
    answer = ask(app, "/", [*HOST, *IDENTITY])
    assert (answer.status, b"u-1" in answer.body) == (200, True)
    assert "slots_not_released" in [getattr(record, "action", "") for record in caplog.records]


def test_a_function_for_any_method_is_not_public_for_options() -> None:
    async def proxy(_request: web.Request) -> web.Response:
        return web.Response(text="reached")

    routes = web.route("*", "/", proxy)
    assert ask(app_of(routes, undeclared="identify"), "/", HOST, "OPTIONS").refused(400, "missing_tenant_id")
    assert ask(app_of(routes, undeclared="identify"), "/", [*HOST, *IDENTITY], "OPTIONS").body == b"reached"


@pytest.mark.parametrize(
    ("line", "host", "status"),
    [
        ("/", "shop.test", 200),
        ("http://shop.test/", "shop.test", 200),
        ("http://SHOP.test/", "shop.test", 200),
        ("http://shop.test:81/", "shop.test:81", 401),
        ("http://shop.test:81/", "shop.test", 401),
        ("http://bank.test/", "shop.test", 401),
        ("http://shop.test/", "bank.test", 401),
        ("http://user@shop.test/", "shop.test", 401),
        ("//shop.test/", "shop.test", 401),
        ("/", None, 401),
    ],
)
def test_a_signed_context_is_bound_to_the_authority_however_it_is_sent(
    line: str, host: str | None, status: int
) -> None:
    signed = [*IDENTITY, *ContextSigner(KEY).sign(IDENTITY, SignedTarget("GET", "shop.test", "/"))]

    @authenticated()
    async def handler(_request: web.Request) -> web.Response:
        return web.Response()

    app = app_of(web.get("/", handler), security=SecuritySettings(trust="signed", verifier=ContextVerifier([KEY])))
    headers = signed if host is None else [("Host", host), *signed]
    assert ask(app, line, headers, version="1.0" if host is None else "1.1").status == status


class Unlisted(web.AbstractResource):
    """A resource whose routes are not among those of the router."""

    def __init__(self, handler: Any) -> None:
        super().__init__()
        self._route: Any = web_urldispatcher.ResourceRoute("GET", handler, cast("Any", self))

    @property
    def canonical(self) -> str:
        return "/unlisted"

    async def resolve(self, request: web.Request) -> Any:
        matches = request.path == "/unlisted"
        return (web.UrlMappingMatchInfo({}, self._route) if matches else None), set()

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def add_prefix(self, prefix: str) -> None: ...
    def freeze(self) -> None: ...
    def get_info(self) -> Any: ...
    def raw_match(self, path: str) -> bool:
        return path == "/unlisted"

    def url_for(self, **_parts: str) -> Any: ...


def test_a_route_that_is_not_listed_is_asked_for_its_declaration_all_the_same() -> None:
    async def bare(_request: web.Request) -> web.Response:
        raise AssertionError("must not be reached")

    app = app_of()
    app.router.register_resource(Unlisted(bare))
    assert ask(app, "/unlisted", [*HOST, *IDENTITY]).refused(500, "internal_error")
    app = app_of()
    app.router.register_resource(Unlisted(who))
    assert ask(app, "/unlisted", HOST).body == b"None"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=1", "a\nb", "a\rb"])
def test_no_handler_splits_a_response(value: str) -> None:
    @public()
    async def reflect(_request: web.Request) -> web.Response:
        return web.Response(text="split", headers={"X-More": value})

    assert ask(app_of(web.get("/", reflect)), "/", HOST).refused(500, "internal_error")
