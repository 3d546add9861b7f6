"""The two applications that the throughput case serves."""

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


ours = Starlette(routes=[Route("/payments/{id}", guarded_pay)])
install(ours, Gate("payments", registry=CollectorRegistry(), limits=["1000000/second", "100000000/minute"]))
