"""What the whole middleware adds to a request, beside one `BaseHTTPMiddleware` that does nothing.

Three Starlette applications with the same route answer the same request in process, without sockets or a server.

Ours: the gate in full: context, in-memory rate limit with its response headers, policy check, error handling,
    metrics, the trace id in the answer. What a handler emits is its own and is measured by `emit`; a gate emits
    denials only.
basehttpmiddleware: one subclass of `BaseHTTPMiddleware` whose `dispatch` awaits `call_next` and nothing else.
starlette: bare.

`middleware/added` is the time over the bare application, subtracted round by round; `middleware/request` is the
whole request on each side. `middleware/added-with-event` has a handler that also emits one audit event, which is
delivered after the timed stretch.
Not shown: delivering the event, which takes its time from later requests on the same loop, about half as much
again as the gate adds; sockets, a server (see `throughput`), many connections.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks.paused_producer import MOST_WAITING, PausedProducer, paused_producer
from benchmarks.result import TimesBetter, compare, over
from benchmarks.rounds import Contender, measure
from benchmarks.sample_request import CAPABILITY, HEADERS
from tenaudit.adapters.starlette import install, require
from tenaudit.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]

_PATH = "/payments/p-1"
_RAW_HEADERS = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in HEADERS]


def run(plan: Plan, _note: Callable[[str], None]) -> Iterator[Result]:
    """Yield `middleware/added`, `middleware/request` and `middleware/added-with-event`."""
    registry = CollectorRegistry()
    with paused_producer(registry) as paused:
        peers = {"starlette": _bare(), "basehttpmiddleware": _noop()}
        apps = {"ours": _ours(_pay, registry), **peers}
        samples = measure([_side(name, app, paused) for name, app in apps.items()], plan)
        apps = {"ours": _ours(_emitting(paused), registry), **peers}
        with_event = measure([_side(name, app, paused) for name, app in apps.items()], plan)
    yield compare(
        "middleware/added",
        over(samples, "starlette"),
        unit="us",
        scale=1e6,
        targets=[TimesBetter(4, "basehttpmiddleware")],
    )
    yield compare("middleware/request", samples, unit="us", scale=1e6)
    yield compare("middleware/added-with-event", over(with_event, "starlette"), unit="us", scale=1e6)


def _side(name: str, app: Starlette, paused: PausedProducer) -> Contender:
    async def serve(count: int) -> None:
        for _ in repeat(None, count):
            await app(_scope(), _receive, _send)

    def run(count: int) -> None:
        paused.loop.run_until_complete(serve(count))

    return Contender(name, run, paused.drain, MOST_WAITING)


async def _pay(_request: Request) -> Response:
    return PlainTextResponse("ok")


def _bare() -> Starlette:
    return Starlette(routes=[Route("/payments/{id}", _pay)])


def _noop() -> Starlette:
    class Noop(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Callable[[Request], Any]) -> Any:
            return await call_next(request)

    app = _bare()
    app.add_middleware(Noop)
    return app


def _emitting(paused: PausedProducer) -> Callable[[Request], Any]:
    async def pay(_request: Request) -> Response:
        paused.producer.emit(
            "payment.processed",
            resource_type="payment",
            resource_id="p-1",
            payload={"amount": 1999, "currency": "EUR"},
        )
        return PlainTextResponse("ok")

    return pay


def _ours(handler: Callable[[Request], Any], registry: CollectorRegistry) -> Starlette:
    # A function of its own, since the bare application serves the same handler without a declaration.
    @require(CAPABILITY)
    async def pay(request: Request) -> Any:
        return await handler(request)

    app = Starlette(routes=[Route("/payments/{id}", pay)])
    install(app, Gate("payments", registry=registry, limits=["1000000/second"]))
    return app


def _scope() -> dict[str, Any]:
    """Make a new scope, as a server does: applications write to it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": _PATH,
        "raw_path": _PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": _RAW_HEADERS,
        "client": ("203.0.113.7", 50_000),
        "server": ("127.0.0.1", 8443),
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Any) -> None:
    """Forget the answer, unless it is a refusal: those are cheaper than the work that is to be timed."""
    if message["type"] == "http.response.start" and message["status"] != 200:
        raise RuntimeError(f"answered {message['status']}")
