"""The document of the audit API is OpenAPI, and describes every route that Starlette serves of it."""

from __future__ import annotations

from pathlib import Path

from fastapi.openapi.models import OpenAPI
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from tenaudit import Gate
from tenaudit.adapters.starlette import audit_routes
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import AuditApi


def test_it_is_openapi_and_its_paths_are_the_routes(tmp_path: Path) -> None:
    gate = Gate("audit", registry=CollectorRegistry())
    store = SqliteStore.open(tmp_path / "audit.db")
    document = OpenAPI.model_validate_json(AuditApi(gate, store, cursor_keys=[b"k" * 16]).document().body)
    routes = audit_routes(gate, store, cursor_keys=[b"k" * 16])
    assert {route.path for route in routes if isinstance(route, Route)} == set(document.paths or {})
