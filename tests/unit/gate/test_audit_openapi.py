"""The document of the audit API: it names what the tables name, and everything it refers to is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import AuditEvent, Gate
from tenaudit.audit.parameters import EXPORT_PARAMETERS, FILTERS, PARAMETERS, TAIL_PARAMETERS
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import AuditApi
from tenaudit.gate.audit_proofs import CONSISTENCY_PARAMETERS, PROOF_PARAMETERS
from tenaudit.security import ApiKeyAuthenticator, InMemoryApiKeyStore


def document(tmp_path: Path, **options: Any) -> dict[str, Any]:
    gate = Gate("audit", registry=CollectorRegistry(), **options)
    api = AuditApi(gate, SqliteStore.open(tmp_path / "audit.db"), cursor_keys=[b"k" * 16])
    reply = api.document()
    assert (reply.status, reply.headers[0]) == (200, ("content-type", "application/json"))
    assert api.document() is reply
    made: dict[str, Any] = json.loads(reply.body)
    return made


@pytest.mark.parametrize(
    ("path", "table", "others"),
    [
        ("/audit/events", PARAMETERS, []),
        ("/audit/export", EXPORT_PARAMETERS, []),
        ("/audit/tail", TAIL_PARAMETERS, ["Last-Event-ID"]),
        ("/audit/stats", FILTERS, []),
        ("/audit/events/{event_id}", {}, ["event_id"]),
        ("/audit/events/{event_id}/proof", PROOF_PARAMETERS, ["event_id"]),
        ("/audit/checkpoint", {}, []),
        ("/audit/consistency", CONSISTENCY_PARAMETERS, []),
        ("/audit/openapi.json", {}, []),
    ],
)
def test_each_path_takes_what_its_table_takes(tmp_path: Path, path: str, table: Any, others: list[str]) -> None:
    operation = document(tmp_path)["paths"][path]["get"]
    named = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"]
    assert named == list(table)
    assert [one["name"] for one in operation["parameters"] if one["in"] != "query"] == others


def test_every_reference_leads_to_something(tmp_path: Path) -> None:
    made = document(tmp_path)
    references = set(re.findall(r'"(#/[^"]+)"', json.dumps(made)))
    assert "#/components/schemas/AuditEvent" in references
    for reference in references:
        found: Any = made
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found
    assert set(made["components"]["schemas"]["AuditEvent"]["properties"]) == set(AuditEvent.model_fields)


def test_every_default_and_choice_is_what_the_parser_takes(tmp_path: Path) -> None:
    made = document(tmp_path)
    for operation in ("/audit/events", "/audit/export"):
        for parameter in made["paths"][operation]["get"]["parameters"]:
            schema = parameter["schema"]
            known = PARAMETERS.get(parameter["name"]) or EXPORT_PARAMETERS[parameter["name"]]
            for value in [*schema.get("enum", ()), *[schema[key] for key in ("default", "maximum") if key in schema]]:
                assert known[1](json.dumps(value).strip('"')) == value


def test_it_tells_what_the_gate_refuses(tmp_path: Path) -> None:
    for options, codes in [
        ({}, ["missing_role", "invalid_cursor", "unavailable", "internal_error", "untrusted_context"]),
        ({"limits": ["5/minute"]}, ["rate_limited"]),
        ({"authenticators": [ApiKeyAuthenticator(InMemoryApiKeyStore())]}, ["unavailable"]),
    ]:
        made = document(tmp_path, **options)
        operation = made["paths"]["/audit/events"]["get"]
        told = [code for answer in operation["responses"].values() for code in answer.get("x-tenaudit-codes", ())]
        assert set(codes) <= set(told)
        assert operation["x-tenaudit-capability"] == "audit_view"
        assert set(operation["security"][0]) == set(made["components"]["securitySchemes"])
    assert "x-tenaudit-capability" not in made["paths"]["/audit/openapi.json"]["get"]


def test_it_tells_of_proofs_what_they_are_and_how_they_are_refused(tmp_path: Path) -> None:
    paths = document(tmp_path)["paths"]
    for path in ("/audit/events/{event_id}/proof", "/audit/checkpoint", "/audit/consistency"):
        responses = paths[path]["get"]["responses"]
        told = {code: answer.get("x-tenaudit-codes", []) for code, answer in responses.items()}
        assert "invalid_parameter" in told["400"]
        assert ("not_found" in told["404"], told["409"]) == (True, ["conflict"])
        assert paths[path]["get"]["x-tenaudit-capability"] == "audit_view"
    required = {one["name"]: one["required"] for one in paths["/audit/consistency"]["get"]["parameters"]}
    assert required == {"first": True, "second": False}
