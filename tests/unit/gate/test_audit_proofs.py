"""Proofs over the audit API: they verify with what they hold, are the caller's own, and refusals name the field."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, Gate, SecurityContext, extract_context
from tenaudit.audit import Redactor
from tenaudit.audit.integrity import parse_body, verify_consistency, verify_inclusion
from tenaudit.audit.integrity.exported_leaf import exported_leaf
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import AuditApi
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event
from tests.unit.gate.test_audit_openapi import document

READER: SecurityContext = extract_context({"X-Tenant-ID": str(TENANT), "X-Roles": "Support"})
NOBODY: SecurityContext = extract_context({"X-Tenant-ID": f"{TENANT}"[:-1] + "0", "X-Roles": "Support"})
ID = str(an_event(2).event_id)


def run(folder: Path, case: Any, redactor: Any = None) -> None:
    async def main() -> None:
        async with SqliteStore.open(folder / "audit.db") as store:
            await store.append([an_event(n) for n in range(3)])
            await store.append([an_event(n, tenant_id=OTHER_TENANT) for n in (2, 9)])
            await store.seal()
            await store.append([an_event(n) for n in range(3, 5)])
            await store.seal()
            await store.append([an_event(5)])
            await case(api_of(store, redactor))

    asyncio.run(asyncio.wait_for(main(), 60))


def api_of(store: Any, redactor: Any = None) -> AuditApi:
    gate = Gate("audit", registry=CollectorRegistry())
    return AuditApi(gate, store, redactor=redactor, cursor_keys=[b"k" * 16])


def raw(texts: list[str]) -> list[bytes]:
    return [base64.b64decode(text, validate=True) for text in texts]


async def told(answer: Any, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    reply = await answer
    assert (reply.status, ("cache-control", "no-store") in reply.headers) == (200, True)
    body: dict[str, Any] = json.loads(reply.body)
    if schema is not None:
        assert list(body) == schema["required"] == list(schema["properties"])
    return body


def schema_of(folder: Path, path: str) -> dict[str, Any]:
    answer = document(folder)["paths"][path]["get"]["responses"]["200"]
    found: dict[str, Any] = answer["content"]["application/json"]["schema"]
    return found


@pytest.mark.parametrize(("parameters", "size"), [([], 5), ([("size", "3")], 3)])
def test_the_proof_of_an_event_verifies(tmp_path: Path, parameters: list[tuple[str, str]], size: int) -> None:
    async def case(api: AuditApi) -> None:
        schema = schema_of(tmp_path, "/audit/events/{event_id}/proof")
        body = await told(api.event_proof(READER, ID, parameters), schema)
        checkpoint = parse_body(body["checkpoint"])
        assert (checkpoint.origin, checkpoint.size) == (f"tenaudit/tenant/{TENANT}", size)
        (leaf,) = raw([body["leaf_hash"]])
        assert (body["index"], body["size"]) == (2, size)
        assert exported_leaf(an_event(2).record(), body["openings"]) == leaf
        assert verify_inclusion(leaf, 2, size, raw(body["path"]), checkpoint.root)

    run(tmp_path, case)


def test_the_checkpoint_and_its_growth_verify(tmp_path: Path) -> None:
    async def case(api: AuditApi) -> None:
        tip = await told(api.checkpoint(READER, []), schema_of(tmp_path, "/audit/checkpoint"))
        assert (tip["origin"], tip["size"]) == (f"tenaudit/tenant/{TENANT}", 5)
        schema = schema_of(tmp_path, "/audit/consistency")
        growth = await told(api.consistency(READER, [("first", "3")]), schema)
        assert growth == await told(api.consistency(READER, [("first", "3"), ("second", "5")]))
        first, second = map(parse_body, growth["checkpoints"])
        assert second == parse_body(tip["checkpoint"])
        assert verify_consistency(3, 5, raw(growth["path"]), first.root, second.root)

    run(tmp_path, case)


@pytest.mark.parametrize(
    ("call", "status", "code", "field"),
    [
        (lambda api: api.event_proof(READER, "no-uuid"), 404, "not_found", "event_id"),
        (lambda api: api.event_proof(READER, str(an_event(9).event_id)), 404, "not_found", "event_id"),
        (lambda api: api.event_proof(READER, str(an_event(5).event_id)), 409, "conflict", "event_id"),
        (lambda api: api.event_proof(READER, ID, [("size", "4")]), 404, "not_found", "size"),
        (lambda api: api.event_proof(READER, ID, [("size", "6")]), 409, "conflict", "size"),
        (lambda api: api.event_proof(READER, ID, [("size", "0")]), 400, "invalid_parameter", "size"),
        (lambda api: api.event_proof(READER, ID, [("size", "9" * 19)]), 400, "invalid_parameter", "size"),
        (lambda api: api.event_proof(READER, ID, [("size", "\u0665")]), 400, "invalid_parameter", "size"),
        (lambda api: api.event_proof(READER, ID, [("tenant_id", "1")]), 400, "invalid_parameter", "tenant_id"),
        (lambda api: api.event_proof(NOBODY, ID), 409, "conflict", "size"),
        (lambda api: api.checkpoint(READER, [("size", "3")]), 400, "invalid_parameter", "size"),
        (lambda api: api.checkpoint(NOBODY), 409, "conflict", "size"),
        (lambda api: api.consistency(READER, []), 400, "invalid_parameter", "first"),
        (lambda api: api.consistency(READER, [("first", "x")]), 400, "invalid_parameter", "first"),
        (lambda api: api.consistency(READER, [("first", "5"), ("second", "3")]), 400, "invalid_parameter", "first"),
        (lambda api: api.consistency(READER, [("first", "4")]), 404, "not_found", "first"),
        (lambda api: api.consistency(READER, [("first", "3"), ("second", "4")]), 404, "not_found", "second"),
        (lambda api: api.consistency(READER, [("first", "3"), ("second", "9")]), 409, "conflict", "second"),
    ],
)
def test_every_refusal_names_its_field(tmp_path: Path, call: Any, status: int, code: str, field: str) -> None:
    async def case(api: AuditApi) -> None:
        with pytest.raises(ApiError) as refused:
            await call(api)
        error = refused.value
        assert (error.status, error.code, [one["field"] for one in error.errors]) == (status, code, [field])
        reasons = {400: [None], 404: ["unknown_event", "unknown_size"], 409: ["not_sealed"]}
        assert error.errors[0].get("reason") in reasons[status]
        assert error.to_problem("0" * 32)["errors"] == error.to_body("0" * 32)["errors"]

    run(tmp_path, case)


def test_a_store_that_cannot_prove_has_no_proofs() -> None:
    class Plain:
        """A store with nothing more than it must have."""

    async def main() -> None:
        api = api_of(Plain())
        for answer in (api.event_proof(READER, ID), api.checkpoint(READER), api.consistency(READER, [("first", "1")])):
            with pytest.raises(ApiError) as refused:
                await answer
            assert (refused.value.status, refused.value.code) == (404, "not_found")

    asyncio.run(main())


def test_a_log_that_was_tampered_with_gives_no_proof_and_tells_the_operator(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def case(api: AuditApi) -> None:
        with closing(sqlite3.connect(tmp_path / "audit.db")) as file, file:
            file.execute("UPDATE leaves SET leaf_hash = zeroblob(32) WHERE idx = 0")
        with caplog.at_level(logging.ERROR), pytest.raises(ApiError) as refused:
            await api.event_proof(READER, ID)
        assert (refused.value.status, refused.value.code) == (503, "unavailable")
        assert [getattr(record, "action", "") for record in caplog.records] == ["audit_proof_broken"]

    run(tmp_path, case)


class Opaque:
    """A redactor that does not tell what it hides."""

    def __call__(self, event: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
        return dict(event), ()


@pytest.mark.parametrize("redactor", [Redactor(["payload.card"]), Opaque()])
def test_hashes_are_not_for_readers_who_could_guess_hidden_fields_with_them(tmp_path: Path, redactor: Any) -> None:
    async def case(api: AuditApi) -> None:
        admin = extract_context({"X-Tenant-ID": str(TENANT), "X-Roles": "Admin"})
        calls: list[Any] = [lambda who: api.event_proof(who, ID), lambda who: api.consistency(who, [("first", "3")])]
        for call in calls:
            with pytest.raises(ApiError) as refused:
                await call(READER)
            assert (refused.value.status, refused.value.code) == (403, "missing_role")
            assert refused.value.missing_role == "audit_view_unredacted"
            assert (await call(admin)).status == 200
        assert (await api.checkpoint(READER)).status == 200

    run(tmp_path, case, redactor)
