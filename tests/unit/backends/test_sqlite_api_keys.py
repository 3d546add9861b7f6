"""API keys in a SQLite file: several processes at once, a locked file, wrong files, what is stored."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from uuid import UUID

import pytest

from tenaudit.backends.sqlite import SqliteApiKeyStore, SqliteStore
from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.security import (
    ApiKeyAuthenticator,
    ApiKeyChangeError,
    ApiKeyRotation,
    ApiKeyStoreError,
    new_api_key,
    rotate_api_key,
)

TENANT = UUID(int=7)


def run(main):
    return asyncio.run(asyncio.wait_for(main, 60))


def saved(path, *records):
    async def main():
        async with SqliteApiKeyStore.open(path) as store:
            for record in records:
                await store.put(record)

    run(main())


def everything(path):
    async def main():
        async with SqliteApiKeyStore.open(path) as store:
            return (await store.list()).records

    return run(main())


def refusal(path):
    async def main():
        with pytest.raises(ApiKeyStoreError) as caught:
            await SqliteApiKeyStore.open(path)
        lazy = SqliteApiKeyStore.open(path)
        with pytest.raises(ApiKeyStoreError):
            await lazy.get("ta_000000000000")
        await lazy.close()
        return str(caught.value)

    text = run(main())
    assert str(path) in text
    return text


def test_a_store_is_opened_at_its_first_use(tmp_path):
    _, record = new_api_key(TENANT, ["Cashier"])

    async def main():
        store = SqliteApiKeyStore.open(tmp_path / "keys.db")
        await store.put(record)
        assert await store.get(record.prefix) == record
        await store.close()
        with pytest.raises(ApiKeyStoreError, match="closed"):
            await store.get(record.prefix)

    run(main())


def test_a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_mode(tmp_path):
    old = tmp_path / "old.db"
    old.touch(mode=0o640)
    old.chmod(0o640)
    before = os.umask(0)
    try:
        saved(tmp_path / "keys.db")
        saved(old)
    finally:
        os.umask(before)
    assert (tmp_path / "keys.db").stat().st_mode & 0o777 == 0o600
    assert old.stat().st_mode & 0o777 == 0o640


def test_no_secret_is_in_the_file(tmp_path):
    key, record = new_api_key(TENANT, ["Cashier"], name="the tills")

    async def main():
        async with SqliteApiKeyStore.open(tmp_path / "keys.db") as store:
            await store.put(record)
            fresh_key, _ = await rotate_api_key(store, record.prefix)
            # While it is open, so that the write-ahead log is looked at too.
            return fresh_key, b"".join(path.read_bytes() for path in tmp_path.iterdir())

    fresh_key, stored = run(main())
    assert b"the tills" in stored
    assert record.secret_hash in stored
    for whole in (key, fresh_key):
        assert whole[16:].encode() not in stored


def holding(path):
    """Hold the lock of writers, as another process would."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return closing(connection)


def test_a_locked_file_is_given_up_at_the_deadline_and_nothing_is_done_later(tmp_path):
    path = tmp_path / "keys.db"
    _, record = new_api_key(TENANT, ["Cashier"])
    _, other = new_api_key(TENANT, ["Cashier"])
    saved(path, record)

    async def main():
        store = SqliteApiKeyStore.open(path, deadline=0.2)
        # A reader waits for no writer, so a gateway goes on.
        assert await store.get(record.prefix) == record
        with holding(path):
            assert await store.get(record.prefix) == record
            for change in (
                lambda: store.put(other),
                lambda: store.revoke(record.prefix, 1.0),
                lambda: rotate_api_key(store, record.prefix),
            ):
                began = time.monotonic()
                with pytest.raises(ApiKeyStoreError, match=r"locked"):
                    await change()
                assert time.monotonic() - began < 3
            late = await asyncio.gather(*(store.revoke(record.prefix, 1.0) for _ in range(8)), return_exceptions=True)
            assert {type(one) for one in late} == {ApiKeyStoreError}
        await store.close()

    run(main())
    assert everything(path) == (record,)


def test_a_file_that_no_one_else_may_read_is_503_and_no_verdict_on_the_key(tmp_path):
    path = tmp_path / "keys.db"
    key, record = new_api_key(TENANT, ["Cashier"])
    saved(path, record)

    async def main():
        store = SqliteApiKeyStore.open(path, deadline=0.2)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE api_keys SET name = 'x'")
            connection.execute("ROLLBACK")
            began = time.monotonic()
            with pytest.raises(ApiError) as caught:
                await ApiKeyAuthenticator(store).authenticate({"x-api-key": key})
            assert (caught.value.status, caught.value.code) == (503, "unavailable")
            assert time.monotonic() - began < 3
        assert await ApiKeyAuthenticator(SqliteApiKeyStore.open(path)).authenticate({"x-api-key": key}) is not None
        await store.close()

    run(main())


