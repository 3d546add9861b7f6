"""The applications that the throughput case serves."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from benchmarks.sample_request import CAPABILITY
from tenaudit.adapters.starlette import install, require
from tenaudit.gate import Gate


async def pay(_request: object) -> Response:
    return PlainTextResponse("ok")


starlette = Starlette(routes=[Route("/payments/{id}", pay)])


@require(CAPABILITY)
async def guarded_pay(_request: object) -> Response:
    return PlainTextResponse("ok")


def guarded(*limits: str) -> Starlette:
    app = Starlette(routes=[Route("/payments/{id}", guarded_pay)])
    install(app, Gate("payments", registry=CollectorRegistry(), limits=limits))
    return app


limited = guarded("1000000/second")
unlimited = guarded()
