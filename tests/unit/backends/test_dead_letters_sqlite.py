"""Dead letters in SQLite: beside a store or alone, altered ones named, and never in another application's file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from tenaudit.audit import StoreError
from tenaudit.audit.consumer import Partition, SourceRecord
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.dead_letters import SqliteDeadLetters
from tenaudit.testing.conformance import an_event

PLACE = Partition("audit.events", 3)


def run(main):
    return asyncio.run(asyncio.wait_for(main, 60))


def poison(offset, value=b"{", **fields):
    return SourceRecord(PLACE, offset, value, **fields)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dead.db"


def test_a_store_keeps_its_dead_letters_in_its_own_file_and_stays_a_store(path):
    async def main():
        async with SqliteStore.open(path) as store, SqliteDeadLetters(path) as letters:
            assert await letters.page() == ()
            assert await letters.get(1) is None
            assert not await letters.delete(1)
            assert await letters.totals() == (0, 0)
            with closing(sqlite3.connect(path)) as connection:
                tables = connection.execute("SELECT name FROM sqlite_schema WHERE name = 'dead_letters'").fetchall()
            assert tables == []  # looking makes nothing
            await store.append([an_event(1)])
            await letters.put(poison(1), "not_json")
            await store.append([an_event(2)])
        async with SqliteStore.open(path) as store, SqliteDeadLetters(path) as letters:
            assert (await store.verify()).events == 2
            assert len(await letters.page()) == 1

    run(main())


def test_a_file_of_its_own_is_no_store_and_can_be_opened_again(path):
    async def main():
        letters = SqliteDeadLetters(path)
        await letters.put(poison(1), "not_json")
        await letters.close()
        with pytest.raises(StoreError, match="closed"):
            await letters.page()
        again = await SqliteDeadLetters(path)
        assert len(await again.page()) == 1
        await again.close()
        with pytest.raises(StoreError, match="no tenaudit store"):
            await SqliteStore.open(path)

    run(main())


def test_two_processes_that_begin_at_once_make_one_table(path):
    async def main():
        async with SqliteDeadLetters(path) as one, SqliteDeadLetters(path) as other:
            await asyncio.gather(*(letters.put(poison(n), "not_json") for n in range(20) for letters in (one, other)))
            return [letter.times_seen for letter in await one.page()]

    assert run(main()) == [2] * 20


def test_another_applications_file_is_left_alone(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE orders (id TEXT)")
    before = path.read_bytes()

    async def main():
        with pytest.raises(StoreError, match="neither"):
            await SqliteDeadLetters(path)

    run(main())
    assert path.read_bytes() == before


def test_a_file_that_another_application_takes_meanwhile_is_left_alone_too(path):
    async def main():
        async with SqliteDeadLetters(path) as letters:
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("CREATE TABLE orders (id TEXT)")
            with pytest.raises(StoreError, match="neither"):
                await letters.put(poison(1), "not_json")
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("DROP TABLE orders")
            await letters.put(poison(1), "not_json")
            return len(await letters.page())

    assert run(main()) == 1


@pytest.mark.parametrize("headers", ["{", "[1]", '[["a", "*"]]', '[["a", 1]]'])
def test_an_altered_row_is_named(path, headers):
    async def main():
        async with SqliteDeadLetters(path) as letters:
            await letters.put(poison(1), "not_json")
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("UPDATE dead_letters SET headers = ?", [headers])
            with pytest.raises(StoreError, match="dead letter 1 was altered"):
                await letters.record(1)

    run(main())
