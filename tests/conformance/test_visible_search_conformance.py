"""A walk over a real store of each kind: the same pages there and back, cut where the store can make a cursor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tenaudit import AuditQuery
from tenaudit.audit import Page, Redactor, Store
from tenaudit.audit.visible import VisibleQuery
from tenaudit.audit.visible_search import WalkBounds, search_visible
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import TENANT, an_event
from tests.unit.backends.postgres_databases import ROLES, migrated, user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REDACTOR = Redactor(["payload.card"])
BOUNDS = WalkBounds(seconds=60, page=4)


def numbers(page: Page) -> list[int]:
    return [event.payload["number"] for event in page.events]


async def pages_are_whole_both_ways(store: Store) -> None:
    await store.append([an_event(n, payload={"number": n, "odd": n % 2, "card": "4242"}) for n in range(21)])
    asked = VisibleQuery(AuditQuery(TENANT, q='"odd":1', limit=3, order="asc"), REDACTOR)

    async def page(cursor: str | None) -> Page:
        return await search_visible(store.search, VisibleQuery(asked.query.at(cursor), REDACTOR), BOUNDS)

    first = await page(None)
    second = await page(first.next_cursor)
    third = await page(second.next_cursor)
    assert [numbers(one) for one in (first, second, third)] == [[1, 3, 5], [7, 9, 11], [13, 15, 17]]
    assert numbers(await page(third.prev_cursor)) == [7, 9, 11]
    assert numbers(await page(second.prev_cursor)) == [1, 3, 5]
    hidden = VisibleQuery(AuditQuery(TENANT, q="4242"), REDACTOR)
    assert (await search_visible(store.search, hidden, BOUNDS)) == Page((), None, None)


def test_in_sqlite(tmp_path: Path) -> None:
    async def main() -> None:
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            await pages_are_whole_both_ways(store)

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.fixture
def dsn(postgres_service: Any) -> Iterator[str]:
    with migrated(postgres_service.dsn) as owner, user(owner, *ROLES) as everyone:
        yield everyone


@pytest.mark.services
def test_in_postgresql(dsn: str) -> None:
    async def main() -> None:
        async with PostgresStore.connect(dsn) as store:
            await pages_are_whole_both_ways(store)

    asyncio.run(asyncio.wait_for(main(), 60))
