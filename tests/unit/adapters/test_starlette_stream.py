"""Streamed replies over ASGI: a client that goes ends them, one that reads too slowly breaks them off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tenaudit.adapters.starlette.stream import StreamedResponse
from tenaudit.gate import StreamedReply

HEADERS = (("Content-Type", "text/plain"),)


class Connection:
    """An ASGI connection under the test's control."""

    def __init__(self, *, method: str = "GET") -> None:
        self.scope: Any = {"type": "http", "method": method}
        self.sent: list[Any] = []
        self.gone = asyncio.Event()
        self.fails_at = 99
        self.blocks = False
        self._asked = False

    async def receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if len(self.sent) == self.fails_at:
            raise ConnectionResetError
        self.sent.append(message)
        if self.blocks and message.get("body"):
            await asyncio.Event().wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


class Body:
    """A body that may wait for ever after its first piece, and notes its end."""

    def __init__(self, *, waits: bool = False, fails: bool = False) -> None:
        self.waiting = asyncio.Event()
        self.ended = self.released = False
        self.reply = StreamedReply(
            200, HEADERS, self._pieces(waits, fails), step_seconds=1, send_seconds=0.05, on_close=self._release
        )

    def _release(self) -> None:
        self.released = True

    async def _pieces(self, waits: bool, fails: bool) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one "
            self.waiting.set()
            if waits:
                await asyncio.Event().wait()
            if fails:
                raise LookupError
            yield b"two"
        finally:
            self.ended = True


def run(case: Any) -> None:
    asyncio.run(asyncio.wait_for(case(), 20))


async def serve(body: Body, connection: Connection) -> None:
    await StreamedResponse(body.reply)(connection.scope, connection.receive, connection.send)


def test_pieces_go_out_one_by_one() -> None:
    async def case() -> None:
        body, connection = Body(), Connection()
        await serve(body, connection)
        assert connection.sent == [
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]},
            {"type": "http.response.body", "body": b"one ", "more_body": True},
            {"type": "http.response.body", "body": b"two", "more_body": True},
            {"type": "http.response.body", "body": b""},
        ]
        assert body.ended
        assert body.released

    run(case)


def test_of_head_nothing_is_made() -> None:
    async def case() -> None:
        body, connection = Body(), Connection(method="HEAD")
        await serve(body, connection)
        assert (len(connection.sent), connection.body) == (2, b"")
        assert (body.ended, body.released) == (False, True)

    run(case)


def test_a_client_that_goes_ends_a_body_that_waits() -> None:
    async def case() -> None:
        body, connection = Body(waits=True), Connection()
        serving = asyncio.ensure_future(serve(body, connection))
        await body.waiting.wait()
        connection.gone.set()
        await serving
        assert (len(connection.sent), connection.body) == (2, b"one ")
        assert body.ended
        assert body.released

    run(case)


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_a_server_that_says_the_client_has_gone_is_believed(fails_at: int) -> None:
    async def case() -> None:
        body, connection = Body(), Connection()
        connection.fails_at = fails_at
        await serve(body, connection)
        assert len(connection.sent) == fails_at
        assert body.released

    run(case)


def test_a_client_that_does_not_read_is_broken_off() -> None:
    async def case() -> None:
        body, connection = Body(), Connection()
        connection.blocks = True
        with pytest.raises(TimeoutError):
            await serve(body, connection)
        assert body.ended
        assert body.released

    run(case)


def test_a_body_that_fails_breaks_the_answer_off() -> None:
    async def case() -> None:
        body, connection = Body(fails=True), Connection()
        with pytest.raises(LookupError):
            await serve(body, connection)
        assert connection.sent[-1]["more_body"]
        assert body.released

    run(case)


def test_a_request_that_is_cancelled_ends_its_body() -> None:
    async def case() -> None:
        body, connection = Body(waits=True), Connection()
        serving = asyncio.ensure_future(serve(body, connection))
        await body.waiting.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert body.ended
        assert body.released

    run(case)