_WORKER = """
import asyncio, sys
from uuid import UUID
from tenaudit.backends.sqlite import SqliteApiKeyStore
from tenaudit.security import ApiKeyChangeError, ApiKeyRotation, new_api_key

async def main(path, number, prefix):
    async with SqliteApiKeyStore.open(path, deadline=30.0) as store:
        print("open", flush=True)
        sys.stdin.readline()
        if prefix == "-":
            return await store.put(new_api_key(UUID(int=number), [])[1])
        record = await store.get(prefix)
        for turn in range(10):
            await store.put(record)
            if number == 0 and turn == 5:
                await store.revoke(prefix, 5.0)
            try:
                await store.rotate(prefix, ApiKeyRotation(f"ta_{number:02x}{turn:010x}", bytes(32), 2.0, 60.0))
            except ApiKeyChangeError:
                pass

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
"""


def in_processes(path, prefix, *, told_first):
    """Run four workers that all begin at once: at the opening of the file, or when each has opened it."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(path), str(number), prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    try:
        if told_first:
            for worker in workers:
                assert worker.stdout.readline() == "open\n"
        done = [worker.communicate("go\n", timeout=60) for worker in workers]
        assert [(worker.returncode, said[1]) for worker, said in zip(workers, done, strict=True)] == [(0, "")] * 4
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_processes_that_make_the_file_at_once_all_succeed(tmp_path):
    in_processes(tmp_path / "keys.db", "-", told_first=False)
    assert sorted(record.tenant_id.int for record in everything(tmp_path / "keys.db")) == [0, 1, 2, 3]


def test_processes_that_change_one_key_at_once_never_undo_its_end(tmp_path):
    path = tmp_path / "keys.db"
    _, record = new_api_key(TENANT, ["Cashier"], created_at=1.0)
    saved(path, record)
    in_processes(path, record.prefix, told_first=True)
    records = {one.prefix: one for one in everything(path)}
    old = records.pop(record.prefix)
    assert old.revoked_at == 5.0
    assert list(records) == [old.replaced_by]
    assert old.expires_at == 62.0


def test_stores_in_one_process_that_change_one_key_at_once_never_undo_its_end(tmp_path):
    async def main():
        stores = [await SqliteApiKeyStore.open(tmp_path / "keys.db") for _ in range(4)]
        for _ in range(5):
            _, record = new_api_key(TENANT, ["Cashier"], created_at=1.0)
            await stores[0].put(record)
            done = await asyncio.gather(
                *(store.put(record) for store in stores),
                *(rotate_api_key(store, record.prefix, overlap=60.0) for store in stores),
                stores[1].revoke(record.prefix, 5.0),
                *(store.put(record) for store in stores),
                return_exceptions=True,
            )
            assert {type(one) for one in done if isinstance(one, Exception)} <= {ApiKeyChangeError}
            rotated = [one for one in done if isinstance(one, tuple)]
            now = await stores[2].get(record.prefix)
            assert now.revoked_at == 5.0
            assert [now.replaced_by] == ([fresh.prefix for _, fresh in rotated] or [None])
        await asyncio.gather(*(store.close() for store in stores))

    run(main())


def test_a_failed_rotation_leaves_the_connection_usable(tmp_path):
    _, record = new_api_key(TENANT, ["Cashier"])

    async def main():
        async with SqliteApiKeyStore.open(tmp_path / "keys.db") as store:
            await store.put(record)
            for _ in range(2):
                with pytest.raises(ApiKeyChangeError):
                    await store.rotate(record.prefix, ApiKeyRotation(record.prefix, bytes(32), 1.0))
            await store.put(record)

    run(main())


def test_wrong_files_are_told_and_left_as_they_were(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("just some text, long enough to be no header of a database\n" * 20)
    theirs = tmp_path / "theirs.db"
    with closing(sqlite3.connect(theirs)) as connection, connection:
        connection.execute("CREATE TABLE theirs (a)")
    before = {path: path.read_bytes() for path in (text, theirs)}
    assert "not a database" in refusal(text)
    assert "no store of API keys" in refusal(theirs)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "folder does not exist" in refusal(tmp_path / "nowhere" / "keys.db")
    assert "unable to open" in refusal(tmp_path)
    assert "too long" in refusal(tmp_path / ("x" * 300))


def test_the_store_of_events_takes_no_keys_and_the_other_way_round(tmp_path):
    async def main():
        async with SqliteStore.open(tmp_path / "events.db"):
            pass

    run(main())
    assert "no store of API keys" in refusal(tmp_path / "events.db")


def test_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "keys.db"
    saved(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert "has schema 99" in refusal(path)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("secret_hash", b"short", "secret_hash"),
        ("tenant_id", "nobody", "UUID"),
        ("roles", "[", "altered"),
        ("roles", "[5]", "altered"),
        ("roles", '["a,b"]', "roles"),
        ("name", "a\nb", "name"),
    ],
)
def test_a_row_that_was_tampered_with_is_told(tmp_path, column, value, says):
    path = tmp_path / "keys.db"
    _, record = new_api_key(TENANT, ["Cashier"])
    saved(path, record)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE api_keys SET {column} = ?", (value,))

    async def main():
        async with SqliteApiKeyStore.open(path) as store:
            for look in (lambda: store.get(record.prefix), store.list, lambda: store.revoke(record.prefix, 1.0)):
                with pytest.raises(ApiKeyStoreError, match=says):
                    await look()

    run(main())


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
def test_a_deadline_is_needed(tmp_path, deadline):
    with pytest.raises(ConfigurationError, match="deadline"):
        SqliteApiKeyStore.open(tmp_path / "keys.db", deadline=deadline)
