"""The audit trail over HTTP, without HTTP: whose events, whose eyes, which errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, AuditEvent, AuditProducer, Gate, SecurityContext, extract_context
from tenaudit.audit import Redactor
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import AuditApi

ACME, GLOBEX = UUID(int=1), UUID(int=2)
REDACTOR = Redactor(["payload.card"])


def context(tenant: UUID, role: str) -> SecurityContext:
    return extract_context({"X-Tenant-ID": str(tenant), "X-Roles": role, "X-User-ID": "reader"})


def event(place: int, tenant: UUID = ACME) -> AuditEvent:
    return AuditEvent(
        event_id=UUID(int=(1_700_000_000_000 + place << 80) | (7 << 76) | (2 << 62) | place),
        tenant_id=tenant,
        occurred_at="2023-11-14T22:13:20Z",
        action="payment.processed",
        service="payment",
        payload={"card": "4242424242424242", "place": place},
    )


def run(folder: Path, ask: Callable[[AuditApi, SqliteStore], Awaitable[Any]]) -> tuple[Any, list[AuditEvent]]:
    sink = MemorySink()

    async def main() -> Any:
        registry = CollectorRegistry()
        async with (
            SqliteStore.open(folder / "audit.db") as store,
            AuditProducer(sink, service="audit", registry=registry) as producer,
        ):
            await store.append([event(place) for place in range(5)] + [event(9, GLOBEX)])
            gate = Gate("audit", producer=producer, registry=registry)
            return await ask(AuditApi(gate, store, redactor=REDACTOR), store)

    return asyncio.run(main()), sink.events


def events_of(reply: Any) -> list[dict[str, Any]]:
    assert reply.status == 200
    assert ("cache-control", "no-store") in reply.headers
    return json.loads(reply.body)["events"]


def test_a_reader_sees_the_own_tenant_masked(tmp_path: Path) -> None:
    reply, reads = run(tmp_path, lambda api, _: api.list_events(context(ACME, "Support"), []))
    events = events_of(reply)
    assert len(events) == 5
    assert {item["tenant_id"] for item in events} == {str(ACME)}
    assert {item["payload"]["card"] for item in events} == {"****4242"}
    assert reads == []


def test_an_unredacted_read_is_whole_and_is_itself_audited(tmp_path: Path) -> None:
    ask = context(ACME, "Admin")
    reply, reads = run(tmp_path, lambda api, _: api.list_events(ask, [("action", "payment.*"), ("limit", "2")]))
    assert {item["payload"]["card"] for item in events_of(reply)} == {"4242424242424242"}
    (read,) = reads
    assert (read.action, read.actor_id, read.severity) == ("audit.read_unredacted", "reader", "security")
    assert read.payload == {"events": 2, "filters": ["action"]}


def test_tags_show_where_something_was_masked(tmp_path: Path) -> None:
    ask = [("include_redacted", "true"), ("limit", "1")]
    reply, _ = run(tmp_path, lambda api, _: api.list_events(context(ACME, "Support"), ask))
    assert events_of(reply)[0]["redactions"] == ["payload.card:mask"]


def test_pages_follow_each_other_to_the_end(tmp_path: Path) -> None:
    async def walk(api: AuditApi, _: SqliteStore) -> list[int]:
        seen: list[int] = []
        cursor = None
        while True:
            ask = [("limit", "2"), ("order", "asc"), *([("cursor", cursor)] if cursor else [])]
            body = json.loads((await api.list_events(context(ACME, "Support"), ask)).body)
            seen += [item["payload"]["place"] for item in body["events"]]
            cursor = body["next_cursor"]
            if cursor is None:
                return seen

    assert run(tmp_path, walk)[0] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("ask", "code", "field"),
    [
        ([("colour", "red")], "invalid_parameter", "colour"),
        ([("limit", "0")], "invalid_parameter", "limit"),
        ([("tenant_id", str(GLOBEX))], "invalid_parameter", "tenant_id"),
        ([("cursor", "AAAA")], "invalid_cursor", "cursor"),
    ],
)
def test_bad_parameters_are_named(tmp_path: Path, ask: list[tuple[str, str]], code: str, field: str) -> None:
    with pytest.raises(ApiError) as refused:
        run(tmp_path, lambda api, _: api.list_events(context(ACME, "Support"), ask))
    assert (refused.value.status, refused.value.code) == (400, code)
    assert refused.value.errors[0]["field"] == field


def test_a_cursor_of_one_tenant_is_refused_to_another(tmp_path: Path) -> None:
    async def steal(api: AuditApi, _: SqliteStore) -> None:
        first = json.loads((await api.list_events(context(ACME, "Support"), [("limit", "1")])).body)
        await api.list_events(context(GLOBEX, "Support"), [("limit", "1"), ("cursor", first["next_cursor"])])

    with pytest.raises(ApiError) as refused:
        run(tmp_path, steal)
    assert refused.value.code == "invalid_cursor"


def test_one_event_is_found_by_its_tenant_alone(tmp_path: Path) -> None:
    wanted = str(event(3).event_id)
    reply, _ = run(tmp_path, lambda api, _: api.one_event(context(ACME, "Support"), wanted))
    assert json.loads(reply.body)["payload"]["card"] == "****4242"
    for tenant, event_id in ((GLOBEX, wanted), (ACME, "no-uuid"), (ACME, str(UUID(int=5)))):
        with pytest.raises(ApiError) as refused:
            run(tmp_path, lambda api, _, t=tenant, e=event_id: api.one_event(context(t, "Support"), e))
        assert refused.value.status == 404


def test_a_store_that_is_gone_is_a_503(tmp_path: Path) -> None:
    async def closed(api: AuditApi, store: SqliteStore) -> None:
        await store.close()
        await api.list_events(context(ACME, "Support"), [])

    with pytest.raises(ApiError) as refused:
        run(tmp_path, closed)
    assert (refused.value.status, refused.value.retry_after) == (503, 5)


class _Odd:
    """An engine that answers what a policy must not be, or fails."""

    name = "odd"

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def decide(self, _context: SecurityContext, _capability: str, _resource: object = None) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return SimpleNamespace(allowed=self._answer)

    def denial_name(self, capability: str) -> str:
        return capability


@pytest.mark.parametrize(
    ("answer", "card"), [(1, "****4242"), (RuntimeError("down"), "****4242"), (True, "4242424242424242")]
)
def test_an_engine_that_errs_shows_the_masked_view(answer: Any, card: str, tmp_path: Path) -> None:
    async def main() -> Any:
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            await store.append([event(1)])
            gate = Gate("audit", policy=_Odd(answer), registry=CollectorRegistry())
            api = AuditApi(gate, store, redactor=REDACTOR)
            one = await api.one_event(context(ACME, "Admin"), str(event(1).event_id))
            return [*events_of(await api.list_events(context(ACME, "Admin"), [])), json.loads(one.body)]

    shown = asyncio.run(main())
    assert [item["payload"]["card"] for item in shown] == [card, card]


def test_one_unredacted_event_is_audited_too(tmp_path: Path) -> None:
    _, reads = run(tmp_path, lambda api, _: api.one_event(context(ACME, "Admin"), str(event(1).event_id)))
    assert [read.payload for read in reads] == [{"events": 1, "event_id": str(event(1).event_id)}]
