"""Verification in PostgreSQL: an honest store is verified, and every tampering with its tables is found."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from tenaudit.audit import StoreError
from tenaudit.backends.postgres import PostgresStore
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tests.unit.backends.postgres_databases import ROLES, at, database, execute, migrated, run, user

pytestmark = pytest.mark.services

NEW_TENANT = "00000000-0000-0000-0000-0000000000ff"
TABLES = ("meta", "events", "leaves", "logs", "checkpoints", "conflicts")
ID = an_event(2).event_id
MINE = f"tenant_id = '{TENANT}'"
ONE = f"{MINE} AND event_id = '{ID}'"
TEXTS = ("actor_id", "actor_type", "action", "resource_type", "resource_id", "outcome", "severity", "service")


async def build(dsn):
    """Two tenants, several checkpoints, conflicts, events behind the last checkpoint."""
    async with PostgresStore.connect(dsn) as store:
        await store.append([an_event(n, payload={"n": n, "x": [1.5, None, 1e16]}) for n in range(5)])
        await store.seal()
        await store.append([an_event(n, tenant_id=OTHER_TENANT, actor_id=None) for n in range(3)])
        await store.append([an_event(9), an_event(0, payload={"other": 1}), an_event(1, payload={"other": 1})])
        await store.seal()
        await store.append([an_event(7, redactions=("mask:payload.x",))])


@pytest.fixture(scope="module")
def built(postgres_service):
    """A database with the honest rows, and a copy of every table in the schema `kept`."""
    with migrated(postgres_service.dsn) as admin, user(admin, *ROLES) as dsn:
        run(build(dsn))
        run(execute(admin, "CREATE SCHEMA kept", *(f"CREATE TABLE kept.{t} AS TABLE tenaudit.{t}" for t in TABLES)))
        yield admin, dsn


@pytest.fixture
def admin(built):
    admin, _ = built
    yield admin
    names = ", ".join(f"tenaudit.{table}" for table in TABLES)
    back = [f"INSERT INTO tenaudit.{table} SELECT * FROM kept.{table}" for table in TABLES]
    run(execute(admin, f"TRUNCATE {names}", *back))


@pytest.fixture
def dsn(built, admin):
    return built[1]


async def report(dsn, tenant=None):
    async with PostgresStore.connect(dsn) as store:
        return await store.verify(tenant)


def test_an_honest_store_is_verified(admin):
    async def main(dsn):
        found = await report(dsn)
        assert (found.verified, found.events, found.tenants) == (True, 10, 2), found.problems
        assert (await report(dsn, OTHER_TENANT)).events == 3
        (kept,) = await execute(admin, "SELECT event_id, record FROM tenaudit.conflicts ORDER BY event_id")
        assert [row["event_id"] for row in kept] == [an_event(n).event_id for n in (0, 1)]
        assert all('"payload":{"other":1}' in row["record"] for row in kept)

    with user(admin, "tenaudit_reader") as reads:
        run(main(reads))


@pytest.mark.parametrize(
    ("done", "kind", "names_it"),
    [
        *((f"UPDATE tenaudit.events SET {column} = 'x' WHERE {ONE}", "changed", True) for column in TEXTS),
        (f"UPDATE tenaudit.events SET actor_id = NULL WHERE {ONE}", "changed", True),
        (f"UPDATE tenaudit.events SET payload = payload || ' ' WHERE {ONE}", "changed", True),
        (f"UPDATE tenaudit.events SET payload = '[' WHERE {ONE}", "changed", True),
        (f"UPDATE tenaudit.events SET payload = '{{\"n\":1e999}}' WHERE {ONE}", "changed", True),
        (f"UPDATE tenaudit.events SET redactions = '[\"x\"]' WHERE {ONE}", "changed", True),
        (
            f"UPDATE tenaudit.events SET occurred_at = occurred_at + interval '1 microsecond' WHERE {ONE}",
            "changed",
            True,
        ),
        (f"UPDATE tenaudit.events SET schema_version = 2 ^ 60 WHERE {ONE}", "changed", True),
        (f"UPDATE tenaudit.events SET seq = seq + 1 WHERE {ONE}", "changed", True),
        (f"UPDATE tenaudit.events SET content_hash = '' WHERE {ONE}", "changed", True),
        (f"UPDATE tenaudit.events SET log_index = 99 WHERE {ONE}", "missing", True),
        (f"UPDATE tenaudit.events SET tenant_id = '{NEW_TENANT}' WHERE {ONE}", "missing", True),
        (f"UPDATE tenaudit.events SET tenant_id = '{NEW_TENANT}' WHERE {ONE}", "inserted", True),
        (f"DELETE FROM tenaudit.events WHERE {ONE}", "missing", True),
        (f"DELETE FROM tenaudit.leaves WHERE {ONE}", "inserted", True),
        (f"UPDATE tenaudit.leaves SET leaf_hash = '' WHERE {ONE}", "changed", True),
        (f"UPDATE tenaudit.leaves SET idx = -1 WHERE {ONE}", "inserted", True),
        (f"UPDATE tenaudit.leaves SET idx = 99 WHERE {ONE}", "missing", True),
        (f"DELETE FROM tenaudit.leaves WHERE {MINE} AND idx >= 4", "truncated", False),
        ("DELETE FROM tenaudit.logs", "inserted", False),
        ("UPDATE tenaudit.logs SET size = size + 1", "truncated", False),
        ("UPDATE tenaudit.logs SET size = size - 1", "inserted", False),
        ("UPDATE tenaudit.logs SET frontier = ''", "checkpoint", False),
        ("UPDATE tenaudit.logs SET seals = ''", "checkpoint", False),
        ("UPDATE tenaudit.logs SET sealed = 0", "checkpoint", False),
        ("DELETE FROM tenaudit.checkpoints", "checkpoint", False),
        ("DELETE FROM tenaudit.checkpoints WHERE size = 5", "checkpoint", False),
        ("UPDATE tenaudit.checkpoints SET root = ''", "checkpoint", False),
        ("UPDATE tenaudit.checkpoints SET root = sha256(root)", "checkpoint", False),
        ("UPDATE tenaudit.checkpoints SET body = body || 'x'", "checkpoint", False),
        ("UPDATE tenaudit.checkpoints SET sealed_at = '2020-01-01T00:00:00.000000Z'", "checkpoint", False),
        ("UPDATE tenaudit.conflicts SET record = '{}'", "changed", False),
        ("UPDATE tenaudit.conflicts SET content_hash = sha256(content_hash)", "changed", False),
        (f"UPDATE tenaudit.conflicts SET event_id = '{ID}' WHERE event_id = '{an_event(1).event_id}'", "changed", True),
        (f"UPDATE tenaudit.conflicts SET tenant_id = '{NEW_TENANT}'", "changed", False),
        ("UPDATE tenaudit.meta SET value = sha256(value) WHERE name = 'content_key'", "changed", True),
        ("DELETE FROM tenaudit.meta WHERE name = 'content_key'", "changed", True),
    ],
)
def test_tampering_is_found(admin, dsn, done, kind, names_it):
    run(execute(admin, done))
    found = run(report(dsn))
    assert not found.verified
    problems = [problem for problem in found.problems if problem.kind == kind]
    assert problems, found.problems
    if names_it:
        assert ID in {problem.event_id for problem in problems}


def test_two_rows_that_change_places_are_found(admin, dsn):
    other = an_event(3).event_id
    swap = [
        f"UPDATE tenaudit.leaves SET idx = {to} WHERE {MINE} AND idx = {of}" for of, to in ((2, -1), (3, 2), (-1, 3))
    ]
    swap += [
        f"UPDATE tenaudit.events SET log_index = {place} WHERE {MINE} AND event_id = '{event_id}'"
        for event_id, place in ((ID, 3), (other, 2))
    ]
    run(execute(admin, *swap))
    found = run(report(dsn))
    assert {problem.kind for problem in found.problems} == {"checkpoint"}


def test_a_problem_of_one_tenant_is_no_problem_of_another(admin, dsn):
    run(execute(admin, f"UPDATE tenaudit.events SET actor_id = 'x' WHERE tenant_id = '{OTHER_TENANT}'"))
    assert run(report(dsn, TENANT)).verified
    assert {problem.tenant_id for problem in run(report(dsn)).problems} == {OTHER_TENANT}


def test_a_damaged_log_takes_no_more_and_says_so(admin, dsn):
    async def main():
        async with PostgresStore.connect(dsn) as store:
            await store.append([an_event(20)])
            await execute(admin, "UPDATE tenaudit.logs SET frontier = '\\x00'")
            for call in (store.append([an_event(50)]), store.seal()):
                with pytest.raises(StoreError, match="is damaged and takes no more; verify the store"):
                    await call
            await execute(admin, "DELETE FROM tenaudit.logs")
            with pytest.raises(StoreError, match="was taken away; verify the store"):
                await store.append([an_event(50)])
            assert await store.get(TENANT, an_event(50).event_id) is None

    run(main())


def test_a_log_whose_size_was_set_back_takes_no_more(admin, dsn):
    async def main():
        async with PostgresStore.connect(dsn) as store:
            await execute(admin, f"UPDATE tenaudit.logs SET size = 0, frontier = '' WHERE {MINE}")
            with pytest.raises(StoreError, match="UniqueViolationError"):
                await store.append([an_event(50)])

    run(main())


def test_an_event_that_was_put_in_beside_the_log_stops_its_writer(admin, dsn):
    async def main():
        async with PostgresStore.connect(dsn) as store:
            other = await asyncpg.connect(admin)
            # Whoever writes past the store holds no log, and may be between its look and its write.
            transaction = other.transaction()
            await transaction.start()
            await other.execute(
                "INSERT INTO tenaudit.events SELECT * FROM jsonb_populate_record("
                f"(SELECT e FROM tenaudit.events AS e WHERE {ONE}), "
                f"jsonb_build_object('event_id', '{an_event(60).event_id}'))"
            )
            task = store.append([an_event(60)])
            with pytest.raises(StoreError, match="beside the log"):
                await both(task, transaction, other)
            await other.close()

    async def both(task, transaction, other):
        running = asyncio.ensure_future(task)
        # The writer waits for the row that is not yet committed.
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            pass
        await transaction.commit()
        await running

    run(main())


def test_rows_that_cannot_be_read_are_told_and_not_given_out(admin, dsn):
    async def main():
        async with PostgresStore.connect(dsn) as store:
            for payload in ("[", "1" * 5000):
                await execute(admin, f"UPDATE tenaudit.events SET payload = '{payload}' WHERE {ONE}")
                with pytest.raises(StoreError, match=f"event {ID} cannot be read; verify the store"):
                    await store.get(TENANT, ID)

    run(main())


@pytest.mark.parametrize("done", ["UPDATE tenaudit.meta SET value = 'short'", "DELETE FROM tenaudit.meta"])
def test_a_cursor_key_that_was_altered_is_refused(admin, dsn, done):
    async def main():
        with pytest.raises(StoreError, match="cursor_key in PostgreSQL was altered"):
            await PostgresStore.connect(dsn)

    run(execute(admin, f"{done} WHERE name = 'cursor_key'"))
    run(main())


_NIL = "00000000-0000-0000-0000-000000000000"
_COLUMNS = (
    "tenant_id, occurred_at, actor_id, actor_type, action, resource_type, resource_id, outcome, severity, service, "
    "trace_id, schema_version, payload, redactions, producer_id, seq, content_hash, log_index"
)


@pytest.mark.parametrize(
    ("statements", "kind"),
    [
        (
            [
                (
                    f"INSERT INTO tenaudit.events (event_id, {_COLUMNS}) SELECT '{_NIL}', "
                    f"{_COLUMNS.replace('log_index', '77')} FROM tenaudit.events WHERE {ONE}"
                )
            ],
            "inserted",
        ),
        ([f"UPDATE tenaudit.leaves SET idx = -9223372036854775808 WHERE {MINE} AND idx = 0"], "inserted"),
        (
            [
                (
                    f"INSERT INTO tenaudit.checkpoints SELECT '{TENANT}', -9223372036854775808, root, body, sealed_at "
                    f"FROM tenaudit.checkpoints WHERE {MINE} LIMIT 1"
                )
            ],
            "checkpoint",
        ),
        (
            [f"INSERT INTO tenaudit.conflicts VALUES ('{TENANT}', '{_NIL}', '', '{{}}')"],
            "changed",
        ),
        (
            [
                "ALTER TABLE tenaudit.events DROP CONSTRAINT IF EXISTS events_occurred_at_check",
                (
                    "UPDATE tenaudit.events SET occurred_at = to_timestamp(to_char(occurred_at AT TIME ZONE 'UTC', "
                    "'YYYY-MM-DD HH24:MI:SS.US') || ' BC +00', 'YYYY-MM-DD HH24:MI:SS.US BC TZH')"
                ),
            ],
            "changed",
        ),
        (
            [
                (
                    "CREATE FUNCTION public.to_char(timestamp, text) RETURNS text LANGUAGE sql AS "
                    "$$ SELECT CASE WHEN $1 = '2027-01-01' THEN '2026-11-24T06:00:02.000000Z' "
                    "ELSE pg_catalog.to_char($1, $2) END $$"
                ),
                f"UPDATE tenaudit.events SET occurred_at = '2027-01-01 00:00:00+00' WHERE {ONE}",
                (
                    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', "
                    "current_database()); END $$"
                ),
            ],
            "changed",
        ),
        (
            [
                "ALTER TABLE tenaudit.events ALTER COLUMN content_hash DROP NOT NULL",
                f"UPDATE tenaudit.events SET content_hash = NULL, action = 'x.y' WHERE {ONE}",
            ],
            "changed",
        ),
    ],
    ids=["nil-id", "lowest-index", "lowest-size", "nil-conflict", "before-christ", "other-functions", "no-hash"],
)
def test_tampering_with_the_table_itself_is_found(postgres_service, built, statements, kind):
    with database(postgres_service.dsn, template=built[0]) as copied:
        run(execute(copied, *statements))
        found = run(report(at(built[1], database=urlsplit(copied).path[1:])))
    assert kind in {problem.kind for problem in found.problems}, found
