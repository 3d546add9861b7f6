"""What is Flask's own: late routes, class views, async views, bodies made late, WSGI middleware inside and outside."""

from __future__ import annotations

import logging
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask, Response, abort, make_response, redirect, request, stream_with_context
from flask.views import MethodView
from flask_cors import CORS
from prometheus_client import CollectorRegistry
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tenaudit import ApiError, AuditProducer, Gate
from tenaudit.adapters.flask import (
    audit_routes,
    authenticated,
    context_of,
    current,
    install,
    internal_routes,
    lifespan,
    public,
    require,
)
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.sqlite import SqliteSink, SqliteStore
from tenaudit.policy import PolicyMatrix
from tenaudit.security import ApiKeyAuthenticator, InMemoryApiKeyStore, NoContextError, new_api_key
from tests.unit.gate.waiting_engine import WaitingEngine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
IDENTITY = {"X-Tenant-ID": TENANT, "X-Roles": "Cashier", "X-User-ID": "u-1"}


def make(**options: Any) -> tuple[Flask, Gate]:
    registry = options.pop("registry", None) or CollectorRegistry()
    gate_options = {name: options.pop(name) for name in list(options) if name not in ("undeclared", "rules")}
    gate = Gate("shop", registry=registry, **gate_options)
    app = Flask("shop")
    install(app, gate, **options)
    return app, gate


def test_a_late_route_without_a_declaration_is_refused_when_it_is_added_and_never_served() -> None:
    app, _ = make()
    with pytest.raises(Exception, match="declares nothing"):
        app.add_url_rule("/bare", view_func=lambda: "served")
    answer = app.test_client().get("/bare", headers=IDENTITY)
    assert (answer.status_code, answer.headers["x-error-code"]) == (500, "internal_error")


def test_a_route_that_was_there_first_is_refused_at_install() -> None:
    app = Flask("shop")
    app.add_url_rule("/bare", view_func=lambda: "served")
    with pytest.raises(Exception, match=r"route /bare declares nothing"):
        install(app, Gate("shop", registry=CollectorRegistry()))


def test_rules_speak_for_views_that_cannot_be_decorated(tmp_path: Path) -> None:
    (tmp_path / "logo.txt").write_text("logo")
    app = Flask("shop", static_folder=str(tmp_path))
    gate = Gate("shop", registry=CollectorRegistry())
    with pytest.raises(Exception, match="declares nothing"):
        install(app, gate)
    app = Flask("shop", static_folder=str(tmp_path))
    install(app, gate, rules={"/" + tmp_path.name + "/<path:filename>": public()})
    assert app.test_client().get(f"/{tmp_path.name}/logo.txt", buffered=True).data == b"logo"


def test_a_view_that_is_swapped_later_is_asked_again() -> None:
    app, _ = make()
    app.add_url_rule("/page", "page", authenticated()(lambda: "page"))
    assert app.test_client().get("/page", headers=IDENTITY).data == b"page"
    app.view_functions["page"] = lambda: "swapped"
    assert app.test_client().get("/page", headers=IDENTITY).status_code == 500


