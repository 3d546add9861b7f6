"""The embedded store followed and counted: by arrival, by tenant, and within bounds."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tenaudit.audit import AuditQuery, StoreError
from tenaudit.audit.follow import Follows
from tenaudit.audit.stats import Counts
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event


def run(folder: Path, case: Any) -> None:
    async def main() -> None:
        async with SqliteStore.open(folder / "audit.db") as store:
            await case(store)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_it_has_both_powers(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "audit.db")
    assert isinstance(store, Follows)
    assert isinstance(store, Counts)


def test_the_order_is_that_of_arrival_and_each_tenants_own(tmp_path: Path) -> None:
    async def case(store: SqliteStore) -> None:
        assert await store.newest_position(TENANT) == 0
        assert await store.follow(TENANT, 0, 10) == []
        await store.append([an_event(5), an_event(1), an_event(9, tenant_id=OTHER_TENANT)])
        await store.append([an_event(5), an_event(3)])
        followed = await store.follow(TENANT, 0, 10)
        assert followed == [(1, an_event(5)), (2, an_event(1)), (3, an_event(3))]
        assert await store.follow(TENANT, 1, 1) == followed[1:2]
        assert await store.follow(TENANT, 3, 10) == []
        assert await store.newest_position(TENANT) == 3
        assert await store.newest_position(UUID(int=3)) == 0

    run(tmp_path, case)


def test_an_event_that_was_taken_out_is_passed_over(tmp_path: Path) -> None:
    async def case(store: SqliteStore) -> None:
        await store.append([an_event(number) for number in range(4)])
        with closing(sqlite3.connect(tmp_path / "audit.db")) as other, other:
            other.execute("DELETE FROM events WHERE event_id = ?", (str(an_event(1).event_id),))
        assert [position for position, _ in await store.follow(TENANT, 0, 2)] == [1, 3]

    run(tmp_path, case)


def test_what_fits_is_counted_and_nothing_of_another_tenant(tmp_path: Path) -> None:
    async def case(store: SqliteStore) -> None:
        await store.append([an_event(number, severity="warn" if number % 3 else "info") for number in range(9)])
        await store.append([an_event(9, tenant_id=OTHER_TENANT)])
        query = AuditQuery(TENANT, min_severity="warn", limit=1, order="asc")
        stats = await store.stats(query, max_events=100, seconds=5)
        assert (stats.events, stats.complete, stats.severities) == (6, True, {"warn": 6})
        assert stats.oldest == an_event(1).record()["occurred_at"]

    run(tmp_path, case)


@pytest.mark.parametrize(("bound", "complete"), [(8, False), (9, True), (10, True)])
def test_a_count_ends_at_its_bound_with_the_newest(tmp_path: Path, bound: int, complete: bool) -> None:
    async def case(store: SqliteStore) -> None:
        await store.append([an_event(number) for number in range(9)])
        stats = await store.stats(AuditQuery(TENANT), max_events=bound, seconds=5)
        assert (stats.events, stats.complete) == (min(bound, 9), complete)
        assert stats.oldest == an_event(9 - stats.events).record()["occurred_at"]

    run(tmp_path, case)


def test_a_count_ends_when_its_time_is_up_and_the_store_goes_on(tmp_path: Path) -> None:
    async def case(store: SqliteStore) -> None:
        await store.append([an_event(number) for number in range(1000)])
        # Nothing fits, so that only the time can end it.
        query = AuditQuery(TENANT, q="in no payload")
        stats = await store.stats(query, max_events=1000, seconds=0)
        assert (stats.events, stats.complete) == (0, False)
        assert len((await store.search(AuditQuery(TENANT, limit=500))).events) == 500
        assert (await store.stats(query, max_events=1000, seconds=60)).complete

    run(tmp_path, case)


def test_a_file_that_fails_is_the_stores_error(tmp_path: Path) -> None:
    async def case(store: SqliteStore) -> None:
        with closing(sqlite3.connect(tmp_path / "audit.db")) as other, other:
            other.execute("DROP TABLE events")
        with pytest.raises(StoreError, match="no such table"):
            await store.stats(AuditQuery(TENANT), max_events=1, seconds=5)

    run(tmp_path, case)
