"""10 000 requests of as many tenants, interleaved on one loop and on a pool of threads: each sees its own context."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from flask import Flask, request
from flask import Response as FlaskResponse
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tenaudit import Gate
from tenaudit.adapters import aiohttp as for_aiohttp
from tenaudit.adapters import flask as for_flask
from tenaudit.adapters import starlette as for_starlette
from tenaudit.gate import authenticated, public
from tenaudit.security import NoContextError, current_context
from tests.conformance.http.isolation_record import REQUESTS, Record, check_bodies, headers_of, number_of, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

DEADLINE = 60.0


@pytest.fixture
def record() -> Iterator[Record]:
    yield Record()
    with pytest.raises(NoContextError):
        current_context()


def gate() -> Gate:
    return Gate("shop", registry=CollectorRegistry())


# Starlette


def starlette_app(record: Record, handler: Any) -> Any:
    """Return an application with one of our middlewares before the gate's and one after it."""

    class Inner:
        def __init__(self, app: Any) -> None:
            self._app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            record.look(number_of(scope["path"]))
            await self._app(scope, receive, send)
            record.look(number_of(scope["path"]))

    app = Starlette(
        routes=[Route("/own/{number}", authenticated()(handler)), Route("/public/{number}", public()(partial(handler)))]
    )
    app.add_middleware(Inner)
    for_starlette.install(app, gate())

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        context = for_starlette.context_of(scope)
        record.note(number_of(scope["path"]), None if context is None else context.tenant_id)

    return outer


async def ask_starlette(app: Any, number: int) -> bytes:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path_of(number),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers_of(number)],
        "client": ("192.0.2.1", 1),
        "server": ("shop.test", 80),
    }
    body = b""

    async def receive() -> Any:
        # The client stays; Starlette stops waiting for it to leave when the body is out.
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        nonlocal body
        await asyncio.sleep(0)
        body += message.get("body", b"")

    await app(scope, receive, send)
    return body


async def ask_all(app: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        bodies = await asyncio.gather(*(ask_starlette(app, number) for number in range(REQUESTS)))
    check_bodies(bodies)


def test_on_one_loop(record: Record) -> None:
    async def handler(request: Request) -> Response:
        number = number_of(request.url.path)
        for turn in range(4):
            record.look(number)
            # Some wait for long, some not at all, so that no two take the same steps.
            for _ in range((number + turn) % 3):
                await asyncio.sleep(0)
        await asyncio.create_task(later(number))
        return Response(str(number), background=BackgroundTask(later, number))

    async def later(number: int) -> None:
        await asyncio.sleep(0)
        record.look(number)

    asyncio.run(ask_all(starlette_app(record, handler)))
    record.check(looks=9)


def test_on_one_loop_while_bodies_are_streamed(record: Record) -> None:
    async def handler(request: Request) -> Response:
        number = number_of(request.url.path)

        async def pieces() -> AsyncIterator[bytes]:
            for digit in str(number):
                await asyncio.sleep(0)
                yield digit.encode()
            record.look(number)

        return StreamingResponse(pieces())

    asyncio.run(ask_all(starlette_app(record, handler)))
    record.check(looks=4)


@contextmanager
def eager_switching() -> Iterator[None]:
    """Let threads take turns a thousand times as often as they do by themselves."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def test_on_the_threads_of_a_loop(record: Record) -> None:
    def handler(request: Request) -> Response:
        number = number_of(request.url.path)
        for _ in range(3):
            record.look(number)
        return Response(str(number))

    with eager_switching():
        asyncio.run(ask_all(starlette_app(record, handler)))
    record.check(looks=6)


# Flask


def flask_app(record: Record) -> Any:
    def handler(number: int) -> FlaskResponse:
        for _ in range(3):
            record.look(number)

        def pieces() -> Iterator[bytes]:
            for digit in str(number):
                yield digit.encode()
            record.look(number)

        return FlaskResponse(pieces())

    app = Flask("shop")
    app.add_url_rule("/own/<int:number>", "own", authenticated()(handler))
    app.add_url_rule("/public/<int:number>", "public", public()(partial(handler)))
    app.before_request(lambda: record.look(number_of(request.path)))
    for_flask.install(app, gate())

    def outer(environ: Any) -> bytes:
        parts = app.wsgi_app(environ, lambda *_: lambda _data: None)
        body = b"".join(parts)
        getattr(parts, "close", lambda: None)()
        context = for_flask.context_of(environ)
        record.note(number_of(environ["PATH_INFO"]), None if context is None else context.tenant_id)
        return body

    return outer


def test_on_a_pool_of_threads(record: Record) -> None:
    app = flask_app(record)

    def ask(number: int) -> bytes:
        with pytest.raises(NoContextError):
            current_context()
        body: bytes = app(
            {
                "REQUEST_METHOD": "GET",
                "SCRIPT_NAME": "",
                "PATH_INFO": path_of(number),
                "SERVER_NAME": "shop.test",
                "SERVER_PORT": "80",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "wsgi.url_scheme": "http",
                **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers_of(number)},
            }
        )
        return body

    with eager_switching(), ThreadPoolExecutor(16) as pool:
        bodies = list(pool.map(ask, range(REQUESTS), timeout=DEADLINE))
    check_bodies(bodies)
    record.check(looks=6)


# aiohttp


def aiohttp_app(record: Record) -> web.Application:
    @web.middleware
    async def outer(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        context = for_aiohttp.context_of(request)
        record.note(number_of(request.path), None if context is None else context.tenant_id)
        return response

    @web.middleware
    async def inner(request: web.Request, handler: Any) -> web.StreamResponse:
        record.look(number_of(request.path))
        response: web.StreamResponse = await handler(request)
        record.look(number_of(request.path))
        return response

    async def handler(request: web.Request) -> web.Response:
        number = number_of(request.path)
        for turn in range(4):
            record.look(number)
            for _ in range((number + turn) % 3):
                await asyncio.sleep(0)
        return web.Response(body=str(number).encode())

    app = web.Application(middlewares=[inner])
    app.router.add_get("/own/{number}", authenticated()(handler))
    app.router.add_get("/public/{number}", public()(partial(handler)))
    for_aiohttp.install(app, gate())
    app.middlewares.insert(0, outer)
    return app


async def ask_over(port: int, numbers: range) -> None:
    """Ask one after the other on one connection, which one task of aiohttp serves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in numbers:
        lines = [f"GET {path_of(number)} HTTP/1.1", "Host: shop.test", *map(": ".join, headers_of(number)), "", ""]
        writer.write("\r\n".join(lines).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(len(str(number))) == str(number).encode()
    writer.close()
    await writer.wait_closed()


def test_on_one_loop_with_kept_connections(record: Record) -> None:
    connections = 51

    async def main() -> None:
        runner = web.AppRunner(aiohttp_app(record), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            async with asyncio.timeout(DEADLINE):
                # 51 and 10 share no divisor, so tenants and strangers follow each other on each connection.
                await asyncio.gather(
                    *(ask_over(port, range(first, REQUESTS, connections)) for first in range(connections))
                )
        finally:
            await runner.cleanup()

    asyncio.run(main())
    record.check(looks=7)
