"""The shop in Flask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, abort, request

from tenaudit.adapters.flask import authenticated, current, install, public, require
from tenaudit.policy import ensure_capability
from tests.conformance.http.shop import BODY_LIMIT, CAPABILITIES, JSON, error_of, gate_of, whoami

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "flask"


def answer(body: bytes, kind: str = JSON) -> Response:
    return Response(body, content_type=kind)


@authenticated()
def who() -> Response:
    return answer(whoami())


@require("customer_view")
def read(id: str) -> Response:  # noqa: A002 - the parameter's name in the shop's paths
    return answer(id.encode(), "text/plain")


@require("customer_write")
async def write(id: str) -> Response:  # noqa: A002 - as above
    return answer(id.encode(), "text/plain")


@public()
def hello() -> Response:
    return answer(b"hello", "text/plain")


@authenticated()
def crash() -> Response:
    raise RuntimeError("secret text")


@authenticated()
def error(kind: str) -> Response:
    raise error_of(kind)


@authenticated()
def framework(status: int) -> Response:
    return abort(status)


@authenticated()
def stream() -> Response:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield f"{current().actor.id};".encode()

    return Response(pieces(), content_type="text/plain")


@authenticated()
def echo() -> Response:
    return answer(request.get_data(), "text/plain")


@authenticated()
def nested() -> Response:
    ensure_capability(current(), "gdpr_manage")
    return answer(b"done", "text/plain")


def make_app(variant: str) -> Any:
    app = Flask("shop")
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    app.add_url_rule("/whoami", view_func=who)
    app.add_url_rule("/things/<id>", view_func=read)
    app.add_url_rule("/things/<id>", view_func=write, methods=["POST", "PUT", "PATCH", "DELETE"])
    app.add_url_rule("/hello", view_func=hello)
    app.add_url_rule("/crash", view_func=crash)
    app.add_url_rule("/errors/<kind>", view_func=error)
    app.add_url_rule("/framework/<int:status>", view_func=framework)
    app.add_url_rule("/stream", view_func=stream)
    app.add_url_rule("/echo", view_func=echo, methods=["POST"])
    app.add_url_rule("/nested", view_func=nested)
    sub = Blueprint("sub", __name__, url_prefix="/sub")
    sub.add_url_rule("/things/<id>", view_func=read)
    app.register_blueprint(sub)
    for name in CAPABILITIES:
        app.add_url_rule(f"/cap/{name}", name, capability(name))
    install(app, gate_of(variant))
    return app


def capability(name: str) -> Any:
    @require(name)
    def handler() -> Response:
        return answer(name.encode(), "text/plain")

    return handler
