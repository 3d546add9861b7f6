"""Exports of the audit API: bounded in memory, masked by role, audited, and broken off where the store breaks."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, AuditEvent, AuditProducer, AuditQuery, Gate, SecurityContext, extract_context
from tenaudit.audit import Page, Redactor, StoreError
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.errors import ConfigurationError
from tenaudit.gate import AuditApi, ExportSettings, StreamedReply
from tenaudit.testing.conformance.events import TENANT, an_event

EVENTS = 450


class Watched:
    """A store that notes how it was searched, and fails when told to."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.searches: list[AuditQuery] = []
        self.fail_at = 99

    async def search(self, query: AuditQuery) -> Page:
        self.searches.append(query)
        if len(self.searches) == self.fail_at:
            raise StoreError("gone")
        return await self._store.search(query)


def reader(role: str) -> SecurityContext:
    return extract_context({"X-Tenant-ID": str(TENANT), "X-Roles": role, "X-User-ID": "reader"})


def run(
    folder: Path, case: Any, *, with_producer: bool = True, exports: ExportSettings | None = None
) -> list[AuditEvent]:
    sink = MemorySink()

    async def main() -> None:
        registry = CollectorRegistry()
        async with (
            SqliteStore.open(folder / "audit.db") as store,
            AuditProducer(sink, service="audit", registry=registry) as producer,
        ):
            await store.append([an_event(n, payload={"card": "4242424242424242", "n": n}) for n in range(EVENTS)])
            gate = Gate("audit", producer=producer if with_producer else None, registry=registry)
            watched: Any = Watched(store)
            redactor = Redactor(["payload.card"])
            api = AuditApi(gate, watched, redactor=redactor, cursor_keys=[b"k" * 16], exports=exports)
            await case(api, watched)

    asyncio.run(asyncio.wait_for(main(), 60))
    return sink.events


async def pieces_of(reply: StreamedReply) -> list[bytes]:
    pieces = []
    try:
        while (piece := await reply.piece()) is not None:
            pieces.append(piece)
    finally:
        await reply.aclose()
    return pieces


@pytest.mark.parametrize(
    ("role", "card", "action", "severity"),
    [("Support", "****4242", "audit.exported", "info"), ("Admin", "4242" * 4, "audit.read_unredacted", "security")],
)
def test_an_export_is_read_page_by_page_and_audited(
    tmp_path: Path, role: str, card: str, action: str, severity: str
) -> None:
    async def case(api: AuditApi, store: Watched) -> None:
        reply = await api.export(reader(role), [("order", "asc"), ("actor", "u-1")])
        assert len(store.searches) == 1
        pieces = await pieces_of(reply)
        assert [query.limit for query in store.searches] == [200, 200, 200]
        assert len(pieces) >= 3
        assert all(len(piece) < 80_000 for piece in pieces)
        *lines, end = b"".join(pieces).splitlines()
        assert json.loads(end) == {"tenaudit_export": {"complete": True, "events": EVENTS}}
        assert [json.loads(line)["payload"] for line in lines] == [{"card": card, "n": n} for n in range(EVENTS)]

    (read,) = run(tmp_path, case)
    assert (read.action, read.severity, read.actor_id) == (action, severity, "reader")
    assert read.payload == {"export": "ndjson", "events": EVENTS, "complete": True, "filters": ["actor"]}


def test_nothing_more_is_read_for_a_client_that_went_away(tmp_path: Path) -> None:
    async def case(api: AuditApi, store: Watched) -> None:
        reply = await api.export(reader("Admin"), [("format", "csv")])
        assert (await reply.piece() or b"").startswith(b"event_id,tenant_id,")
        await reply.aclose()
        await reply.aclose()
        assert await reply.piece() is None
        assert len(store.searches) == 1

    (read,) = run(tmp_path, case)
    assert (read.payload["export"], read.payload["complete"]) == ("csv", False)
    assert 0 < read.payload["events"] <= 200


def test_nothing_that_fits_is_an_end_alone(tmp_path: Path) -> None:
    async def case(api: AuditApi, _store: Watched) -> None:
        pieces = await pieces_of(await api.export(reader("Admin"), [("actor", "nobody")]))
        assert pieces == [b'{"tenaudit_export":{"complete":true,"events":0}}\n']

    (read,) = run(tmp_path, case)
    assert (read.payload["events"], read.payload["complete"]) == (0, True)


