"""Ways round the Flask adapter's guard, and what does not answer, fails at the start or is forked."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask, Response, request
from flask.views import MethodView
from prometheus_client import CollectorRegistry
from werkzeug.exceptions import NotFound
from werkzeug.routing import Rule

from tenaudit import ApiError, Gate
from tenaudit.adapters.flask import authenticated, install, lifespan, public, require
from tenaudit.gate import RequestView
from tenaudit.ratelimit import InMemoryEngine
from tenaudit.security import (
    ContextSigner,
    ContextVerifier,
    SecuritySettings,
    SignatureKey,
    SignedTarget,
    bind_context,
    context_or_none,
)

if TYPE_CHECKING:
    from collections.abc import Callable

IDENTITY = {"X-Tenant-ID": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", "X-Roles": "Cashier", "X-User-ID": "u-1"}
KEY = SignatureKey.hmac_sha256("k1", b"an example secret of 32 bytes!!!")


def make(undeclared: str = "refuse", **options: Any) -> Flask:
    app = Flask("shop")
    install(app, Gate("shop", registry=CollectorRegistry(), **options), undeclared=undeclared)
    app.add_url_rule("/who", view_func=public()(lambda: repr(context_or_none())))
    app.add_url_rule("/mine", "mine", authenticated()(lambda: "mine"))
    return app


def code_of(answer: Any) -> tuple[int, str]:
    assert answer.json["trace_id"] == answer.headers["x-trace-id"]
    return answer.status_code, answer.headers["x-error-code"]


def test_a_request_that_starts_in_the_context_of_another_sees_nothing_of_it() -> None:
    gate = Gate("shop", registry=CollectorRegistry())
    other = gate.recognize(RequestView(list(IDENTITY.items()))).context
    assert other is not None
    with bind_context(other):
        assert make().test_client().get("/who").data == b"None"


def test_no_error_handler_of_the_application_makes_a_refusal_a_success() -> None:
    app = make()
    routes = Blueprint("shop", __name__)
    routes.register_error_handler(Exception, lambda _error: ("swallowed", 200))
    routes.add_url_rule("/erase", "erase", require("gdpr_manage")(lambda: "reached"))
    app.register_blueprint(routes)
    app.register_error_handler(Exception, lambda _error: ("swallowed", 200))
    client = app.test_client()
    assert code_of(client.get("/erase", headers=IDENTITY)) == (403, "missing_role")
    assert code_of(client.get("/erase")) == (400, "missing_tenant_id")
    assert code_of(client.get("/mine")) == (400, "missing_tenant_id")
    assert code_of(client.get("/nowhere")) == (400, "missing_tenant_id")


def test_a_catch_all_of_the_application_leaves_our_errors_of_its_views_to_us() -> None:
    app = make()

    @app.get("/closed")
    @authenticated()
    def closed() -> str:
        raise ApiError.conflict("Not now.", code="order_closed")

    app.register_error_handler(Exception, lambda _error: ("swallowed", 200))
    assert code_of(app.test_client().get("/closed", headers=IDENTITY)) == (409, "order_closed")


def test_a_missing_form_field_reads_as_any_bad_request() -> None:
    app = make()
    app.config["TRAP_BAD_REQUEST_ERRORS"] = True

    @app.post("/form")
    @authenticated()
    def form() -> str:
        return str(request.form["missing"])

    answer = app.test_client().post("/form", headers=IDENTITY, data={})
    assert code_of(answer) == (400, "bad_request")
    assert (answer.json or {})["message"] == "Bad Request."


@pytest.mark.parametrize("methods", [None, ["GET", "OPTIONS"]])
def test_a_function_that_serves_options_with_other_methods_is_not_public_for_that(methods: Any) -> None:
    app = make("identify")
    app.url_map.add(Rule("/any", endpoint="any", methods=methods))
    app.view_functions["any"] = lambda: "reached"
    client = app.test_client()
    assert code_of(client.options("/any")) == (400, "missing_tenant_id")
    assert client.options("/any", headers=IDENTITY).data == b"reached"


def test_a_rule_that_goes_past_add_url_rule_is_not_served() -> None:
    app = make()
    app.url_map.add(Rule("/evade", endpoint="evade"))
    app.view_functions["evade"] = lambda: "reached"
    for method in ("GET", "OPTIONS", "POST"):
        answer = app.test_client().open("/evade", method=method, headers=IDENTITY)
        assert code_of(answer) == (500, "internal_error")


@pytest.mark.parametrize(("raw", "status"), [("http://shop.test/mine", 200), ("http://bank.test/mine", 401)])
def test_a_whole_url_must_name_the_host_that_was_signed(raw: str, status: int) -> None:
    app = make(security=SecuritySettings(trust="signed", verifier=ContextVerifier([KEY])))
    pairs = list(IDENTITY.items())
    pairs += ContextSigner(KEY).sign(pairs, SignedTarget("GET", "shop.test", "/mine"))
    environ = {"RAW_URI": raw, "HTTP_HOST": "shop.test"}
    answer = app.test_client().get("/mine", headers=pairs, environ_overrides=environ)
    assert answer.status_code == status


class Hanging:
    """An authenticator and a limiter that never answer: in a way that can be cancelled, or by blocking the loop."""

    def __init__(self, *, blocks: bool = False, hit: bool = True) -> None:
        self._blocks = blocks
        self._hit = hit
        self._inner = InMemoryEngine()
        self.may_end = threading.Event()

    async def authenticate(self, _headers: Any) -> Any:
        if self._blocks:
            self.may_end.wait(10)
        await asyncio.Event().wait()

    async def hit(self, key: str, *rules: Any, cost: int = 1) -> Any:
        if self._hit:
            return await self._inner.hit(key, *rules, cost=cost)
        return await self.authenticate({})

    async def refund(self, *_args: Any, **_options: Any) -> None:
        await self.authenticate({})


@pytest.mark.parametrize("blocks", [False, True])
def test_an_authenticator_that_does_not_answer_is_a_503_and_public_routes_go_on(blocks: bool) -> None:
    hanging = Hanging(blocks=blocks)
    client = make(authenticators=[hanging], deadline=0.01).test_client()
    started = time.monotonic()
    answer = client.get("/mine", headers=IDENTITY)
    assert code_of(answer) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert client.get("/who", headers=IDENTITY).data == b"None"
    assert time.monotonic() - started < 9
    hanging.may_end.set()


@pytest.mark.parametrize("blocks", [False, True])
def test_a_limiter_that_does_not_answer_is_a_503(blocks: bool) -> None:
    hanging = Hanging(blocks=blocks, hit=False)
    client = make(limiter=hanging, limits=["1/minute"], deadline=0.01).test_client()
    assert code_of(client.get("/mine", headers=IDENTITY)) == (503, "unavailable")
    hanging.may_end.set()


@pytest.mark.parametrize("blocks", [False, True])
def test_a_limiter_that_takes_no_slot_back_does_not_spoil_the_answer(
    blocks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = Hanging(blocks=blocks)
    client = make(limiter=hanging, limits=["5 concurrent"], deadline=0.01).test_client()
    with client.get("/mine", headers=IDENTITY) as answer:
        assert answer.data == b"mine"
    hanging.may_end.set()
    assert "slots_not_released" in [getattr(record, "action", "") for record in caplog.records]


class Part:
    """Something that lives with the process, and may fail to start."""

    def __init__(self, name: str, seen: list[str], fails: Callable[[], bool] = lambda: False) -> None:
        self._name = name
        self._seen = seen
        self._fails = fails

    async def __aenter__(self) -> None:
        if self._fails():
            raise ConnectionError("postgres://user:secret@host")
        self._seen.append(f"{self._name} opened")

    async def __aexit__(self, *_error: object) -> None:
        self._seen.append(f"{self._name} closed")


def test_parts_that_cannot_start_are_a_503_leave_nothing_open_and_are_tried_again() -> None:
    seen: list[str] = []
    down = [True, True]
    app = make()
    lifespan(Part("a", seen), Part("b", seen, lambda: bool(down and down.pop())))(app)
    client = app.test_client()
    answer = client.get("/who", headers={"Accept": "application/problem+json"})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert b"secret" not in answer.data
    assert client.head("/who").data == b""
    assert client.get("/who").data == b"None"
    assert seen == ["a opened", "a closed"] * 2 + ["a opened", "b opened"]


def test_parts_of_an_application_without_a_gate_fail_as_the_server_says() -> None:
    app = Flask("bare")
    lifespan(Part("a", [], lambda: True))(app)
    with pytest.raises(ConnectionError):
        app.test_client().get("/")


def _child(opened: Any, app: Flask) -> None:
    opened.send(app.test_client().get("/parts").json)


def test_a_forked_child_starts_parts_of_its_own_and_leaves_its_parents_alone(capfd: pytest.CaptureFixture[str]) -> None:
    class Loud(Part):
        async def __aexit__(self, *_error: object) -> None:
            if os.getpid() != parent:
                os.write(1, f"{len(seen)} closed\n".encode())

    parent = os.getpid()
    seen: list[str] = []
    app = make()
    app.add_url_rule("/parts", "parts", public()(lambda: seen))
    lifespan(Loud("a", seen))(app)
    assert app.test_client().get("/parts").json == ["a opened"]
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    child = fork.Process(target=_child, args=(theirs, app))
    child.start()
    assert ours.poll(10)
    assert ours.recv() == ["a opened", "a opened"]
    child.join(10)
    assert child.exitcode == 0
    # One part was opened in the child and one is closed there.
    assert capfd.readouterr().out == "2 closed\n"


def test_requests_that_come_while_parts_start_wait_a_while_or_find_them_started() -> None:
    seen: list[str] = []
    app = make()
    answers: dict[str, Any] = {}

    def ask(name: str) -> None:
        answers[name] = app.test_client().get("/who").status_code

    class Asking(Part):
        async def __aenter__(self) -> None:
            await asyncio.to_thread(ask, "too early")
            waiting = threading.Thread(target=ask, args=("early",))
            waiting.start()
            answers["thread"] = waiting
            # No event tells that a thread waits for a lock.
            while sys._current_frames()[waiting.ident or 0].f_code.co_name != "_start":  # noqa: ASYNC110 - as said
                await asyncio.sleep(0)
            seen.append("opened")

    lifespan(Asking("a", seen), deadline=5)(app)
    ask("first")
    answers.pop("thread").join(10)
    assert answers == {"too early": 503, "early": 200, "first": 200}
    assert seen == ["opened"]


def test_a_response_that_comes_with_an_exception_is_sent_as_it_is() -> None:
    app = make()

    @app.get("/own")
    @authenticated()
    def own() -> str:
        raise NotFound(response=Response("own words", 404))

    answer = app.test_client().get("/own", headers=IDENTITY)
    assert (answer.status_code, answer.data) == (404, b"own words")


def test_a_class_view_for_any_method_is_asked_by_the_method_that_it_runs() -> None:
    class View(MethodView):
        @require("gdpr_manage")
        def get(self) -> str:
            raise AssertionError("must not be reached")

        def trace(self) -> str:
            return "traced"

    app = make()
    app.url_map.add(Rule("/view", endpoint="view"))
    app.view_functions["view"] = authenticated()(View.as_view("view"))
    client = app.test_client()
    assert code_of(client.get("/view", headers=IDENTITY)) == (403, "missing_role")
    assert client.head("/view", headers=IDENTITY).headers["x-error-code"] == "missing_role"
    assert client.open("/view", method="TRACE", headers=IDENTITY).data == b"traced"
    assert code_of(client.open("/view", method="TRACE")) == (400, "missing_tenant_id")


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=1", "a\nb", "a\rb"])
def test_no_view_splits_a_response(value: str) -> None:
    app = make()
    app.add_url_rule("/reflect", "reflect", public()(lambda: ("split", {"X-More": value})))
    assert code_of(app.test_client().get("/reflect")) == (500, "internal_error")
