"""What it costs to read the security context of one request from its twelve headers.

Ours: `extract_context`: tenant, actor, roles, trace and user agent, with every refusal checked.
otel-tracecontext: OpenTelemetry's W3C propagator on the same headers. It reads the trace alone, so it does a part
    of our work (and more with it: it makes a span context ready to be a parent).
pyjwt-hs256: `jwt.decode` of a token that carries the same identity, signature, audience and issuer checked. It is
    what a service does that verifies the token itself, instead of trusting headers of a mesh: it proves more.

Neither peer does the same work as ours; read the ratios as what the alternatives cost, not as a race.
Not shown: signed headers (see `signed`), and callers that are new (what 4096 of them stated is remembered).
"""

from __future__ import annotations

import time
from itertools import repeat
from typing import TYPE_CHECKING

from benchmarks.peer import Peer, installed
from benchmarks.result import AtMost, compare
from benchmarks.rounds import Contender, measure
from benchmarks.sample_request import CONTEXT, HEADERS
from tenaudit.security import extract_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield the one result."""
    peers = installed(
        [Peer("otel-tracecontext", "opentelemetry-sdk", _tracecontext), Peer("pyjwt-hs256", "pyjwt", _pyjwt)], note
    )
    yield compare("extract", measure([_ours(), *peers], plan), unit="us", scale=1e6, targets=[AtMost(6)])


def _ours() -> Contender:
    def run(count: int) -> None:
        for _ in repeat(None, count):
            extract_context(HEADERS)

    return Contender("ours", run)


def _tracecontext() -> Contender:
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {name.lower(): value for name, value in HEADERS}
    extract = TraceContextTextMapPropagator().extract
    if f"{get_current_span(extract(carrier)).get_span_context().trace_id:032x}" != CONTEXT.trace.trace_id:
        raise RuntimeError("otel-tracecontext reads another trace")

    def run(count: int) -> None:
        for _ in repeat(None, count):
            extract(carrier)

    return Contender("otel-tracecontext", run)


def _pyjwt() -> Contender:
    import jwt

    key = "k" * 32
    now = int(time.time())
    token = jwt.encode(
        {
            "sub": CONTEXT.actor.id,
            "tenant": str(CONTEXT.tenant_id),
            "roles": sorted(CONTEXT.roles),
            "iss": "https://id.example",
            "aud": "payments",
            "iat": now,
            "exp": now + 86_400,
        },
        key,
        algorithm="HS256",
    )
    decode = jwt.decode

    def run(count: int) -> None:
        for _ in repeat(None, count):
            decode(token, key, algorithms=["HS256"], audience="payments", issuer="https://id.example")

    return Contender("pyjwt-hs256", run)
