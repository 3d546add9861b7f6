"""The audit routes in Flask, without a server."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from tenaudit.adapters.flask import audit_routes, install
from tests.unit.adapters.audit_reads import OPTIONS, READER, TARGETS, check, gate_and_store


def test_each_route_answers(tmp_path: Path) -> None:
    gate, store = gate_and_store(tmp_path)
    app = Flask("audit")
    install(app, gate)
    app.register_blueprint(audit_routes(gate, store, **OPTIONS))
    answers = [app.test_client().get(target, headers=READER, buffered=True) for target in TARGETS]
    check([(one.status_code, one.headers["content-type"], one.data) for one in answers])
