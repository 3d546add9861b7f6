"""The audit routes in one framework on a real server: `python -m tests.flow.audit_service NAME PORT DATABASE`."""

from __future__ import annotations

import sys
from typing import Any

from prometheus_client import CollectorRegistry

from tenaudit import Gate
from tenaudit.audit import Redactor
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import TailSettings
from tests.conformance.http import serve

KEYS = [b"a key that all three services share"]
TAIL = TailSettings(max_open=9, max_open_per_tenant=2, lifetime=4, heartbeat=0.5, fastest=0.02, slowest=0.1)
REDACTOR = Redactor(["payload.card"])


def starlette_app(gate: Gate, store: SqliteStore, **options: Any) -> Any:
    from starlette.applications import Starlette

    from tenaudit.adapters.starlette import audit_routes, install

    app = Starlette(routes=audit_routes(gate, store, **options))
    install(app, gate)
    return app


def flask_app(gate: Gate, store: SqliteStore, **options: Any) -> Any:
    from flask import Flask

    from tenaudit.adapters.flask import audit_routes, install

    app = Flask("audit")
    install(app, gate)
    app.register_blueprint(audit_routes(gate, store, **options))
    return app


def aiohttp_app(gate: Gate, store: SqliteStore, **options: Any) -> Any:
    from aiohttp import web

    from tenaudit.adapters.aiohttp import audit_routes, install

    app = web.Application()
    app.add_routes(audit_routes(gate, store, **options))
    install(app, gate)
    return app


APPS = {"starlette": starlette_app, "flask": flask_app, "aiohttp": aiohttp_app}
SERVERS = {"starlette": serve.uvicorn, "flask": serve.gunicorn, "aiohttp": serve.aiohttp}


def main(name: str, port: int, database: str) -> None:
    def make_app(_variant: str) -> Any:
        gate = Gate("audit", registry=CollectorRegistry())
        return APPS[name](gate, SqliteStore.open(database), redactor=REDACTOR, cursor_keys=KEYS, tail=TAIL)

    SERVERS[name](make_app, {"audit": port})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
