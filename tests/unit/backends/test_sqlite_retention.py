"""Retention in the embedded store: deaths of a purge, tampering with what it left, and files of version 1."""

from __future__ import annotations

import asyncio
import gzip
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tenaudit.audit import StoreError
from tenaudit.audit.retention import PurgeBusy
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event
from tenaudit.testing.conformance.retention_suite import NOW, aged
from tests.unit.backends.retention_story import (
    DEATHS,
    OLD,
    YOUNG,
    Died,
    changed,
    is_stopped_by,
    keeps_conflicts_of_the_held,
    proved,
    purge_and_die,
)

SCHEMA = Path(__file__).parents[3] / "src" / "tenaudit" / "backends" / "sqlite" / "schema_1.sql"


def run(main):
    return asyncio.run(asyncio.wait_for(main, 60))


def opened(path):
    return SqliteStore.open(path, clock=ManualClock(NOW.timestamp()))


async def filled(path, events=(*OLD, *YOUNG), **purge):
    async with opened(path) as store:
        await store.append(events)
        await store.seal()
        if purge:
            await store.purge(**purge)


def change(path, *statements):
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(("call", "done"), DEATHS)
def test_a_purge_that_dies_leaves_a_log_that_verifies_and_the_next_goes_on(tmp_path, call, done):
    archive = tmp_path / "archive"
    archive.mkdir()

    async def main():
        await filled(tmp_path / "a.db")
        async with opened(tmp_path / "a.db") as store:
            with pytest.raises(Died):
                await purge_and_die(store, call, done, batch=3, archive=archive)
            left = await proved(store)
            assert left[-len(YOUNG) :] == [*YOUNG]
            assert len(YOUNG) < len(left) < len(OLD) + len(YOUNG)
            # Whatever is gone from the store is in a file.
            kept = b"".join(gzip.decompress(file.read_bytes()) for file in archive.rglob("*.ndjson.gz"))
            assert all(str(event.event_id).encode() in kept for event in OLD if event not in left)
            report = await store.purge(batch=3, archive=archive)
            assert (report.rows, report.complete) == (len(left) - len(YOUNG), True)
            assert await proved(store) == [*YOUNG]

    run(main())


@pytest.mark.parametrize("change", ["hold", "period", "default"])
def test_a_hold_or_a_period_that_comes_meanwhile_counts(tmp_path, change):
    async def main():
        async with opened(tmp_path / "a.db") as store:
            await store.append([*OLD, *YOUNG])
            await is_stopped_by(store, lambda: changed(store, change), tmp_path)

    run(main())


def test_a_hold_keeps_second_contents_too(tmp_path):
    async def main():
        async with opened(tmp_path / "a.db") as store:
            await keeps_conflicts_of_the_held(store)

    run(main())


@pytest.mark.parametrize("table", ["retention_records", "leaves", "logs"])
def test_what_fails_between_deleting_and_recording_takes_nothing(tmp_path, table):
    path = tmp_path / "a.db"
    event = "UPDATE OF purged_before" if table == "logs" else "INSERT"
    run(filled(path))
    change(path, f"CREATE TRIGGER t BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'no room'); END")

    async def main():
        async with opened(path) as store:
            with pytest.raises(StoreError, match="no room"):
                await store.purge()
            assert await proved(store) == [*OLD, *YOUNG]

    run(main())
    change(path, "DROP TRIGGER t")
    run(filled(path, batch=100))


