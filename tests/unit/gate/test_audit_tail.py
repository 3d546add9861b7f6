"""Following the trail: nothing lost or doubled over reconnects, bounded in time, count and work."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, AuditProducer, AuditQuery, ConfigurationError, Gate, SecurityContext, extract_context
from tenaudit.audit import Redactor, StoreError
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import AuditApi, StreamedReply, TailSettings
from tenaudit.gate.audit_cursors import AuditCursors
from tenaudit.gate.open_answers import OpenAnswers
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event
from tests.unit.gate.sse import EventSource

KEYS = [b"the key of this service's workers"]
SETTINGS = TailSettings(lifetime=60, heartbeat=10, fastest=0.5, slowest=4)


def reader(tenant: UUID = TENANT, role: str = "Support") -> SecurityContext:
    return extract_context({"X-Tenant-ID": str(tenant), "X-Roles": role, "X-User-ID": "reader"})


class Scene:
    """A store, an API on a clock of its own, and what happens while a tail waits."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.sink = MemorySink()
        self.clock = ManualClock()
        self.waits: list[float] = []
        self.script: list[Callable[[], Awaitable[Any]]] = []
        self.registry = CollectorRegistry()
        self.producer = AuditProducer(self.sink, service="audit", registry=self.registry)
        self.gate = Gate("audit", producer=self.producer, registry=self.registry)

    def api(self, store: Any = None, **options: Any) -> AuditApi:
        options = {"tail": SETTINGS, "redactor": Redactor(["payload.card"]), "cursor_keys": KEYS, **options}
        return AuditApi(self.gate, store or self.store, clock=self.clock, wait=self.wait, **options)

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)
        if self.script:
            await self.script.pop(0)()

    def arrives(self, *numbers: int, **fields: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: self.store.append([an_event(number, **fields) for number in numbers])

    async def nothing(self) -> None:
        """Let nothing happen."""


def run(folder: Path, case: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        async with SqliteStore.open(folder / "audit.db") as store:
            scene = Scene(store)
            async with scene.producer:
                await case(scene)

    asyncio.run(asyncio.wait_for(main(), 60))


async def read_all(reply: StreamedReply, source: EventSource) -> list[int]:
    """Read to the end and return the numbers of the events."""
    source.connect()
    try:
        while (piece := await reply.piece()) is not None:
            source.feed(piece)
    finally:
        await reply.aclose()
    return [json.loads(data)["seq"] for data in source.data]


async def refusal(awaitable: Awaitable[Any]) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await awaitable
    return refused.value


def test_what_arrives_is_shown_also_when_its_id_is_old(tmp_path: Path) -> None:
    async def case(scene: Scene) -> None:
        await scene.store.append([an_event(5)])
        scene.script = [scene.arrives(7, 8), scene.nothing, scene.arrives(2), scene.arrives(9, tenant_id=OTHER_TENANT)]
        reply = await scene.api().tail(reader(), [])
        assert reply.status == 200
        assert ("content-type", "text/event-stream") in reply.headers
        source = EventSource()
        assert await read_all(reply, source) == [7, 8, 2]
        assert source.retry == 2000

    run(tmp_path, case)


def test_every_cut_is_healed_by_the_last_event_id(tmp_path: Path) -> None:
    async def case(scene: Scene) -> None:
        order = [3, 1, 4, 0, 5, 9, 2, 6]
        api, source = scene.api(), EventSource()
        reply = await api.tail(reader(), [])
        source.feed(await reply.piece() or b"")
        await reply.aclose()
        for place, number in enumerate(order):
            await scene.arrives(number)()
            reply = await api.tail(reader(), [], source.last_event_id)
            source.connect()
            # The first piece is the place alone; the second holds what is new, cut wherever the line broke.
            pieces = [await reply.piece() or b"", await reply.piece() or b""]
            stream = b"".join(pieces)
            source.feed(stream[: len(stream) * place // len(order)])
            await reply.aclose()
        shown = await read_all(await api.tail(reader(), [], source.last_event_id), source)
        assert shown == order

    run(tmp_path, case)


def test_a_connection_that_breaks_before_the_first_event_misses_none(tmp_path: Path) -> None:
    async def case(scene: Scene) -> None:
        await scene.arrives(0)()
        source, api = EventSource(), scene.api()
        first = await api.tail(reader(), [])
        source.feed(await first.piece() or b"")
        await first.aclose()
        await scene.arrives(1, 2)()
        assert await read_all(await api.tail(reader(), [], source.last_event_id), source) == [1, 2]
        # An empty field is the same as none.
        assert await read_all(await api.tail(reader(), [], ""), EventSource()) == []

    run(tmp_path, case)


def test_a_long_absence_is_caught_up_without_waiting(tmp_path: Path) -> None:
    async def case(scene: Scene) -> None:
        source, api = EventSource(), scene.api()
        first = await api.tail(reader(), [])
        source.feed(await first.piece() or b"")
        await first.aclose()
        await scene.arrives(*range(250))()
        assert await read_all(await api.tail(reader(), [], source.last_event_id), source) == list(range(250))
        assert scene.waits[:3] == [0, 0, 0.5]

    run(tmp_path, case)


def test_only_what_fits_is_shown_and_the_place_moves_on_all_the_same(tmp_path: Path) -> None:
    async def case(scene: Scene) -> None:
        scene.script = [scene.arrives(1), scene.arrives(2, action="payment.voided"), scene.arrives(3)]
        source, api = EventSource(), scene.api()
        ask = [("action", "order.*"), ("include_redacted", "true")]
        assert await read_all(await api.tail(reader(), ask), source) == [1, 3]
        quiet = EventSource()
        scene.script = [scene.arrives(4, action="payment.voided")]
        assert await read_all(await api.tail(reader(), ask, source.last_event_id), quiet) == []
        cursors = AuditCursors(KEYS, clock=scene.clock)
        orders = AuditQuery(TENANT, action="order.*")
        assert cursors.position_of(orders, source.last_event_id, "id") == 3
        assert cursors.position_of(orders, quiet.last_event_id, "id") == 4
        # Every ten seconds at the earliest, and every fourth second is looked at.
        assert quiet.comments == 4

    run(tmp_path, case)


def test_the_store_is_asked_less_and_less_while_nothing_comes(tmp_path: Path) -> None:
    async def case(scene: Scene) -> None:
        scene.script = [*[scene.nothing] * 4, scene.arrives(1)]
        await read_all(await scene.api().tail(reader(), []), EventSource())
        assert scene.waits[:9] == [1, 2, 4, 4, 4, 0.5, 1, 2, 4]
        assert 60 <= sum(scene.waits) < 64

    run(tmp_path, case)


def test_followers_are_counted_and_let_go(tmp_path: Path) -> None:
    async def case(scene: Scene) -> None:
        bounds = TailSettings(max_open=3, max_open_per_tenant=2)
        api, again = scene.api(tail=bounds), scene.api(tail=bounds)
        mine = [await api.tail(reader(), []), await again.tail(reader(), [])]
        refused = await refusal(api.tail(reader(), []))
        assert (refused.status, refused.code, refused.retry_after) == (503, "unavailable", 30)
        other = await api.tail(reader(OTHER_TENANT), [])
        assert (await refusal(api.tail(reader(OTHER_TENANT), []))).status == 503
        # Never started, begun, and lost on its way: each gives its place back, once.
        await mine[0].aclose()
        await mine[0].aclose()
        await (await api.tail(reader(), [])).aclose()
        await mine[1].piece()
        await mine[1].aclose()
        del other
        gc.collect()
        mine += [await api.tail(reader(tenant), []) for tenant in (TENANT, TENANT, OTHER_TENANT)]
        assert (await refusal(api.tail(reader(UUID(int=9)), []))).status == 503
        for reply in mine:
            await reply.aclose()

    run(tmp_path, case)


def test_an_id_that_is_not_good_is_refused_with_its_reason(tmp_path: Path) -> None:
    async def case(scene: Scene) -> None:
        await scene.arrives(0, 1)()
        api, source = scene.api(), EventSource()
        reply = await api.tail(reader(), [])
        source.feed(await reply.piece() or b"")
        await reply.aclose()
        good = source.last_event_id
        page = json.loads((await api.list_events(reader(), [("limit", "1")])).body)["next_cursor"]

        async def reason(*args: Any, of: AuditApi = api) -> Any:
            error = await refusal(of.tail(*args))
            assert (error.status, error.code, error.errors[0]["field"]) == (400, "invalid_cursor", "Last-Event-ID")
            return error.errors[0]["reason"]

        assert await reason(reader(), [], good[:-1]) == "altered"
        assert await reason(reader(), [], page) == "altered"
        assert await reason(reader(OTHER_TENANT), [], good) == "other_tenant"
        assert await reason(reader(), [("actor", "u-2")], good) == "other_filters"
        async with SqliteStore.open(tmp_path / "other.db") as other:
            assert await reason(reader(), [], good, of=scene.api(other)) == "other_store"
        scene.clock.advance(86_400)
        assert await reason(reader(), [], good) == "expired"

    run(tmp_path, case)


def test_parameters_of_lists_are_none_of_a_tail(tmp_path: Path) -> None:
    async def case(scene: Scene) -> None:
        wrong = [("limit", "1"), ("cursor", "x"), ("order", "asc"), ("format", "csv"), ("outcome", "none")]
        error = await refusal(scene.api().tail(reader(), wrong))
        assert [item["field"] for item in error.errors] == ["limit", "cursor", "order", "format", "outcome"]

    run(tmp_path, case)


@pytest.mark.parametrize(("role", "card", "told"), [("Support", "****4242", []), ("Admin", "4242" * 4, [2])])
def test_readers_are_masked_by_role_and_whole_reads_are_audited(
    tmp_path: Path, role: str, card: str, told: list[int]
) -> None:
    async def case(scene: Scene) -> None:
        scene.script = [scene.arrives(1, 2, payload={"card": "4242424242424242"})]
        source = EventSource()
        await read_all(await scene.api().tail(reader(role=role), [("actor", "u-1")]), source)
        assert {json.loads(data)["payload"]["card"] for data in source.data} == {card}
        await scene.producer.flush(5)
        assert [event.payload["events"] for event in scene.sink.events] == told
        assert {event.action for event in scene.sink.events} <= {"audit.read_unredacted"}

    run(tmp_path, case)


def test_a_store_that_cannot_be_followed_has_no_tail(tmp_path: Path) -> None:
    class Plain:
        """A store without the power."""

    async def case(scene: Scene) -> None:
        assert (await refusal(scene.api(Plain()).tail(reader(), []))).code == "not_found"

    run(tmp_path, case)


def test_a_store_that_fails_sends_the_client_away_to_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        """A store that fails at its second look."""

        def __init__(self, store: SqliteStore) -> None:
            self._store = store
            self._looks = 0

        async def newest_position(self, tenant_id: UUID) -> int:
            return await self._store.newest_position(tenant_id)

        async def follow(self, tenant_id: UUID, after: int, limit: int) -> Any:
            self._looks += 1
            if self._looks == 2:
                raise StoreError("gone")
            return await self._store.follow(tenant_id, after, limit)

    async def case(scene: Scene) -> None:
        source, api = EventSource(), scene.api(Failing(scene.store))
        reply = await api.tail(reader(), [])
        await scene.arrives(1)()
        with caplog.at_level(logging.WARNING, "tenaudit.gate"):
            assert await read_all(reply, source) == [1]
        assert "audit_tail_broken" in [getattr(record, "action", "") for record in caplog.records]
        await scene.arrives(2)()
        assert await read_all(await api.tail(reader(), [], source.last_event_id), source) == [1, 2]

    run(tmp_path, case)


def test_a_forked_child_serves_none_of_its_parents_followers() -> None:
    tails = OpenAnswers("Too many.")
    tails.enter(TENANT, SETTINGS)
    assert tails.total == 1
    tails.after_fork()
    assert tails.total == 0
    # What is dropped there of the parent's gives no room that was never taken.
    tails.leave(TENANT)
    assert tails.total == 0


@pytest.mark.parametrize(
    "setting",
    [
        {"max_open": 0}, {"max_open_per_tenant": 10_001}, {"lifetime": 0}, {"heartbeat": float("nan")},
        {"fastest": -1}, {"slowest": 1e9}, {"fastest": 3},
    ],
)  # fmt: skip
def test_an_impossible_bound_is_refused_by_name(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        TailSettings(**setting)
