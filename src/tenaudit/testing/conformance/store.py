"""What every store keeps to, as a suite that a third party's store can run."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tenaudit.audit import AuditEvent, AuditQuery, InvalidCursor, SinkRejected
from tenaudit.testing.conformance.checkpoints import CheckpointCases
from tenaudit.testing.conformance.events import OTHER_TENANT, START, TENANT, an_event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from uuid import UUID

    from tenaudit.audit import Store

__all__ = ["StoreConformance"]


class StoreConformance(CheckpointCases):
    """Proves a store; subclass it as `class TestMyStore(StoreConformance)`.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> class TestSqlite(StoreConformance):
        ...     async def open_store(self, folder): return await SqliteStore.open(folder / "audit.db")
    """

    def test_gives_back_what_it_was_given(self, tmp_path: Path) -> None:
        """Every field of an event survives, in get and in search."""
        event = an_event(
            0, payload={"é": [1, 2.5, 1e16, -0.0, None, True, {"deep": "\U0001f600"}]}, redactions=("mask:x",)
        )

        async def case(store: Store) -> None:
            assert await store.append([event]) == (1, 0, 0, 0)
            assert await store.get(TENANT, event.event_id) == event
            assert (await store.search(AuditQuery(TENANT))).events == (event,)
            assert await store.get(TENANT, an_event(1).event_id) is None

        self._run(tmp_path, case)

    def test_stores_an_event_once(self, tmp_path: Path) -> None:
        """A second arrival is a duplicate, in another batch and in the same one."""
        events = [an_event(n) for n in range(4)]

        async def case(store: Store) -> None:
            assert await store.append([]) == (0, 0, 0, 0)
            assert await store.append(events[:3]) == (3, 0, 0, 0)
            assert await store.append([events[1], events[3], events[3]]) == (1, 2, 0, 0)
            assert (await store.search(AuditQuery(TENANT, order="asc"))).events == tuple(events)

        self._run(tmp_path, case)

    def test_keeps_the_first_content_of_an_id(self, tmp_path: Path) -> None:
        """The same id with another content is a conflict: counted, and never an overwrite."""
        first, second = an_event(0), an_event(0, payload={"number": 99})

        async def case(store: Store) -> None:
            await store.append([first])
            assert await store.append([second, an_event(1)]) == (1, 0, 1, 0)
            assert await store.append([second]) == (0, 0, 1, 0)
            assert await store.get(TENANT, first.event_id) == first
            assert (await store.verify()).verified

        self._run(tmp_path, case)

    def test_keeps_tenants_apart(self, tmp_path: Path) -> None:
        """The same id may stand in two tenants, and nobody sees the other's."""
        mine, theirs = an_event(0), an_event(0, tenant_id=OTHER_TENANT, payload={"secret": 1})
        alone = an_event(1, tenant_id=OTHER_TENANT)

        async def case(store: Store) -> None:
            assert await store.append([mine, theirs, alone]) == (3, 0, 0, 0)
            assert (await store.search(AuditQuery(TENANT))).events == (mine,)
            assert await store.get(TENANT, alone.event_id) is None
            assert await store.get(OTHER_TENANT, mine.event_id) == theirs
            assert await store.tenants() == (TENANT, OTHER_TENANT)

        self._run(tmp_path, case)

    def test_finds_by_every_filter(self, tmp_path: Path) -> None:
        """Each filter finds the one event that it fits, and combined filters narrow down."""
        plain = an_event(0)
        special = an_event(
            1,
            actor_id="u-2",
            action="payment.voided",
            resource_type="payment",
            resource_id="p-1",
            severity="security",
            outcome="denied",
            service="payments",
            payload={"reason": "Wrong AMOUNT"},
        )
        noon = START + timedelta(seconds=1)
        filters: list[dict[str, Any]] = [
            {"actor": "u-2"},
            {"action": "payment.voided"},
            {"action": "payment.*"},
            {"resource_type": "payment"},
            {"resource_id": "p-1"},
            {"severity": "security"},
            {"min_severity": "warn"},
            {"outcome": "denied"},
            {"trace_id": special.trace_id},
            {"service": "payments"},
            {"from_": noon},
            {"from_": noon, "to": noon + timedelta(microseconds=1)},
            {"q": "wrong amount"},
        ]

        async def case(store: Store) -> None:
            await store.append([plain, special, an_event(2, tenant_id=OTHER_TENANT, actor_id="u-2")])
            for one in [*filters, {key: value for each in filters for key, value in each.items()}]:
                assert (await store.search(AuditQuery(TENANT, **one))).events == (special,), one
            assert (await store.search(AuditQuery(TENANT, to=noon))).events == (plain,)
            for absent in ({"actor": "u-3"}, {"action": "payment"}, {"action": "paymen.*"}, {"q": "%"}, {"to": START}):
                assert (await store.search(AuditQuery(TENANT, **absent))).events == (), absent

        self._run(tmp_path, case)

    def test_a_prefix_ends_at_its_dot(self, tmp_path: Path) -> None:
        """`payment.*` finds the names below payment, and not those that only begin like it."""
        actions = (
            "payment",
            "payment.a",
            "payment.a.b",
            "payment0.a",
            "payment_x.a",
            "payments.a",
            "paymenu.a",
            "pay.a",
        )
        stored = [an_event(n, action=action) for n, action in enumerate(actions)]

        async def case(store: Store) -> None:
            await store.append(stored)
            for pattern, found in (("payment.*", stored[1:3]), ("payment.a.*", stored[2:3]), ("payment", stored[:1])):
                assert (await store.search(AuditQuery(TENANT, action=pattern, order="asc"))).events == tuple(found)

        self._run(tmp_path, case)

    def test_pages_forth_and_back(self, tmp_path: Path) -> None:
        """The pages of both directions are the whole set, in order, without gap or repetition."""
        events = [an_event(n) for n in range(7)]

        async def case(store: Store) -> None:
            await store.append(events)
            for order, whole in (("asc", events), ("desc", events[::-1])):
                query = AuditQuery(TENANT, limit=3, order=order)  # type: ignore[arg-type]
                pages = await _pages(store, query)
                assert [event for page in pages for event in page] == whole
                assert [len(page) for page in pages] == [3, 3, 1]

        self._run(tmp_path, case)

    def test_pages_are_stable_under_inserts(self, tmp_path: Path) -> None:
        """What arrives while a reader pages moves no event from one page to another."""
        events = [an_event(n) for n in range(6)]

        async def case(store: Store) -> None:
            await store.append(events)
            first = await store.search(AuditQuery(TENANT, limit=2))
            await store.append([an_event(10)])
            second = await store.search(AuditQuery(TENANT, limit=2, cursor=first.next_cursor))
            assert second.events == (events[3], events[2])
            back = await store.search(AuditQuery(TENANT, limit=2, cursor=second.prev_cursor))
            assert back.events == (events[5], events[4])
            assert back.prev_cursor is not None

        self._run(tmp_path, case)

    def test_refuses_a_foreign_cursor(self, tmp_path: Path) -> None:
        """A cursor of another tenant, of other filters or of nobody is refused."""

        async def case(store: Store) -> None:
            await store.append([an_event(n) for n in range(3)])
            cursor = (await store.search(AuditQuery(TENANT, limit=1))).next_cursor
            assert cursor is not None
            for query in (
                AuditQuery(OTHER_TENANT, limit=1, cursor=cursor),
                AuditQuery(TENANT, actor="u-1", limit=1, cursor=cursor),
                AuditQuery(TENANT, order="asc", limit=1, cursor=cursor),
                AuditQuery(TENANT, limit=1, cursor="nonsense"),
            ):
                try:
                    await store.search(query)
                except InvalidCursor:
                    continue
                raise AssertionError(query)

        self._run(tmp_path, case)

    def test_names_what_it_refuses(self, tmp_path: Path) -> None:
        """Events that can never be stored are named, and the rest can be stored without them."""
        good = [an_event(n) for n in range(2)]
        bad = [
            an_event(2).model_copy(update={"payload": {"big": 2**53}}),
            an_event(3).model_copy(update={"payload": {"text": "a\x00b"}}),
            an_event(4).model_copy(update={"actor_id": "a\x00b"}),
            an_event(5).model_copy(update={"resource_id": 0}),
            an_event(6).model_copy(update={"payload": {"text": "\ud800"}}),
            an_event(7).model_copy(update={"tenant_id": None}),
            an_event(8).model_copy(update={"payload": [1]}),
            an_event(9).model_copy(update={"seq": 2**80}),
            an_event(11).model_copy(update={"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))}),
            an_event(12).model_copy(update={"occurred_at": None}),
            _unchecked(event_id=an_event(13).event_id),
        ]
        harmless = an_event(14, payload={"text": "a\\u0000b"})

        async def case(store: Store) -> None:
            refused: frozenset[UUID] = frozenset()
            try:
                await store.append([good[0], *bad, harmless])
            except SinkRejected as refusal:
                refused = refusal.event_ids
            assert refused == {event.event_id for event in bad}
            assert await store.append([*good, harmless]) == (3, 0, 0, 0)
            assert (await store.verify()).verified

        self._run(tmp_path, case)

    def test_refuses_what_has_no_id(self, tmp_path: Path) -> None:
        """An event that cannot even be named is refused all the same, and so are the ones beside it that can be."""
        nameless = [_unchecked(), an_event(0).model_copy(update={"event_id": None})]
        bad = an_event(1).model_copy(update={"payload": None})

        async def case(store: Store) -> None:
            for batch, named in (([*nameless, bad, an_event(2)], [bad.event_id]), (nameless, [])):
                refused: frozenset[UUID] | None = None
                try:
                    await store.append(batch)
                except SinkRejected as refusal:
                    refused = refusal.event_ids
                assert refused == frozenset(named)
            assert await store.append([an_event(2)]) == (1, 0, 0, 0)

        self._run(tmp_path, case)


def _unchecked(**fields: Any) -> AuditEvent:
    return AuditEvent.model_construct(**fields)


async def _pages(store: Store, query: AuditQuery) -> list[Sequence[AuditEvent]]:
    """Page to the end and back to the start, and return the pages if both ways agree."""
    page = await store.search(query)
    assert page.prev_cursor is None
    forth = [page.events]
    while page.next_cursor is not None:
        page = await store.search(query.at(page.next_cursor))
        forth.append(page.events)
    back = [page.events]
    while page.prev_cursor is not None:
        page = await store.search(query.at(page.prev_cursor))
        back.append(page.events)
    assert back[::-1] == forth
    return [*forth]