def test_a_purge_that_is_killed_lets_the_next_one_in(tmp_path):
    code = f"""
import asyncio, os, signal
from tests.unit.backends.test_sqlite_retention import filled, opened
from tests.unit.backends.retention_story import Died, purge_and_die
async def main():
    await filled({str(tmp_path / "a.db")!r})
    async with opened({str(tmp_path / "a.db")!r}) as store:
        try:
            await purge_and_die(store, "remove", True, batch=3)
        except Died:
            os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL

    async def main():
        async with opened(tmp_path / "a.db") as store:
            assert len(await proved(store)) == len(OLD) + len(YOUNG) - 6
            assert (await store.purge()).rows == 3
            assert await proved(store) == [*YOUNG]

    run(main())


def test_a_second_purge_is_told_that_one_is_running(tmp_path):
    async def main():
        async with opened(tmp_path / "a.db") as one, opened(tmp_path / "a.db") as other:
            async with one._purge_steps("me", NOW, alone=True):
                with pytest.raises(PurgeBusy, match="another purge is running"):
                    await other.purge()
                assert (await other.purge(dry_run=True)).rows == 0
            assert (await other.purge()).complete

    run(main())


TAMPERING = {
    "a row deleted by hand": (f"DELETE FROM events WHERE event_id = '{YOUNG[1].event_id}'", {"missing"}),
    "a leaf that is changed": (f"UPDATE leaves SET leaf_hash = zeroblob(32) WHERE idx = {len(OLD)}", {"changed"}),
    "the leaf of what went": ("UPDATE leaves SET leaf_hash = zeroblob(32) WHERE idx = 1", {"checkpoint"}),
    "a record that is edited": (
        "UPDATE retention_records SET record = replace(record, '\"days\":30', '\"days\":31')",
        {"changed", "missing"},
    ),
    "the event of a record that is edited": (
        "UPDATE events SET payload = replace(payload, '\"days\":30', '\"days\":31') WHERE action = 'audit.purged'",
        {"changed"},
    ),
    "a record that is taken away": ("DELETE FROM retention_records", {"missing", "purge"}),
    "a hold that is put on": ("UPDATE logs SET held = 1", {"purge"}),
    "a period that is set": ("UPDATE logs SET retention_days = 3", {"purge"}),
    "a purge that is forgotten": ("UPDATE logs SET purged_before = NULL", {"purge"}),
    "a record that is made up": (
        "INSERT INTO retention_records SELECT tenant_id, idx + 100, event_id, record FROM retention_records LIMIT 1",
        {"inserted"},
    ),
    "a record in the place of another event": (
        (
            f"INSERT INTO retention_records SELECT tenant_id, {len(OLD)}, '{YOUNG[0].event_id}', record "
            "FROM retention_records LIMIT 1"
        ),
        {"changed"},
    ),
    "a record of a tenant that is nobody": (
        (
            "INSERT INTO retention_records SELECT '00000000-0000-0000-0000-00000000000f', idx, event_id, record "
            "FROM retention_records LIMIT 1"
        ),
        {"inserted"},
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_with_what_a_purge_left_is_found(tmp_path, name):
    path = tmp_path / "a.db"
    statement, kinds = TAMPERING[name]

    async def main():
        async with opened(path) as store:
            return await store.verify()

    async def sealed():
        async with opened(path) as store:
            await store.seal()

    run(filled(path, batch=4))
    run(sealed())
    assert run(main()).verified
    change(path, statement)
    found = {problem.kind for problem in run(main()).problems}
    assert found == kinds


def test_what_was_purged_and_is_put_back_is_found(tmp_path):
    path = tmp_path / "a.db"
    run(filled(path))
    change(path, "CREATE TABLE kept AS SELECT * FROM events")

    async def main():
        async with opened(path) as store:
            await store.purge()
            change(path, f"INSERT INTO events SELECT * FROM kept WHERE event_id = '{OLD[2].event_id}'")
            (problem,) = (await store.verify()).problems
            assert (problem.kind, problem.event_id) == ("inserted", OLD[2].event_id)

    run(main())


def test_an_event_that_was_altered_is_not_archived_and_stays(tmp_path):
    path, archive = tmp_path / "a.db", tmp_path / "archive"
    archive.mkdir()
    run(filled(path))
    change(path, f"UPDATE events SET actor_id = 'x' WHERE event_id = '{OLD[4].event_id}'")

    async def main():
        async with opened(path) as store:
            report = await store.purge(archive=archive)
            (one,) = report.tenants
            assert (one.rows, report.complete) == (0, False)
            assert f"event {OLD[4].event_id} was altered" in one.error
            assert {problem.kind for problem in (await store.verify()).problems} == {"changed"}
            assert list(archive.rglob("*.*")) == []

    run(main())


def test_a_log_that_is_damaged_keeps_the_others_from_nothing(tmp_path):
    path = tmp_path / "a.db"

    async def main():
        async with opened(path) as store:
            await store.append([*OLD, aged(50, 40, tenant_id=OTHER_TENANT)])
            change(path, f"UPDATE logs SET frontier = x'00' WHERE tenant_id = '{TENANT}'")
            report = await store.purge()
            one, other = report.tenants
            assert (one.rows, other.rows, report.complete) == (0, 1, False)
            assert one.error == f"the log of tenant {TENANT} is damaged and takes no more; verify the store"
            assert await store.count(TENANT) == len(OLD)

    run(main())


def test_an_event_without_a_leaf_is_left_to_verify(tmp_path):
    path = tmp_path / "a.db"
    run(filled(path))
    stranger = aged(90, 50)
    change(
        path,
        "CREATE TEMP TABLE one AS SELECT * FROM events LIMIT 1",
        f"UPDATE one SET event_id = '{stranger.event_id}'",
        "INSERT INTO events SELECT * FROM one",
    )

    async def main():
        async with opened(path) as store:
            assert (await store.purge(batch=1)).rows == len(OLD)
            (problem,) = (await store.verify()).problems
            assert (problem.kind, problem.event_id) == ("inserted", stranger.event_id)

    run(main())


def test_a_step_of_many_pieces_is_cut_where_one_record_ends(tmp_path):
    events = [one for n in range(1200) for one in (aged(2 * n, 40), aged(2 * n + 1, 1))]

    async def main():
        async with opened(tmp_path / "a.db") as store:
            await store.append(events)
            assert (await store.purge(batch=5000)).rows == 1200
            assert (await store.verify()).verified

    run(main())


def version_1(path):
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA.read_text())
    connection.execute("PRAGMA application_id = 2118782231")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


def test_a_file_of_version_1_is_brought_up_with_its_events_once_by_several_processes(tmp_path):
    path = tmp_path / "a.db"
    version_1(path)
    new = tmp_path / "new.db"
    # The events as version 1 has them: without an actor there are no salts, and the first columns are the same.
    old = [event.model_copy(update={"actor_id": None}) for event in OLD]
    young = [event.model_copy(update={"actor_id": None}) for event in YOUNG]
    run(filled(new, [*old, *young]))
    with closing(sqlite3.connect(path)) as file:
        columns = ", ".join(row[1] for row in file.execute("PRAGMA table_info(events)"))
    change(
        path,
        f"ATTACH '{new}' AS new",
        f"INSERT INTO main.events SELECT {columns} FROM new.events",
        *(f"INSERT INTO main.{table} SELECT * FROM new.{table}" for table in ("meta", "leaves", "checkpoints")),
        "INSERT INTO main.logs SELECT tenant_id, size, frontier, seals FROM new.logs",
    )
    code = f"""
