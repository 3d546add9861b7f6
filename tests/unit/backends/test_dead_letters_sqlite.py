"""Dead letters in SQLite: kept once, found again byte for byte, bounded, and never in another application's file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit import StoreError
from tenaudit.audit.consumer import Partition, SourceRecord
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.dead_letters import DeadLetter, SqliteDeadLetters
from tenaudit.errors import ConfigurationError
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance import an_event

PLACE = Partition("audit.events", 3)


def run(main):
    return asyncio.run(asyncio.wait_for(main, 60))


def poison(offset, value=b"{", **fields):
    return SourceRecord(PLACE, offset, value, **fields)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dead.db"


def test_a_record_is_kept_once_and_counted_when_it_comes_again(path):
    async def main():
        clock = ManualClock()
        async with SqliteDeadLetters(path, clock=clock) as letters:
            first = clock.time_ns() / 1e9
            await letters.put(poison(7), "not_json")
            clock.advance(5)
            await letters.put(poison(7), "invalid_event")
            await letters.put(poison(8, None), "empty")
            seven, eight = await letters.page()
            assert seven == DeadLetter(1, PLACE, 7, "invalid_event", 1, True, first, first + 5, 2, 0)
            assert (eight.offset, eight.size, eight.times_seen) == (8, None, 1)
            assert await letters.get(seven.id) == seven

    run(main())


def test_a_topic_that_was_made_again_does_not_hide_behind_the_old_one(path):
    async def main():
        async with SqliteDeadLetters(path) as letters:
            await letters.put(poison(7, b"{"), "not_json")
            await letters.put(poison(7, b"["), "not_json")
            return [(await letters.record(letter.id)).value for letter in await letters.page()]

    assert run(main()) == [b"{", b"["]


SMALL = st.binary(max_size=40)
RECORDS = st.builds(
    SourceRecord,
    st.builds(Partition, st.text("abc.-_", min_size=1, max_size=20), st.integers(0, 2**31 - 1)),
    st.integers(0, 2**63 - 1),
    st.none() | SMALL,
    st.none() | SMALL,
    st.lists(st.tuples(st.text(max_size=20), st.none() | SMALL), max_size=5).map(tuple),
    st.none() | st.integers(0, 2**63 - 1),
)


@given(RECORDS, st.text(max_size=20))
def test_a_record_comes_back_as_it_came(tmp_path_factory, record, reason):
    async def main():
        async with SqliteDeadLetters(tmp_path_factory.mktemp("dead") / "dead.db") as letters:
            await letters.put(record, reason)
            (letter,) = await letters.page()
            assert letter.is_whole
            assert letter.size == (None if record.value is None else len(record.value))
            return await letters.record(letter.id)

    assert run(main()) == record


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"value": b"x" * (2**20 + 1)}, lambda record: record.value == b"x" * 65536),
        ({"key": b"k" * 1025}, lambda record: record.key == b"k" * 1024),
        ({"headers": (("h", b""),) * 65}, lambda record: len(record.headers) == 64),
        ({"headers": (("a", b"1"), ("b", b"x" * 16384))}, lambda record: record.headers == (("a", b"1"),)),
    ],
)
def test_what_is_too_large_is_cut_and_called_so(path, fields, kept):
    async def main():
        async with SqliteDeadLetters(path) as letters:
            record = poison(1, **fields)
            await letters.put(record, "too_large")
            (letter,) = await letters.page()
            assert not letter.is_whole
            assert letter.size == len(record.value)
            assert kept(await letters.record(letter.id))

    run(main())


def test_the_largest_record_that_a_consumer_takes_is_whole(path):
    async def main():
        async with SqliteDeadLetters(path) as letters:
            await letters.put(poison(1, b"x" * 2**20), "not_json")
            (letter,) = await letters.page()
            return letter.is_whole, len((await letters.record(letter.id)).value)

    assert run(main()) == (True, 2**20)


def test_text_that_is_no_text_holds_up_nothing(path):
    async def main():
        async with SqliteDeadLetters(path) as letters:
            await letters.put(SourceRecord(Partition("a\udcff", 0), 1, b""), "why \udcff" + "y" * 300)
            (letter,) = await letters.page()
            return letter

    letter = run(main())
    assert letter.partition.topic == "a?"
    assert letter.reason == "why ?" + "y" * 245


def test_pages_go_on_where_the_last_one_ended(path):
    async def main():
        async with SqliteDeadLetters(path) as letters:
            for offset in range(7):
                await letters.put(poison(offset), "not_json")
            found, page = [], await letters.page(limit=3)
            while page:
                found += [letter.offset for letter in page]
                page = await letters.page(limit=3, after=page[-1].id)
            for limit in (0, 1001):
                with pytest.raises(ConfigurationError, match="limit"):
                    await letters.page(limit=limit)
            assert await letters.page(after=2**70) == ()
            return found

    assert run(main()) == list(range(7))


def test_a_letter_is_refused_again_or_deleted_and_its_id_is_not_given_out_twice(path):
    async def main():
        async with SqliteDeadLetters(path) as letters:
            await letters.put(poison(1), "not_json")
            await letters.put(poison(2), "not_json")
            await letters.refused(1, "invalid_event")
            one = await letters.get(1)
            assert (one.reason, one.replays) == ("invalid_event", 1)
            assert await letters.delete(2)
            assert not await letters.delete(2)
            await letters.put(poison(3), "not_json")
            assert [letter.id for letter in await letters.page()] == [1, 3]
            for missing in (0, 2, -1, 2**70):
                assert await letters.get(missing) is None
                assert await letters.record(missing) is None

    run(main())


def test_a_store_keeps_its_dead_letters_in_its_own_file_and_stays_a_store(path):
    async def main():
        async with SqliteStore.open(path) as store, SqliteDeadLetters(path) as letters:
            assert await letters.page() == ()
            assert await letters.get(1) is None
            assert not await letters.delete(1)
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