def test_a_head_reads_nothing_and_is_no_read(tmp_path: Path) -> None:
    async def case(api: AuditApi, _store: Watched) -> None:
        await (await api.export(reader("Admin"), [])).aclose()

    assert run(tmp_path, case) == []


def test_a_store_that_fails_on_the_way_breaks_the_export_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def case(api: AuditApi, store: Watched) -> None:
        store.fail_at = 2
        reply = await api.export(reader("Admin"), [])
        with caplog.at_level(logging.WARNING, "tenaudit.gate"), pytest.raises(ApiError) as broken:
            await pieces_of(reply)
        assert broken.value.code == "unavailable"

    (read,) = run(tmp_path, case)
    assert (read.payload["events"], read.payload["complete"]) == (200, False)
    assert "audit_export_broken" in [getattr(record, "action", "") for record in caplog.records]


def test_a_store_that_fails_at_once_is_a_503(tmp_path: Path) -> None:
    async def case(api: AuditApi, store: Watched) -> None:
        store.fail_at = 1
        with pytest.raises(ApiError) as refused:
            await api.export(reader("Admin"), [])
        assert refused.value.status == 503

    assert run(tmp_path, case) == []


@pytest.mark.parametrize("name", ["limit", "cursor", "tenant_id", "colour"])
def test_what_is_no_parameter_of_an_export_is_named(tmp_path: Path, name: str) -> None:
    async def case(api: AuditApi, store: Watched) -> None:
        with pytest.raises(ApiError) as refused:
            await api.export(reader("Admin"), [(name, "1"), ("format", "xml")])
        assert [item["field"] for item in refused.value.errors] == [name, "format"]
        with pytest.raises(ApiError) as refused:
            await api.export(reader("Admin"), [("q", "x" * 1025)])
        assert [item["field"] for item in refused.value.errors] == ["q"]
        assert store.searches == []

    run(tmp_path, case)


def test_without_a_producer_nothing_is_recorded(tmp_path: Path) -> None:
    async def case(api: AuditApi, _store: Watched) -> None:
        assert await pieces_of(await api.export(reader("Support"), []))

    assert run(tmp_path, case, with_producer=False) == []


def elsewhere(role: str) -> SecurityContext:
    return extract_context({"X-Tenant-ID": str(UUID(int=9)), "X-Roles": role})


async def refused(api: AuditApi, context: SecurityContext) -> None:
    with pytest.raises(ApiError) as caught:
        await api.export(context, [])
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "unavailable", 30)


def test_too_many_exports_are_refused_until_one_ends(tmp_path: Path) -> None:
    async def case(api: AuditApi, store: Watched) -> None:
        mine = [await api.export(reader("Support"), []) for _ in range(2)]
        searches = len(store.searches)
        await refused(api, reader("Admin"))
        others = await api.export(elsewhere("Support"), [])
        await refused(api, elsewhere("Support"))
        # What is refused asks the store for nothing.
        assert len(store.searches) == searches + 1
        await pieces_of(mine[0])
        await (await api.export(reader("Support"), [])).aclose()
        await mine[1].aclose()
        await others.aclose()
        again = [await api.export(reader("Support"), []) for _ in range(2)]
        for reply in again:
            await reply.aclose()

    run(tmp_path, case, exports=ExportSettings(max_open=3, max_open_per_tenant=2))


def test_an_export_that_never_begins_takes_no_room(tmp_path: Path) -> None:
    async def case(api: AuditApi, store: Watched) -> None:
        store.fail_at = 1
        with pytest.raises(ApiError):
            await api.export(reader("Support"), [])
        with pytest.raises(ApiError):
            await api.export(reader("Support"), [("format", "xml")])
        assert await pieces_of(await api.export(reader("Support"), []))

    run(tmp_path, case, exports=ExportSettings(max_open=1, max_open_per_tenant=1))


@pytest.mark.parametrize("setting", [{"max_open": 0}, {"max_open_per_tenant": 10_001}])
def test_an_impossible_bound_is_refused_by_name(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"export {next(iter(setting))} must be"):
        ExportSettings(**setting)