import asyncio
from tests.unit.backends.test_sqlite_retention import opened
async def main():
    async with opened({str(path)!r}) as store:
        assert (await store.verify()).verified
asyncio.run(main())
"""
    root = Path(__file__).parents[3]
    children = [subprocess.Popen([sys.executable, "-c", code], cwd=root) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4

    async def main():
        async with opened(path) as store:
            assert await store.append(old) == (0, len(OLD), 0, 0)
            assert (await store.purge()).rows == len(OLD)
            assert await proved(store) == young

    run(main())


def test_a_migration_that_fails_leaves_version_1(tmp_path):
    path = tmp_path / "a.db"
    version_1(path)
    change(path, "CREATE TABLE retention_records (x)")

    async def main():
        async with opened(path):
            pass

    with pytest.raises(StoreError, match="retention_records already exists"):
        run(main())
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert [row[1] for row in connection.execute("PRAGMA table_info(logs)")] == [
        "tenant_id",
        "size",
        "frontier",
        "seals",
    ]
    connection.close()


def test_the_tables_of_both_ways_are_the_same(tmp_path):
    version_1(tmp_path / "old.db")

    async def main(path):
        async with opened(path) as store:
            await store.append([an_event(0)])
            assert await store.tenants() == (TENANT,)

    shapes = []
    for name in ("old.db", "new.db"):
        run(main(tmp_path / name))
        connection = sqlite3.connect(tmp_path / name)
        shapes.append(connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall())
        connection.close()
    assert shapes[0] == shapes[1]
