"""What every store that counts the events of producers keeps to, as a suite that a third party's store can run."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit.audit import StoreError
from tenaudit.audit.closing import CLOSED, ClosingTotals
from tenaudit.audit.producer_rows import Accounts, AccountWindow, ProducerRow, StoreAccount
from tenaudit.testing.conformance.events import OTHER_TENANT, START, TENANT, an_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from tenaudit.audit import AuditEvent, Store

__all__ = ["AccountConformance"]

_START_MS = round(START.timestamp() * 1000)


def _closing(number: int, totals: ClosingTotals) -> AuditEvent:
    return an_event(number, action=CLOSED, payload=totals.to_payload(), tenant_id=OTHER_TENANT)


class AccountConformance(ABC):
    """Proves the account of a store; subclass it as `class TestMyStoreAccount(AccountConformance)`.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> class TestSqliteAccount(AccountConformance):
        ...     async def open_store(self, folder): return await SqliteStore.open(folder / "audit.db")
    """

    @abstractmethod
    async def open_store(self, folder: Path) -> Store:
        """Return a new, empty store; *folder* is the test's own."""

    def _run(self, folder: Path, case: Callable[[Store], Awaitable[None]]) -> None:
        async def main() -> None:
            store = await self.open_store(folder)
            try:
                await case(store)
            finally:
                await store.close()

        asyncio.run(asyncio.wait_for(main(), 60))

    def test_counts_each_producer_over_all_tenants(self, tmp_path: Path) -> None:
        """A row has the number of events, their span and the service, whatever tenants they belong to."""
        events = [
            *(an_event(number, tenant_id=TENANT if number % 2 else OTHER_TENANT) for number in (2, 3, 6)),
            an_event(9, producer_id="payments-1", service="payments", seq=0),
            an_event(10, producer_id=None),
            an_event(11, seq=None),
        ]

        async def case(store: Store) -> None:
            assert await _account(store) == StoreAccount(())
            await store.append(events)
            await store.append(events)
            rows = (ProducerRow("orders-1", "orders", 3, 2, 6), ProducerRow("payments-1", "payments", 1, 0, 0))
            assert await _account(store) == StoreAccount(rows)

        self._run(tmp_path, case)

    def test_reads_the_closing_record(self, tmp_path: Path) -> None:
        """The totals of a closing record are there, and one that does not add up is an event like others."""
        totals = ClosingTotals(2, 1, 1, 3, 0, 1, _START_MS)
        broken = an_event(7, action=CLOSED, payload={"emitted": 7}, producer_id="orders-2")
        misplaced = an_event(8, action=CLOSED, payload=totals.to_payload(), producer_id="orders-3")

        async def case(store: Store) -> None:
            nameless = _closing(12, totals).model_copy(update={"producer_id": None})
            await store.append([an_event(0), _closing(2, totals), broken, misplaced, nameless])
            rows = {row.producer_id: row for row in (await _account(store)).rows}
            assert rows["orders-1"] == ProducerRow("orders-1", "orders", 2, 0, 2, totals)
            assert [rows[name].closing for name in ("orders-2", "orders-3")] == [None, None]

        self._run(tmp_path, case)

    def test_keeps_to_its_window(self, tmp_path: Path) -> None:
        """The first millisecond of a window counts and its end does not, closing records included."""
        totals = ClosingTotals(6, 6, 0, 0, 0, 0, _START_MS)

        async def case(store: Store) -> None:
            await store.append([*(an_event(number) for number in range(6)), _closing(6, totals)])
            inner = AccountWindow(_START_MS + 2000, _START_MS + 5000)
            assert (await _account(store, inner)).rows == (ProducerRow("orders-1", "orders", 3, 2, 4),)
            tail = AccountWindow(_START_MS + 4001)
            assert (await _account(store, tail)).rows == (ProducerRow("orders-1", "orders", 2, 5, 6, totals),)
            assert (await _account(store, AccountWindow(_START_MS + 6001))).rows == ()

        self._run(tmp_path, case)

    def test_tells_which_events_it_has(self, tmp_path: Path) -> None:
        """Of the events that are asked about, those that are stored are named; another tenant's are not."""
        here, there = an_event(0), an_event(1, tenant_id=OTHER_TENANT)

        async def case(store: Store) -> None:
            await store.append([here, there])
            ids = [here.event_id, there.event_id, an_event(2).event_id]
            held = {TENANT: ids, OTHER_TENANT: ids[:1], UUID(int=5): ids, UUID(int=6): []}
            found = await _account(store, AccountWindow(_START_MS + 60_000), held)
            assert found == StoreAccount((), frozenset({(TENANT, here.event_id)}))

        self._run(tmp_path, case)

    def test_gives_up_when_time_is_over(self, tmp_path: Path) -> None:
        """An account that cannot be finished is none, and the store answers afterwards."""

        async def case(store: Store) -> None:
            await store.append([an_event(number) for number in range(50)])
            assert isinstance(store, Accounts)
            try:
                await store.account(AccountWindow(), held={TENANT: [an_event(0).event_id]}, seconds=1e-9)
            except StoreError:
                pass
            else:
                raise AssertionError("an account without time")
            assert (await _account(store)).rows[0].stored == 50
            assert await store.get(TENANT, an_event(0).event_id) is not None

        self._run(tmp_path, case)

    def test_counts_many_events_in_parts(self, tmp_path: Path) -> None:
        """What no single part holds is counted all the same, of each producer."""
        moment = START + timedelta(seconds=1)
        events = [
            an_event(number, producer_id=f"orders-{number % 3}", seq=number // 3, occurred_at=moment)
            for number in range(2400)
        ]

        async def case(store: Store) -> None:
            await store.append(events)
            found = await _account(store, held={TENANT: [event.event_id for event in events]})
            assert found.rows == tuple(ProducerRow(f"orders-{number}", "orders", 800, 0, 799) for number in range(3))
            assert found.also_stored == {(TENANT, event.event_id) for event in events}

        self._run(tmp_path, case)


async def _account(
    store: Store, window: AccountWindow | None = None, held: Mapping[UUID, Sequence[UUID]] | None = None
) -> StoreAccount:
    assert isinstance(store, Accounts)
    return await store.account(window or AccountWindow(), held=held or {}, seconds=30.0)