def test_undeclared_routes_can_be_served_to_any_identity(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = make(undeclared="identify")
    app.add_url_rule("/bare", view_func=lambda: "ok")
    client = app.test_client()
    assert client.get("/bare").status_code == 400
    assert client.get("/bare", headers=IDENTITY).data == b"ok"
    assert [getattr(record, "action", "") for record in caplog.records if "declares" in record.message] == [
        "route_undeclared"
    ]


class Things(MethodView):
    decorators = (authenticated(),)

    def get(self) -> str:
        return "got"

    @require("gdpr_manage")
    def post(self) -> str:
        raise AssertionError("must not be reached")


def test_a_class_view_declares_as_a_whole_or_by_method() -> None:
    app, _ = make()
    app.add_url_rule("/things", view_func=Things.as_view("things"))
    client = app.test_client()
    assert client.get("/things", headers=IDENTITY).data == b"got"
    assert client.head("/things", headers=IDENTITY).status_code == 200
    assert client.post("/things", headers=IDENTITY).headers["x-error-code"] == "missing_role"
    assert client.delete("/things", headers=IDENTITY).headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_async_views_and_blueprints_see_the_context() -> None:
    app, _ = make()
    shelf = Blueprint("shelf", __name__, url_prefix="/shelf")

    @shelf.get("/<int:number>")
    @authenticated()
    async def book(number: int) -> dict[str, Any]:
        return {"number": number, "actor": current().actor.id}

    app.register_blueprint(shelf)
    assert app.test_client().get("/shelf/7", headers=IDENTITY).json == {"number": 7, "actor": "u-1"}


def test_a_body_made_late_and_what_runs_at_its_end_see_the_context() -> None:
    app, _ = make()
    seen: list[str | None] = []

    @app.get("/stream")
    @authenticated()
    def stream() -> Response:
        def pieces() -> Iterable[str]:
            yield f"{current().actor.id};"
            yield f"{current().tenant_id}"

        response = Response(pieces())
        response.call_on_close(lambda: seen.append(current().actor.id))
        return response

    @app.get("/with-request")
    @authenticated()
    def with_request() -> Response:
        return Response(stream_with_context(f"{request.path} {current().actor.id}" for _ in range(2)))

    client = app.test_client()
    assert client.get("/stream", headers=IDENTITY, buffered=True).data == f"u-1;{TENANT}".encode()
    assert seen == ["u-1"]
    assert client.get("/with-request", headers=IDENTITY).data == b"/with-request u-1" * 2
    with pytest.raises(NoContextError):
        current()


def test_a_thread_sees_the_context_when_it_is_given_a_copy() -> None:
    app, _ = make()

    @app.get("/thread")
    @authenticated()
    def thread() -> str:
        seen: list[str | None] = []
        runner = threading.Thread(target=copy_context().run, args=(lambda: seen.append(current().actor.id),))
        runner.start()
        runner.join()
        return str(seen)

    assert app.test_client().get("/thread", headers=IDENTITY).data == b"['u-1']"


def test_what_a_view_aborts_with_keeps_its_text_and_a_ready_response_stays() -> None:
    app, _ = make()

    @app.get("/abort/<how>")
    @public()
    def stop(how: str) -> str:
        if how == "text":
            abort(409, "Said by the view.")
        if how == "response":
            abort(make_response("teapot", 418))
        if how == "redirect":
            return redirect("/elsewhere")  # type: ignore[return-value]
        return abort(404)

    client = app.test_client()
    assert client.get("/abort/text").json["message"] == "Said by the view."
    assert (client.get("/abort/response").status_code, client.get("/abort/response").data) == (418, b"teapot")
    assert client.get("/abort/redirect").headers["location"] == "/elsewhere"
    assert client.get("/abort/none").json["message"] == ApiError.not_found().message


def test_slash_redirects_are_for_those_with_an_identity() -> None:
    app, _ = make()
    app.add_url_rule("/dir/", view_func=authenticated()(lambda: "dir"))
    client = app.test_client()
    assert client.get("/dir").status_code == 400
    assert client.get("/dir", headers=IDENTITY).status_code == 308


def test_what_fails_after_the_view_is_opaque_too(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = make()
    app.add_url_rule("/fine", view_func=public()(lambda: "fine"))

    @app.after_request
    def broken(_response: Response) -> Response:
        raise RuntimeError("secret text")

    with caplog.at_level(logging.ERROR):
        answer = app.test_client().get("/fine")
    assert answer.status_code == 500
    assert answer.headers["x-error-code"] == "internal_error"
    assert b"secret" not in answer.data


def test_values_are_not_looked_up_for_strangers() -> None:
    app, _ = make()
    app.add_url_rule("/thing/<int:number>", view_func=authenticated()(lambda number: f"{number}"))
    looked: list[object] = []
    app.url_value_preprocessor(lambda _endpoint, values: looked.append(values))
    assert app.test_client().get("/thing/1").status_code == 400
    assert looked == []
    assert app.test_client().get("/thing/1", headers=IDENTITY).data == b"1"
    assert looked == [{"number": 1}]


def lazy(_environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    yield b"unguarded"


def test_an_application_mounted_inside_without_a_guard_is_held_back() -> None:
    app = Flask("shop")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/inner": lazy})  # type: ignore[method-assign]
    install(app, Gate("shop", registry=CollectorRegistry()))
    client = app.test_client()
    assert client.get("/inner").headers["x-error-code"] == "missing_tenant_id"
    answer = client.get("/inner", headers=IDENTITY)
    assert (answer.status_code, answer.headers["x-error-code"]) == (500, "internal_error")
    assert client.head("/inner", headers=IDENTITY).data == b""


def test_middleware_outside_sees_whose_request_it_was() -> None:
    app, _ = make()
    app.add_url_rule("/fine", view_func=authenticated()(lambda: "fine"))
    inner = app.wsgi_app
    seen: list[str] = []

    def outer(environ: Any, start_response: Any) -> Iterable[bytes]:
        assert context_of(environ) is None

        def start(*args: Any) -> Any:
            seen.append(str(current().tenant_id))
            return start_response(*args)

        body = inner(environ, start)
        context = context_of(environ)
        assert context is not None
        seen.append(str(context.tenant_id))
        return body

    app.wsgi_app = outer  # type: ignore[method-assign]
    assert app.test_client().get("/fine", headers=IDENTITY).status_code == 200
    assert seen == [TENANT, TENANT]


def test_cors_preflight_is_answered_without_an_identity() -> None:
    app, _ = make()
    CORS(app, origins=["https://shop.example"])
    app.add_url_rule("/pay", view_func=require("payment_process")(lambda: "ok"), methods=["POST"])
    preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = app.test_client().options("/pay", headers=preflight)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"


def test_limits_and_slots_are_the_same_as_elsewhere() -> None:
    app, _ = make(limits=["1 concurrent", "3/minute"])
    app.add_url_rule("/fine", view_func=require("payment_process")(lambda: "fine"))
    client = app.test_client()
    answers = [client.get("/fine", headers=IDENTITY, buffered=True) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert all("ratelimit" in answer.headers for answer in answers)
    assert answers[3].json["retry_after"] == int(answers[3].headers["retry-after"])


def test_a_limiter_that_waits_is_waited_for() -> None:
    app, _ = make(limiter=WaitingEngine(), limits=["1 concurrent"])
    app.add_url_rule("/fine", view_func=require("payment_process")(lambda: "fine"))
    client = app.test_client()
    assert [client.get("/fine", headers=IDENTITY, buffered=True).status_code for _ in range(3)] == [200, 200, 200]


def test_an_edge_replaces_what_the_client_said_of_itself() -> None:
    from uuid import UUID

    key, record = new_api_key(UUID(TENANT), ["Inventory"])
    app, _ = make(authenticators=[ApiKeyAuthenticator(InMemoryApiKeyStore([record]))])

    @app.get("/who")
    @authenticated()
    def who() -> dict[str, Any]:
        return {"roles": sorted(current().roles), "header": request.headers.get("X-Roles")}

    client = app.test_client()
    assert client.get("/who", headers=IDENTITY).status_code == 401
    answer = client.get("/who", headers={"X-API-Key": key, "X-Roles": "SuperAdmin", "X-Session-ID": "stolen"})
    assert answer.json == {"roles": ["Inventory"], "header": "Inventory"}


def test_ready_made_routes_and_parts_that_live_with_the_process(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "audit.db")
    producer = AuditProducer(SqliteSink(store), service="shop", registry=CollectorRegistry(), linger=0.0)
    app, gate = make(producer=producer, policy=PolicyMatrix.default())
    lifespan(store, producer)(app)
    app.register_blueprint(internal_routes(gate))
    app.register_blueprint(audit_routes(gate, store))
    client = app.test_client()
    assert client.get("/internal/health").json["live"] is True
    assert b"http_requests_total" in client.get("/internal/metrics").data
    support = {**IDENTITY, "X-Roles": "Support"}
    assert client.get("/audit/events", headers=support).json["events"] == []
    assert client.get("/audit/events?limit=0", headers=support).headers["x-error-code"] == "invalid_parameter"
    assert client.get("/audit/events/nothing", headers=support).headers["x-error-code"] == "not_found"


def test_parts_are_started_once(tmp_path: Path) -> None:
    app, _ = make()
    app.add_url_rule("/fine", view_func=public()(lambda: "fine"))
    producer = AuditProducer(MemorySink(), service="shop", registry=CollectorRegistry())
    lifespan(producer)(app)
    assert [app.test_client().get("/fine").status_code for _ in range(2)] == [200, 200]


def test_a_mesh_behind_wsgi_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    make()
    assert "wsgi_merges_headers" in [getattr(record, "action", "") for record in caplog.records]


def test_errors_of_the_gate_go_out_as_problem_details_when_asked() -> None:
    app, _ = make()

    @app.get("/refuse")
    @public()
    def refuse() -> str:
        raise ApiError.conflict("Not now.", code="order_closed")

    answer = app.test_client().get("/refuse", headers={"Accept": "application/problem+json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["detail"] == "Not now."
