"""No surface of the audit API is an oracle: a filter finds nothing by a value that is hidden from who asks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, Gate, SecurityContext, extract_context
from tenaudit.audit import EventRedactor, RedactionPolicy, Redactor, StoreError
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import AuditApi, StreamedReply, TailSettings
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import TENANT, an_event

CARD = "4242424242424242"
RULES = ["payload.card", "actor_id"]
SURFACES = ("events", "export", "tail", "stats")


def reader(role: str) -> SecurityContext:
    return extract_context({"X-Tenant-ID": str(TENANT), "X-Roles": role, "X-User-ID": "reader"})


class Scene:
    """A store of some events, and the number of those that each surface finds."""

    def __init__(self, folder: Path, redactor: EventRedactor, events: int = 5) -> None:
        self.folder = folder
        self.redactor = redactor
        self.events = [
            an_event(number, actor_id="alice@example.com", payload={"card": CARD, "n": number})
            for number in range(events)
        ]

    def ask(self, surface: str, role: str, filters: list[tuple[str, str]]) -> int:
        async def main() -> int:
            async with SqliteStore.open(self.folder / f"{surface}.db") as store:
                clock = ManualClock()
                gate = Gate("audit", registry=CollectorRegistry())
                tail = TailSettings(lifetime=2, heartbeat=1, fastest=1, slowest=1)

                async def wait(seconds: float) -> None:
                    # They arrive while it waits for the first time, and are followed.
                    clock.advance(seconds)
                    await store.append(self.events)

                api = AuditApi(
                    gate, store, redactor=self.redactor, cursor_keys=[b"k" * 16], tail=tail, clock=clock, wait=wait
                )
                if surface != "tail":
                    await store.append(self.events)
                return await found(api, surface, reader(role), filters)

        return asyncio.run(asyncio.wait_for(main(), 60))


async def found(api: AuditApi, surface: str, who: SecurityContext, filters: list[tuple[str, str]]) -> int:
    if surface == "events":
        return len(json.loads((await api.list_events(who, filters)).body)["events"])
    if surface == "stats":
        return int(json.loads((await api.stats(who, filters)).body)["events"])
    if surface == "export":
        return (await whole(await api.export(who, filters))).count(b'"event_id"')
    return (await whole(await api.tail(who, filters))).count(b"data: ")


async def whole(reply: StreamedReply) -> bytes:
    pieces = []
    try:
        while (piece := await reply.piece()) is not None:
            pieces.append(piece)
    finally:
        await reply.aclose()
    return b"".join(pieces)


def as_policy() -> RedactionPolicy:
    return RedactionPolicy(RULES, registry=CollectorRegistry())


@pytest.mark.parametrize("make", [lambda: Redactor(RULES), as_policy], ids=["redactor", "policy"])
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("q", CARD, 0),
        ("q", "424242424242", 0),
        ("q", "****4242", 5),
        ("q", '"n":3', 1),
        ("actor", "alice@example.com", 0),
        ("actor", "****.com", 5),
        ("resource_id", "o-3", 1),
    ],
)
def test_a_value_that_is_hidden_finds_nothing(
    tmp_path: Path, make: Any, surface: str, name: str, value: str, seen: int
) -> None:
    assert Scene(tmp_path, make()).ask(surface, "Support", [(name, value)]) == seen


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(("name", "value", "seen"), [("q", CARD, 5), ("q", "****4242", 0), ("actor", "****.com", 0)])
def test_who_sees_everything_finds_it(tmp_path: Path, surface: str, name: str, value: str, seen: int) -> None:
    assert Scene(tmp_path, Redactor(RULES)).ask(surface, "Admin", [(name, value)]) == seen


def test_what_counts_are_made_by_is_hidden_too(tmp_path: Path) -> None:
    async def main() -> Any:
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            await store.append([an_event(0)])
            api = AuditApi(
                Gate("audit", registry=CollectorRegistry()),
                store,
                redactor=Redactor(["action"]),
                cursor_keys=[b"k" * 16],
            )
            return [json.loads((await api.stats(reader(role), [])).body)["actions"] for role in ("Support", "Admin")]

    assert asyncio.run(main()) == [{"****ated": 1}, {"order.created": 1}]


def test_pages_of_what_is_seen_follow_each_other_both_ways(tmp_path: Path) -> None:
    async def main() -> None:
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            await store.append([an_event(n, payload={"card": CARD, "n": n, "odd": n % 2 == 1}) for n in range(130)])
            gate = Gate("audit", registry=CollectorRegistry())
            api = AuditApi(gate, store, redactor=Redactor(RULES), cursor_keys=[b"k" * 16])

            async def page(cursor: str | None = None) -> Any:
                ask = [("q", '"odd":true'), ("limit", "30"), *([("cursor", cursor)] if cursor else [])]
                return json.loads((await api.list_events(reader("Support"), ask)).body)

            def seen(body: Any) -> list[int]:
                return [event["payload"]["n"] for event in body["events"]]

            first = await page()
            second = await page(first["next_cursor"])
            third = await page(second["next_cursor"])
            assert [*seen(first), *seen(second), *seen(third)] == list(range(129, 0, -2))
            assert third["next_cursor"] is None
            assert seen(await page(third["prev_cursor"])) == seen(second)
            assert seen(await page(second["prev_cursor"])) == seen(first)
            # A reader who has become one that sees everything begins anew: the store decides all by now.
            ask = [("q", '"odd":true'), ("limit", "30"), ("cursor", first["next_cursor"])]
            with pytest.raises(ApiError) as refused:
                await api.list_events(reader("Admin"), ask)
            assert (refused.value.code, refused.value.errors[0]["reason"]) == ("invalid_cursor", "other_store")

    asyncio.run(main())


def test_an_export_that_finds_nothing_for_long_shows_that_it_lives(tmp_path: Path) -> None:
    async def main() -> list[bytes | None]:
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            await store.append([an_event(n, payload={"card": CARD}) for n in range(120)])
            gate = Gate("audit", registry=CollectorRegistry())
            api = AuditApi(gate, store, redactor=Redactor(RULES), cursor_keys=[b"k" * 16])
            reply = await api.export(reader("Support"), [("q", CARD)])
            try:
                return [await reply.piece() for _ in range(4)]
            finally:
                await reply.aclose()

    pieces = asyncio.run(main())
    assert pieces[:2] == [b"", b""]
    assert b'"events":0' in (pieces[2] or b"")
    assert pieces[3] is None


def test_a_walk_waits_for_no_store_longer_than_the_deadline() -> None:
    class Stuck:
        async def search(self, _query: Any) -> Any:
            await asyncio.Event().wait()

    async def main() -> None:
        stuck: Any = Stuck()
        gate = Gate("audit", registry=CollectorRegistry())
        api = AuditApi(gate, stuck, redactor=Redactor(RULES), cursor_keys=[b"k" * 16], deadline=0.05)
        with pytest.raises(ApiError) as late:
            await api.list_events(reader("Support"), [("q", "x")])
        assert late.value.code == "unavailable"

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_store_that_fails_in_a_walk_is_unavailable() -> None:
    class Broken:
        async def search(self, _query: Any) -> Any:
            raise StoreError("gone")

    broken: Any = Broken()
    gate = Gate("audit", registry=CollectorRegistry())
    api = AuditApi(gate, broken, redactor=Redactor(RULES), cursor_keys=[b"k" * 16])
    with pytest.raises(ApiError) as refused:
        asyncio.run(api.list_events(reader("Support"), [("q", "x")]))
    assert refused.value.code == "unavailable"
