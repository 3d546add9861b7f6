"""Migrations of PostgreSQL: twice, at once, from each earlier version, by a user who is no superuser."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.audit import AuditQuery, StoreError
from tenaudit.backends.postgres import MigrationError, PostgresStore, migrate, status
from tenaudit.backends.postgres.migrate import known_migrations, latest_version
from tenaudit.errors import ConfigurationError
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import START, TENANT
from tests.unit.backends.postgres_databases import PASSWORD, ROLES, at, database, execute, migrated, run, user

pytestmark = pytest.mark.services

LATEST = latest_version()
EARLIER = range(LATEST)
# Of months that no migration makes a partition of; and without an actor, so that their leaves are those of any version.
OLD = tuple(
    an_event(n, event_id=uuid7_from_source(1_583_000_000_000 + n, f"old {n}"), occurred_at=START, actor_id=None)
    for n in range(3)
)
# Everything in the schema, and what is secured and granted, but for when it was made and its secrets.
_SHAPE = """
SELECT c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, r.rolname, c.relacl::text FROM pg_class AS c
JOIN pg_roles AS r ON r.oid = c.relowner WHERE c.relnamespace = 'tenaudit'::regnamespace ORDER BY 1;
SELECT c.relname, a.attname, a.atttypid, a.attnotnull, a.attacl::text FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relnamespace = 'tenaudit'::regnamespace ORDER BY 1, a.attnum;
SELECT polrelid::regclass::text, polname, polcmd, polroles::regrole[]::text, pg_get_expr(polqual, polrelid)
FROM pg_policy ORDER BY 1, 2;
SELECT p.proname, r.rolname, p.prosecdef, p.proconfig, p.proacl::text FROM pg_proc AS p
JOIN pg_roles AS r ON r.oid = p.proowner WHERE p.pronamespace = 'tenaudit'::regnamespace ORDER BY 1;
SELECT version, name, checksum FROM tenaudit.migrations ORDER BY 1;
SELECT nspacl::text FROM pg_namespace WHERE nspname = 'tenaudit'
"""
SHAPE = _SHAPE.split(";")


@pytest.fixture
def empty(postgres_service):
    with database(postgres_service.dsn) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def shape(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        return run(execute(dsn, *SHAPE))


def states(found):
    return [(one.version, one.state, one.applied_at is not None) for one in found]


def test_the_versions_are_numbered_without_gaps():
    assert [one.version for one in known_migrations()] == list(range(1, LATEST + 1))
    assert len({one.checksum for one in known_migrations()}) == LATEST


def test_a_database_is_migrated_once_and_then_left_alone(empty, shape):
    async def main():
        pending = [(version, "pending", False) for version in range(1, LATEST + 1)]
        applied = [(version, "applied", True) for version in range(1, LATEST + 1)]
        assert states(await status(empty)) == pending
        first = await migrate(empty)
        assert states(first) == applied
        assert await migrate(empty) == first
        assert await status(empty) == first
        assert await execute(empty, *SHAPE) == shape

    run(main())


def test_many_who_migrate_at_once_all_succeed(postgres_service, empty, shape):
    async def main(other):
        # In two databases as well: roles are the server's.
        results = await asyncio.gather(*(migrate(dsn) for dsn in [empty, other] * 4))
        assert {tuple(states(result)) for result in results} == {tuple(states(results[0]))}
        for dsn in (empty, other):
            assert await execute(dsn, *SHAPE) == shape

    with database(postgres_service.dsn) as other:
        run(main(other))


@pytest.mark.parametrize("version", EARLIER)
def test_every_earlier_version_comes_to_the_same_end_with_its_rows(postgres_service, empty, shape, version):
    async def main():
        assert states(await migrate(empty, to=version)) == [
            (one, "applied" if one <= version else "pending", one <= version) for one in range(1, LATEST + 1)
        ]
        await migrate(empty, to=version)
        if version:
            await execute(empty, *rows_of_that_time)
        await migrate(empty)
        assert await execute(empty, *SHAPE) == shape

    async def still_there(dsn):
        async with PostgresStore.connect(dsn) as store:
            assert (await store.search(AuditQuery(TENANT, order="asc"))).events == (OLD if version else ())
            assert await store.append(OLD) == (0 if version else 3, 3 if version else 0, 0, 0)
            await store.append([an_event(9)])
            report = await store.verify()
            assert (report.verified, report.events) == (True, 4), report.problems

    with migrated(postgres_service.dsn) as source, user(source, *ROLES) as writes:
        rows_of_that_time = run(dumped(source, writes))
    run(main())
    with user(empty, *ROLES) as dsn:
        run(still_there(dsn))


async def dumped(source, writes):
    """Return statements that make the rows of a store, in the columns that version 1 has."""
    async with PostgresStore.connect(writes) as store:
        await store.append(OLD)
        await store.seal()
    made = ["DELETE FROM tenaudit.meta"]
    for table in ("meta", "events", "leaves", "logs", "checkpoints"):
        (rows,) = await execute(source, f"SELECT row_to_json(t)::text AS row FROM tenaudit.{table} AS t")
        for row in rows:
            literal = row["row"].replace("'", "''")
            made.append(
                f"INSERT INTO tenaudit.{table} SELECT * FROM json_populate_record(NULL::tenaudit.{table}, '{literal}')"
            )
    return made


def test_what_was_applied_may_not_have_changed(empty):
    async def main():
        await migrate(empty, to=1)
        await execute(empty, "UPDATE tenaudit.migrations SET checksum = sha256(checksum)")
        assert states(await status(empty))[0] == (1, "changed", True)
        with pytest.raises(MigrationError, match="migration 0001_events was applied with other statements; use"):
            await migrate(empty)
        assert [one.state for one in await status(empty)] == ["changed", *["pending"] * (LATEST - 1)]

    run(main())


def test_a_database_of_a_newer_tenaudit_is_refused(empty):
    async def main():
        await migrate(empty)
        await execute(empty, f"INSERT INTO tenaudit.migrations VALUES ({LATEST + 1}, 'later', '')")
        assert states(await status(empty))[-1] == (LATEST + 1, "unknown", True)
        with pytest.raises(MigrationError, match=f"has version {LATEST + 1}, which is of a newer tenaudit; upgrade it"):
            await migrate(empty)

    run(main())


def test_a_migration_that_fails_leaves_nothing(empty):
    async def main():
        # Something of that name is in the way of a later one.
        await migrate(empty, to=1)
        await execute(empty, "CREATE FUNCTION tenaudit.known_tenants() RETURNS integer LANGUAGE sql RETURN 1")
        with pytest.raises(StoreError, match=r"PostgreSQL failed: DuplicateFunctionError \(42723\)"):
            await migrate(empty)
        assert [one.state for one in await status(empty)] == ["applied", *["pending"] * (LATEST - 1)]
        await execute(empty, "DROP FUNCTION tenaudit.known_tenants()")
        await migrate(empty)

    run(main())


def test_a_user_who_may_not_make_roles_is_told(empty):
    with user(empty) as dsn:
        with pytest.raises(StoreError, match=r"PostgreSQL denies it \(42501\)"):
            run(migrate(dsn))
        assert {one.state for one in run(status(dsn))} == {"pending"}


@pytest.mark.parametrize("version", EARLIER)
def test_a_superuser_is_not_needed(empty, shape, version):
    async def main(dsn, name):
        await execute(empty, f"GRANT CREATE ON DATABASE {urlsplit(empty).path[1:]} TO {name}")
        # Roles that others made: the managed services give their administrator these too.
        await execute(empty, f"GRANT tenaudit_owner, tenaudit_lister TO {name} WITH ADMIN OPTION")
        if version:
            await migrate(dsn, to=version)
        await migrate(dsn)
        await migrate(dsn)
        assert (await execute(empty, *SHAPE))[2:] == shape[2:]

    with user(empty, options="CREATEROLE") as dsn:
        run(main(dsn, urlsplit(dsn).username))


def test_a_server_that_is_not_there_is_told_without_the_password(postgres_service):
    there = at(postgres_service.dsn, user="nobody", password=PASSWORD)
    for call in (migrate, status):
        with pytest.raises(StoreError) as caught:
            run(call(there))
        assert PASSWORD not in str(caught.value)
        with pytest.raises(ConfigurationError, match="postgresql://USER"):
            run(call("sqlite:///audit.db"))
