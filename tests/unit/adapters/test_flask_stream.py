"""Streamed replies over WSGI: made on the portal's loop, closed with the response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from flask import Flask, Response
from prometheus_client import CollectorRegistry

from tenaudit import Gate
from tenaudit.adapters.flask import authenticated, current, install
from tenaudit.adapters.flask.stream import streamed_response
from tenaudit.gate import StreamedReply

IDENTITY = {"X-Tenant-ID": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", "X-User-ID": "u-1", "X-Roles": "Support"}


def make(*, waits: bool = False) -> tuple[Flask, list[str]]:
    events: list[str] = []

    async def pieces() -> AsyncGenerator[bytes, None]:
        try:
            yield f"{current().actor.id};".encode()
            if waits:
                await asyncio.Event().wait()
            yield f"{current().actor.id};".encode()
        finally:
            events.append("ended")

    app = Flask("shop")
    install(app, Gate("shop", registry=CollectorRegistry()))

    @app.get("/stream")
    @authenticated()
    def stream() -> Response:
        body = pieces()
        headers = (("content-type", "text/plain"),)
        step = -0.9 if waits else 5.0
        return streamed_response(
            StreamedReply(202, headers, body, step_seconds=step, on_close=lambda: events.append("closed"))
        )

    return app, events


def test_pieces_are_made_in_the_context_of_the_request() -> None:
    app, events = make()
    answer = app.test_client().get("/stream", headers=IDENTITY)
    assert (answer.status_code, answer.headers["content-type"], answer.data) == (202, "text/plain", b"u-1;u-1;")
    answer.close()
    assert events == ["ended", "closed"]


def test_of_head_nothing_is_made_and_all_is_released() -> None:
    app, events = make()
    answer = app.test_client().head("/stream", headers=IDENTITY, buffered=True)
    assert (answer.status_code, answer.data) == (202, b"")
    assert events == ["closed"]


def test_a_response_that_is_closed_ends_its_body() -> None:
    app, events = make()
    answer = app.test_client().get("/stream", headers=IDENTITY)
    assert next(answer.iter_encoded()) == b"u-1;"
    answer.close()
    assert events == ["ended", "closed"]


def test_a_piece_that_takes_too_long_breaks_the_answer_off() -> None:
    app, events = make(waits=True)
    answer = app.test_client().get("/stream", headers=IDENTITY)
    pieces = answer.iter_encoded()
    assert next(pieces) == b"u-1;"
    with pytest.raises(TimeoutError):
        next(pieces)
    answer.close()
    assert events == ["ended", "closed"]
