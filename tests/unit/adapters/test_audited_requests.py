"""A handler under `@audited` finds its gate's producer in every framework, and the request's own context."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from flask import Flask
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tenaudit import ApiError, AuditProducer, Gate
from tenaudit.adapters import aiohttp as for_aiohttp
from tenaudit.adapters import flask as for_flask
from tenaudit.adapters import starlette as for_starlette
from tenaudit.audit import audited
from tenaudit.audit.bound_producer import BOUND_PRODUCER
from tenaudit.backends.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
IDENTITY = {"X-Tenant-ID": TENANT, "X-Roles": "Cashier", "X-User-ID": "u-1"}


@audited("order.created", resource="order:{order}")
def create(order: str) -> str:
    if order == "taken":
        raise ApiError.conflict("There is one.")
    return order


def told(ask: Callable[[Gate], Awaitable[list[int]]]) -> None:
    """Ask for two orders, of which one is refused, and compare what was recorded."""

    async def main() -> tuple[list[int], list[Any]]:
        sink = MemorySink()
        registry = CollectorRegistry()
        async with AuditProducer(sink, service="shop", registry=registry) as producer:
            statuses = await ask(Gate("shop", producer=producer, registry=registry))
        return statuses, sink.events

    statuses, events = asyncio.run(main())
    assert statuses == [200, 409]
    assert [(event.action, event.resource_id, event.outcome) for event in events] == [
        ("order.created", "o-1", "success"),
        ("order.created", "taken", "failure"),
    ]
    assert {(str(event.tenant_id), event.actor_id) for event in events} == {(TENANT, "u-1")}
    assert BOUND_PRODUCER.get() is None


def test_in_starlette() -> None:
    @for_starlette.authenticated()
    async def order(request: Any) -> PlainTextResponse:
        return PlainTextResponse(create(request.path_params["order"]))

    async def ask(gate: Gate) -> list[int]:
        app = Starlette(routes=[Route("/orders/{order}", order)])
        for_starlette.install(app, gate)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            return [(await client.get(f"/orders/{name}", headers=IDENTITY)).status_code for name in ("o-1", "taken")]

    told(ask)


def test_in_aiohttp() -> None:
    @for_aiohttp.authenticated()
    async def order(request: web.Request) -> web.Response:
        return web.Response(text=create(request.match_info["order"]))

    async def ask(gate: Gate) -> list[int]:
        app = web.Application()
        app.add_routes([web.get("/orders/{order}", order)])
        for_aiohttp.install(app, gate)
        async with TestClient(TestServer(app)) as client:
            return [(await client.get(f"/orders/{name}", headers=IDENTITY)).status for name in ("o-1", "taken")]

    told(ask)


def test_in_flask() -> None:
    async def ask(gate: Gate) -> list[int]:
        app = Flask("shop")

        @app.get("/orders/<order>")
        @for_flask.authenticated()
        def order(order: str) -> str:
            return create(order)

        for_flask.install(app, gate)
        client = app.test_client()
        return [
            (await asyncio.to_thread(client.get, f"/orders/{name}", headers=IDENTITY)).status_code
            for name in ("o-1", "taken")
        ]

    told(ask)
