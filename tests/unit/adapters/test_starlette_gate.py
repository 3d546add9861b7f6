"""The Starlette adapter in process: refusals in order, envelopes, contexts, headers, limits."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from tenaudit import AuditProducer, ConfigurationError, Gate
from tenaudit.adapters.starlette import authenticated, install, lifespan
from tenaudit.backends.memory import MemorySink
from tests.unit.adapters.shop import IDENTITY, TENANT, ask, assert_refused, make


def test_a_verified_context_reaches_the_handler_and_the_trace_reaches_the_client() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    app, _ = make()
    answer = ask(app, "POST", "/charge/1", {**IDENTITY, "traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert answer.status_code == 200
    assert answer.json() == {"tenant": TENANT, "actor": "u-1"}
    assert answer.headers["x-trace-id"] == trace


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("POST", "/charge/1", {}, 400, "missing_tenant_id"),
        ("POST", "/charge/1", {"X-Tenant-ID": "acme"}, 400, "invalid_tenant_id"),
        ("POST", "/charge/1", [("X-Tenant-ID", TENANT), ("X-Tenant-ID", TENANT)], 400, "ambiguous_header"),
        ("POST", "/charge/1", {**IDENTITY, "X_Roles": "Admin"}, 400, "ambiguous_header"),
        ("GET", "/nowhere", {}, 400, "missing_tenant_id"),
        ("GET", "/charge/1", {}, 400, "missing_tenant_id"),
        ("GET", "/nowhere", IDENTITY, 404, "not_found"),
        ("GET", "/charge/1", IDENTITY, 405, "method_not_allowed"),
        ("GET", "/erase", IDENTITY, 403, "missing_role"),
        ("GET", "/nested", IDENTITY, 403, "missing_role"),
        ("GET", "/crash", IDENTITY, 500, "internal_error"),
        ("GET", "/refuse", IDENTITY, 409, "order_closed"),
        ("GET", "/teapot", IDENTITY, 409, "conflict"),
    ],
)
def test_every_refusal_has_one_shape(method: str, path: str, headers: Any, status: int, code: str) -> None:
    app, _ = make()
    assert_refused(ask(app, method, path, headers), status, code)


def test_what_a_refusal_carries_beside_its_code() -> None:
    app, _ = make()
    assert ask(app, "GET", "/charge/1", IDENTITY).headers["allow"] == "OPTIONS, POST"
    assert ask(app, "GET", "/erase", IDENTITY).json()["missing_role"] == "gdpr_manage"
    teapot_answer = ask(app, "GET", "/teapot", IDENTITY)
    assert teapot_answer.json()["message"] == "Said by the handler."
    assert teapot_answer.headers["x-more"] == "1"
    assert "secret" not in ask(app, "GET", "/crash", IDENTITY).text


def test_a_denial_may_disclose_nothing() -> None:
    app, _ = make(disclose="none")
    assert "missing_role" not in ask(app, "GET", "/erase", IDENTITY).json()


def test_problem_details_on_request() -> None:
    app, _ = make()
    answer = ask(app, "GET", "/erase", {**IDENTITY, "Accept": "application/problem+json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 403
    assert answer.json()["code"] == "missing_role"


@pytest.mark.parametrize("path", ["/hello", "/sub/1/hello", "/internal/health", "/internal/metrics"])
def test_public_routes_need_no_identity(path: str) -> None:
    app, _ = make()
    assert ask(app, "GET", path).status_code == 200


def test_a_mounted_route_is_guarded_too() -> None:
    app, _ = make()
    assert_refused(ask(app, "GET", "/sub/charge"), 400, "missing_tenant_id")
    assert ask(app, "GET", "/sub/charge", IDENTITY).status_code == 200


def test_no_redirect_of_the_router_tells_strangers_about_routes() -> None:
    app, _ = make()
    assert_refused(ask(app, "GET", "/erase/"), 400, "missing_tenant_id")
    assert ask(app, "GET", "/moved").status_code == 307


def test_the_context_is_there_in_threads_and_streams() -> None:
    app, _ = make()
    assert ask(app, "GET", "/blocking", IDENTITY).json() == {"tenant": TENANT}
    assert ask(app, "GET", "/stream", IDENTITY).text == "u-1;u-1;u-1;"


def test_contexts_of_concurrent_requests_do_not_mix() -> None:
    app, _ = make()

    async def main() -> list[str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            users = [f"u-{place}" for place in range(50)]
            answers = await asyncio.gather(
                *(client.post("/charge/1", headers={**IDENTITY, "X-User-ID": user}) for user in users)
            )
            return [answer.json()["actor"] for answer in answers]

    assert asyncio.run(main()) == [f"u-{place}" for place in range(50)]


def test_rate_limits_come_after_the_route_and_before_the_capability() -> None:
    app, _ = make(limits=["2/minute;name=tenant"])
    assert_refused(ask(app, "GET", "/nowhere", IDENTITY), 404, "not_found")
    first = ask(app, "POST", "/charge/1", IDENTITY)
    assert first.headers["ratelimit-policy"] == '"tenant";q=2;w=60'
    assert ask(app, "GET", "/erase", IDENTITY).status_code == 403
    refused = ask(app, "GET", "/erase", IDENTITY)
    body = assert_refused(refused, 429, "rate_limited")
    assert refused.headers["ratelimit"].startswith('"tenant";r=0;t=')
    assert int(refused.headers["retry-after"]) == body["retry_after"] >= 1
    other = {**IDENTITY, "X-Tenant-ID": TENANT.replace("7b", "8b")}
    assert ask(app, "POST", "/charge/1", other).status_code == 200


def test_a_slot_of_a_concurrency_limit_comes_back_when_the_request_ends() -> None:
    app, _ = make(limits=["1 concurrent"])
    for path in ("/blocking", "/crash", "/blocking", "/refuse", "/blocking", "/erase", "/blocking"):
        assert ask(app, "GET", path, IDENTITY).status_code != 429


def test_a_denied_request_is_told_where_it_stands() -> None:
    app, _ = make(limits=["9/minute;name=tenant"])
    assert ask(app, "GET", "/erase", IDENTITY).headers["ratelimit"].startswith('"tenant";r=8;t=')


def test_a_denial_is_audited_and_counted() -> None:
    registry = CollectorRegistry()
    sink = MemorySink()

    async def main() -> None:
        async with AuditProducer(sink, service="shop", registry=registry) as producer:
            app, _ = make(registry, producer=producer)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                await client.get("/erase", headers=IDENTITY)

    asyncio.run(main())
    (event,) = sink.events
    assert (event.action, event.severity, event.outcome) == ("capability_denied", "security", "denied")
    assert event.payload == {"capability": "gdpr_manage", "roles": ["Cashier"], "reason": "no_role_grants"}
    for name, labels in {
        "capability_checks_total": {"capability": "gdpr_manage", "outcome": "deny"},
        "capability_denials_total": {"capability": "gdpr_manage"},
        "http_errors_total": {"service": "shop", "code": "missing_role", "status": "403"},
        "http_requests_total": {"service": "shop", "method": "GET", "route": "/erase", "status": "403"},
    }.items():
        assert registry.get_sample_value(name, labels) == 1.0, name


def test_the_route_label_is_a_template_and_never_a_path() -> None:
    registry = CollectorRegistry()
    app, _ = make(registry)
    for path in ("/charge/1", "/charge/2", "/sub/1/hello", "/none/1", "/none/2"):
        ask(app, "POST" if "charge" in path else "GET", path, IDENTITY)
    text = ask(app, "GET", "/internal/metrics").text
    assert 'route="/charge/{id}",service="shop",status="200"} 2.0' in text
    assert 'route="/sub/{id}/hello"' in text
    assert 'route="_unmatched",service="shop",status="404"} 2.0' in text
    assert "/charge/1" not in text


def test_health_is_ready_until_the_queue_is_full() -> None:
    registry = CollectorRegistry()
    producer = AuditProducer(MemorySink(), service="shop", registry=registry, capacity=1)
    app, _ = make(registry, producer=producer)
    assert ask(app, "GET", "/internal/health").json()["audit_queue"] == {"depth": 0, "capacity": 1}
    producer.emit("a.b", context=context())
    full = ask(app, "GET", "/internal/health")
    assert (full.status_code, full.json()["ready"]) == (503, False)


def test_a_client_that_goes_away_is_counted_as_499() -> None:
    registry = CollectorRegistry()
    gate = Gate("shop", registry=registry)
    reached = asyncio.Event()

    @authenticated()
    async def slow(_request: Request) -> JSONResponse:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError("must not be reached")

    app = Starlette(routes=[Route("/slow", slow)])
    install(app, gate)

    async def main() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            call = asyncio.create_task(client.get("/slow", headers=IDENTITY))
            await reached.wait()
            call.cancel()
            await asyncio.wait({call})

    asyncio.run(main())
    labels = {"service": "shop", "method": "GET", "route": "/slow", "status": "499"}
    assert registry.get_sample_value("http_requests_total", labels) == 1.0


def test_metrics_as_json() -> None:
    app, _ = make()
    samples = ask(app, "GET", "/internal/metrics", {"Accept": "application/json"}).json()["samples"]
    assert any(sample["name"] == "http_error_codes_distinct" for sample in samples)


def test_undeclared_routes_can_be_served_to_any_identity(caplog: pytest.LogCaptureFixture) -> None:
    async def open_to_all(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/bare", open_to_all)])
    install(app, Gate("shop", registry=CollectorRegistry()), undeclared="identify")
    assert_refused(ask(app, "GET", "/bare"), 400, "missing_tenant_id")
    assert ask(app, "GET", "/bare", IDENTITY).text == "ok"
    assert [getattr(record, "action", None) for record in caplog.records if record.levelname == "WARNING"] == [
        "route_undeclared"
    ]


def test_a_wrong_word_for_undeclared_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="undeclared must be"):
        install(Starlette(), Gate("shop", registry=CollectorRegistry()), undeclared="allow")


def test_lifespan_enters_and_leaves_its_parts() -> None:
    producer = AuditProducer(MemorySink(), service="shop", registry=CollectorRegistry())
    app = Starlette(lifespan=lifespan(producer))

    async def main() -> None:
        async with app.router.lifespan_context(app):
            assert (await producer.emit_durable("a.b", context=context())).status == "accepted"
        assert producer.emit("a.b", context=context()).reason == "closed"

    asyncio.run(main())


def context() -> Any:
    from tenaudit import extract_context

    return extract_context(IDENTITY)
