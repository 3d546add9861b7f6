"""Streamed replies over aiohttp: a client that goes ends them, one that reads too slowly breaks them off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, web
from prometheus_client import CollectorRegistry

from tenaudit import Gate
from tenaudit.adapters.aiohttp import authenticated, current, install
from tenaudit.adapters.aiohttp.stream import streamed_response
from tenaudit.gate import StreamedReply

IDENTITY = {"X-Tenant-ID": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", "X-User-ID": "u-1", "X-Roles": "Support"}


class Service:
    """One route that streams what the test says, on a real socket."""

    def __init__(self, pieces: Callable[[], AsyncGenerator[bytes, None]]) -> None:
        self.closed = asyncio.Event()
        self.error: BaseException | None = None
        self._pieces = pieces

    async def talk(self, case: Callable[[int], Awaitable[None]]) -> None:
        @authenticated()
        async def stream(request: web.Request) -> web.StreamResponse:
            reply = StreamedReply(
                202, (("content-type", "text/plain"),), self._pieces(), step_seconds=5, send_seconds=0.2,
                on_close=self.closed.set,
            )  # fmt: skip
            try:
                return await streamed_response(request, reply)
            except BaseException as error:
                self.error = error
                raise

        app = web.Application()
        app.add_routes([web.get("/stream", stream)])
        install(app, Gate("shop", registry=CollectorRegistry()))
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            await asyncio.wait_for(case(runner.addresses[0][1]), 20)
        finally:
            await runner.cleanup()


async def two() -> AsyncGenerator[bytes, None]:
    for _ in range(2):
        yield f"{current().actor.id};".encode()


async def one_and_wait() -> AsyncGenerator[bytes, None]:
    yield b"one"
    await asyncio.Event().wait()


async def without_end() -> AsyncGenerator[bytes, None]:
    while True:
        yield bytes(2**20)


async def one_and_fail() -> AsyncGenerator[bytes, None]:
    yield b"one"
    raise LookupError


def run(pieces: Any, case: Any) -> None:
    async def main() -> None:
        service = Service(pieces)
        await service.talk(lambda port: case(service, port))

    asyncio.run(main())


async def opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = ["GET /stream HTTP/1.1", "Host: shop", *(f"{name}: {value}" for name, value in IDENTITY.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


@pytest.mark.parametrize(("method", "body"), [("GET", b"u-1;u-1;"), ("HEAD", b"")])
def test_pieces_are_made_in_the_context_of_the_request(method: str, body: bytes) -> None:
    async def case(service: Service, port: int) -> None:
        async with ClientSession(timeout=ClientTimeout(10)) as session:
            url = f"http://127.0.0.1:{port}/stream"
            async with session.request(method, url, headers=IDENTITY) as answer:
                assert (answer.status, answer.content_type, await answer.read()) == (202, "text/plain", body)
        await service.closed.wait()
        assert service.error is None

    run(two, case)


def test_a_client_that_goes_ends_a_body_that_waits() -> None:
    async def case(service: Service, port: int) -> None:
        reader, writer = await opened(port)
        await reader.readuntil(b"one")
        writer.close()
        await service.closed.wait()
        assert service.error is None

    run(one_and_wait, case)


def test_a_client_that_goes_ends_a_body_that_is_written() -> None:
    async def case(service: Service, port: int) -> None:
        reader, writer = await opened(port)
        await reader.readexactly(100)
        writer.transport.abort()
        await service.closed.wait()

    run(without_end, case)


def test_a_client_that_does_not_read_is_broken_off() -> None:
    async def case(service: Service, port: int) -> None:
        _, writer = await opened(port)
        await service.closed.wait()
        writer.close()
        await asyncio.sleep(0)
        assert isinstance(service.error, TimeoutError)

    run(without_end, case)


def test_a_body_that_fails_breaks_the_answer_off() -> None:
    async def case(service: Service, port: int) -> None:
        reader, writer = await opened(port)
        assert not (await reader.read()).endswith(b"0\r\n\r\n")
        writer.close()
        assert isinstance(service.error, LookupError)

    run(one_and_fail, case)
