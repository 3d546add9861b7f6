"""The account of the embedded store: it reads only its window, and neither hangs nor leaves a thread busy."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import StoreError
from tenaudit.audit.producer_rows import AccountWindow
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.account import AccountReader
from tenaudit.testing.conformance import an_event

SQL = load_statements("tenaudit.backends.sqlite", "queries.sql")


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


async def fill(path, count):
    async with SqliteStore.open(path) as store:
        await store.append([an_event(number) for number in range(count)])


@pytest.mark.parametrize(
    ("statement", "index"),
    [("count_producers", "event_id>? AND event_id<?"), ("closing_records", "events_by_action")],
)
def test_a_window_is_read_by_an_index(tmp_path, statement, index):
    run(fill(tmp_path / "audit.db", 3))
    about = {"tenant_id": "t", "first": "a", "last": "b", "action": "c"}
    with closing(sqlite3.connect(tmp_path / "audit.db")) as file:
        plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {SQL[statement]}", about)]
    assert plan[0].startswith("SEARCH events USING INDEX")
    assert index in plan[0]


def test_an_account_that_nobody_waits_for_ends_and_leaves_the_connection_as_it_was(tmp_path):
    run(fill(tmp_path / "audit.db", 300))
    reader = AccountReader(SQL, AccountWindow(), 30.0)
    with closing(sqlite3.connect(tmp_path / "audit.db", isolation_level=None)) as file:
        file.row_factory = sqlite3.Row
        reader.give_up()
        with pytest.raises(StoreError, match="over 30 s"):
            reader.read(file, {})
        assert not file.in_transaction
        assert AccountReader(SQL, AccountWindow(), 30.0).read(file, {}).rows[0].stored == 300


def test_a_caller_that_goes_away_frees_the_reader(tmp_path):
    async def main():
        await fill(tmp_path / "audit.db", 500)
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            asking = asyncio.ensure_future(store.account(AccountWindow(), held={}, seconds=30.0))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            assert asking.cancelled()
            assert await store.count() == 500

    run(main())


def test_a_file_that_was_damaged_is_told(tmp_path):
    async def main():
        await fill(tmp_path / "audit.db", 1)
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            with closing(sqlite3.connect(tmp_path / "audit.db")) as file:
                file.execute("DROP TABLE events")
            with pytest.raises(StoreError, match="no such table"):
                await store.account(AccountWindow(), held={}, seconds=30.0)

    run(main())
