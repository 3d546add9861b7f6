"""The files a store may be given: every wrong one is told in one clear line, and none is harmed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tenaudit.audit import AuditQuery, SinkUnavailable, StoreError
from tenaudit.backends.sqlite import SqliteSink, SqliteStore
from tenaudit.testing.conformance import an_event

TENANT = an_event(0).tenant_id


def refusal(path):
    async def main():
        with pytest.raises(StoreError) as caught:
            await SqliteStore.open(path)
        lazy = SqliteStore.open(path)
        with pytest.raises(StoreError):
            await lazy.append([an_event(0)])
        await lazy.close()
        sink = SqliteSink.open(path)
        with pytest.raises(SinkUnavailable):
            await sink.write([an_event(0)])
        await sink.close()
        return str(caught.value)

    text = asyncio.run(main())
    assert str(path) in text
    assert "\n" not in text
    return text


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("just some text, long enough to be no header of a database\n" * 20)
    assert "not a database" in refusal(path)


def test_a_missing_folder(tmp_path):
    assert "folder does not exist" in refusal(tmp_path / "nowhere" / "audit.db")


def test_a_folder_in_place_of_a_file(tmp_path):
    assert "unable to open" in refusal(tmp_path)


def test_the_database_of_another_application_is_left_as_it_was(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = path.read_bytes()
    assert "no tenaudit store" in refusal(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"]


def test_a_newer_version_is_left_as_it_was(tmp_path):
    path = tmp_path / "audit.db"

    async def make():
        async with SqliteStore.open(path) as store:
            await store.append([an_event(0)])

    asyncio.run(make())
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "has schema 99" in refusal(path)


def test_a_file_that_may_not_be_written(tmp_path):
    path = tmp_path / "audit.db"
    path.touch()
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:
        # Root writes past every mode; the kernel's own files let nobody make a database.
        assert "unable to open" in refusal(Path("/proc/audit.db"))
    else:
        assert "readonly" in refusal(path)


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "audit.db"
    path.touch()

    async def main():
        async with SqliteStore.open(path) as store:
            assert await store.append([an_event(0)]) == (1, 0, 0, 0)

    asyncio.run(main())


def test_a_reopened_file_has_everything_and_its_cursors_still_hold(tmp_path):
    path = tmp_path / "audit.db"

    async def first():
        async with SqliteStore.open(path) as store:
            await store.append([an_event(n) for n in range(5)])
            await store.seal()
            return (await store.search(AuditQuery(TENANT, limit=2))).next_cursor

    async def second(cursor):
        async with SqliteStore.open(path) as store:
            page = await store.search(AuditQuery(TENANT, limit=2, cursor=cursor))
            assert page.events == (an_event(2), an_event(1))
            assert await store.append([an_event(4), an_event(5)]) == (1, 1, 0, 0)
            assert [checkpoint.size for checkpoint in await store.seal()] == [6]
            assert (await store.verify()).verified

    asyncio.run(second(asyncio.run(first())))


def test_a_closed_store_says_so(tmp_path):
    async def main():
        store = await SqliteStore.open(tmp_path / "audit.db")
        await asyncio.gather(store.close(), store.close())
        for call in (
            store.append([an_event(0)]),
            store.search(AuditQuery(TENANT)),
            store.get(TENANT, an_event(0).event_id),
            store.count(),
            store.seal(),
            store.verify(),
        ):
            with pytest.raises(StoreError, match="is closed"):
                await call

    asyncio.run(main())


def test_two_stores_on_one_file_are_one_store(tmp_path):
    async def main():
        path = tmp_path / "audit.db"
        async with SqliteStore.open(path) as one, SqliteStore.open(path) as two:
            await asyncio.gather(
                *((one, two)[n % 2].append([an_event(10 * n + k) for k in range(10)]) for n in range(10)),
                one.seal(),
                two.verify(),
            )
            assert await one.append([an_event(0)]) == await two.append([an_event(99)]) == (0, 1, 0, 0)
            assert await one.count() == await two.count() == 100
            await two.seal()
            assert (await one.verify()).verified

    asyncio.run(main())


OPENER = """
import asyncio, sys
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import an_event

async def main():
    path, start = sys.argv[1], int(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    async with SqliteStore.open(path) as store:
        for n in range(start, start + 20):
            assert (await store.append([an_event(n), an_event(10_000)])).conflicts == 0

asyncio.run(main())
"""


def test_several_processes_make_and_fill_one_file(tmp_path):
    path = tmp_path / "audit.db"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(path), str(100 * k)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(3)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors

    async def main():
        async with SqliteStore.open(path) as store:
            assert await store.count() == 61
            assert (await store.verify()).verified

    asyncio.run(main())


def test_an_append_that_is_cancelled_leaves_the_store_usable(tmp_path):
    async def main():
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            for n in range(20):
                writing = asyncio.ensure_future(store.append([an_event(10 * n + k) for k in range(10)]))
                for _ in range(n % 4):
                    await asyncio.sleep(0)
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
            result = await store.append([an_event(k) for k in range(200)])
            assert result.stored + result.duplicates == 200
            assert await store.count() == 200
            assert (await store.verify()).verified

    asyncio.run(main())
