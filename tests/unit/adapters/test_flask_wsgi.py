"""The WSGI side of the Flask adapter, told by hand-made servers: what they show, and how bodies end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response
from prometheus_client import CollectorRegistry
from werkzeug.test import EnvironBuilder

from tenaudit import Gate
from tenaudit.adapters.flask import GateMiddleware, authenticated, current, install, public
from tenaudit.security import ContextSigner, ContextVerifier, SecuritySettings, SignatureKey, SignedTarget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
IDENTITY = {"X-Tenant-ID": TENANT, "X-Roles": "Cashier", "X-User-ID": "u-1"}
KEY = SignatureKey.hmac_sha256("k1", b"an example secret of 32 bytes!!!")


def environ_of(path: str, headers: dict[str, str], method: str = "GET", **more: Any) -> dict[str, Any]:
    return {**EnvironBuilder(path=path, method=method, headers=headers).get_environ(), **more}


class Server:
    """Calls an application as a server does, and notes what it is told."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status, self.headers = status, headers
        return lambda _data: None

    def serve(self, environ: dict[str, Any]) -> Any:
        return self._app(environ, self.start)


def signed_app() -> Flask:
    app = Flask("shop")
    settings = SecuritySettings(trust="signed", verifier=ContextVerifier([KEY]))
    install(app, Gate("shop", registry=CollectorRegistry(), security=settings))
    app.add_url_rule("/a b", view_func=authenticated()(lambda: str(current().actor.id)))
    return app


@pytest.mark.parametrize("raw", ["RAW_URI", "REQUEST_URI", None])
def test_the_signed_target_is_what_was_sent_or_the_path_quoted_again(raw: str | None) -> None:
    headers = list(IDENTITY.items())
    target = "/a%20b?x=%2F"
    headers += ContextSigner(KEY).sign(headers, SignedTarget("GET", "shop.test", target))
    environ = environ_of("/a%20b?x=%2F", {**dict(headers), "Host": "shop.test"})
    environ.pop("RAW_URI", None)
    environ.pop("REQUEST_URI", None)
    if raw is not None:
        environ[raw] = f"http://shop.test{target}"
    server = Server(signed_app())
    assert b"".join(server.serve(environ)) == b"u-1"
    environ["QUERY_STRING"] = ""
    environ.pop(raw or "", None)
    assert b"untrusted_context" in b"".join(server.serve(environ))


def middleware(app: Any) -> tuple[Server, CollectorRegistry]:
    registry = CollectorRegistry()
    return Server(GateMiddleware(app, Gate("shop", registry=registry))), registry


def test_what_an_inner_application_raises_before_it_starts_is_an_answer() -> None:
    closed: list[bool] = []

    class Lazy:
        def __iter__(self) -> Iterator[bytes]:
            raise RuntimeError("secret text")

        def close(self) -> None:
            closed.append(True)

    server, _ = middleware(lambda _environ, _start: Lazy())
    body = server.serve(environ_of("/x", IDENTITY))
    assert server.status == "500 Internal Server Error"
    assert b"internal_error" in b"".join(body)
    assert closed == [True]


def test_what_is_raised_after_the_start_is_the_servers_to_end() -> None:
    def app(_environ: Any, start: Any) -> Iterable[bytes]:
        start("404 Not Found", [])
        raise RuntimeError("too late")

    server, registry = middleware(app)
    with pytest.raises(RuntimeError, match="too late"):
        server.serve(environ_of("/x", IDENTITY))
    labels = {"service": "shop", "method": "GET", "route": "_unmatched", "status": "404"}
    assert registry.get_sample_value("http_requests_total", labels) == 1.0


def test_an_empty_lazy_body_and_one_that_is_closed_unread() -> None:
    def app(_environ: Any, start: Any) -> Iterator[bytes]:
        start("404 Not Found", [])
        yield from ()

    server, registry = middleware(app)
    body = server.serve(environ_of("/x", IDENTITY))
    body.close()
    body.close()
    assert b"".join(server.serve(environ_of("/x", IDENTITY))) == b""
    labels = {"service": "shop", "method": "GET", "route": "_unmatched", "status": "404"}
    assert registry.get_sample_value("http_requests_total", labels) == 1.0


def test_a_failure_that_is_no_exception_is_counted_and_passed_on() -> None:
    def app(_environ: Any, _start: Any) -> Iterable[bytes]:
        raise KeyboardInterrupt

    server, registry = middleware(app)
    with pytest.raises(KeyboardInterrupt):
        server.serve(environ_of("/x", IDENTITY))
    labels = {"service": "shop", "method": "GET", "route": "_unmatched", "status": "499"}
    assert registry.get_sample_value("http_requests_total", labels) == 1.0


def test_views_that_are_bound_late_are_no_fault_of_the_check() -> None:
    app = Flask("shop")
    install(app, Gate("shop", registry=CollectorRegistry()))
    app.add_url_rule("/late", "late")
    app.view_functions["late"] = public()(lambda: "late")
    assert app.test_client().get("/late").data == b"late"


def test_options_of_a_route_that_makes_none_by_itself() -> None:
    app = Flask("shop")
    install(app, Gate("shop", registry=CollectorRegistry()))
    view = authenticated()(lambda: "ok")
    app.add_url_rule("/plain", view_func=view, methods=["POST"], provide_automatic_options=False)
    answer = app.test_client().options("/plain")
    assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, POST")


def test_what_is_raised_beside_exceptions_after_the_view_is_opaque() -> None:
    app = Flask("shop")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    install(app, Gate("shop", registry=CollectorRegistry()))
    app.add_url_rule("/fine", view_func=public()(lambda: "fine"))

    @app.after_request
    def broken(_response: Response) -> Response:
        raise RuntimeError("secret text")

    answer = app.test_client().get("/fine", headers={"Accept": "application/problem+json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == 500


def test_a_header_that_moves_the_root_of_the_path_makes_a_signed_context_untrusted() -> None:
    headers = list(IDENTITY.items())
    headers += ContextSigner(KEY).sign(headers, SignedTarget("GET", "shop.test", "/a%20b"))
    environ = environ_of("/a%20b", {**dict(headers), "Host": "shop.test"})
    assert b"".join(Server(signed_app()).serve(environ)) == b"u-1"
    assert b"untrusted_context" in b"".join(Server(signed_app()).serve({**environ, "HTTP_SCRIPT_NAME": "/a"}))
