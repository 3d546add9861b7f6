"""What the self-check refuses: users whom row-level security does not hold back, and tables that lack it."""

from __future__ import annotations

from uuid import UUID

import pytest

from tenaudit.backends.postgres import PostgresStore, migrate
from tenaudit.backends.postgres.migrate import latest_version
from tenaudit.errors import ConfigurationError
from tests.unit.backends.postgres_databases import ROLES, at, database, execute, migrated, run, user

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def admin(postgres_service):
    """A migrated database; each test takes back what it did to it."""
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


async def refusal(dsn):
    with pytest.raises(ConfigurationError) as caught:
        await PostgresStore.connect(dsn)
    return str(caught.value)


async def accepted(dsn):
    async with PostgresStore.connect(dsn) as store:
        await store.self_check()


def test_a_superuser_is_refused_also_when_it_is_only_the_first_use(admin):
    async def main():
        assert "is a superuser" in await refusal(admin)
        store = PostgresStore.connect(admin)
        for call in (store.tenants, store.verify, store.seal, store.make_partitions, store.self_check):
            with pytest.raises(ConfigurationError, match="superuser"):
                await call()
        await store.close()

    run(main())


@pytest.mark.parametrize(
    ("roles", "options", "said"),
    [
        (ROLES, "BYPASSRLS", "has BYPASSRLS"),
        (ROLES, "SUPERUSER", "is a superuser"),
        ((*ROLES, "tenaudit_lister"), "", "is a member of tenaudit_lister"),
        (("tenaudit_writer", "tenaudit_lister"), "NOINHERIT", "may not read; grant tenaudit_reader"),
        ((), "", "may not read; grant tenaudit_reader or tenaudit_writer"),
        ((), "BYPASSRLS", "may not read"),
    ],
)
def test_a_user_who_would_see_too_much_or_nothing_is_refused(admin, roles, options, said):
    with user(admin, *roles, options=options) as dsn:
        assert said in run(refusal(dsn))


ID = UUID(int=1)
FORCE = "FORCE ROW LEVEL SECURITY"
ENABLE = "ENABLE ROW LEVEL SECURITY"


@pytest.mark.parametrize(
    ("done", "undone", "said"),
    [
        *(
            (f"ALTER TABLE tenaudit.{table} NO {FORCE}", f"ALTER TABLE tenaudit.{table} {FORCE}", said)
            for table in ("events", "events_default", "leaves", "checkpoints", "conflicts", "subtrees")
            for said in [f"not forced on the table {table} for its owner"]
        ),
        *(
            (f"ALTER TABLE tenaudit.{table} DISABLE ROW LEVEL SECURITY", f"ALTER TABLE tenaudit.{table} {ENABLE}", said)
            for table in ("events", "events_default", "conflicts")
            for said in [f"the table {table} has no row-level security"]
        ),
        (
            "CREATE POLICY all_of_it ON tenaudit.events USING (true)",
            "DROP POLICY all_of_it ON tenaudit.events",
            "the table events has a policy all_of_it",
        ),
        (
            "ALTER POLICY lister ON tenaudit.leaves TO PUBLIC",
            "ALTER POLICY lister ON tenaudit.leaves TO tenaudit_lister",
            "the table leaves has a policy lister",
        ),
        (
            "GRANT SELECT ON tenaudit.events_default TO tenaudit_reader",
            "REVOKE SELECT ON tenaudit.events_default FROM tenaudit_reader",
            "the partition events_default was granted",
        ),
        (
            f"CREATE TABLE tenaudit.mine PARTITION OF tenaudit.events FOR VALUES FROM ('{UUID(int=0)}') TO ('{ID}')",
            "DROP TABLE tenaudit.mine",
            "the table mine has no row-level security",
        ),
    ],
)
def test_a_table_that_is_not_secured_is_refused_by_name(admin, done, undone, said):
    with user(admin, *ROLES) as dsn:
        run(execute(admin, done))
        try:
            assert said in run(refusal(dsn))
        finally:
            run(execute(admin, undone))
        run(accepted(dsn))


def test_everything_wrong_is_told_at_once(admin):
    done = [f"ALTER TABLE tenaudit.{table} NO {FORCE}" for table in ("events", "leaves")]
    with user(admin, *ROLES, options="BYPASSRLS") as dsn:
        run(execute(admin, *done))
        told = run(refusal(dsn))
        run(execute(admin, *(statement.replace("NO FORCE", "FORCE") for statement in done)))
    for said in ("has BYPASSRLS", "on the table events", "on the table leaves"):
        assert said in told


def test_the_owner_is_refused_where_force_is_missing_and_held_back_where_it_is_not(admin):
    with user(admin, "tenaudit_owner") as dsn:

        async def main():
            async with PostgresStore.connect(dsn) as store:
                await store.verify(UUID(int=7))
            await execute(admin, "ALTER TABLE tenaudit.events NO FORCE ROW LEVEL SECURITY")
            assert "not forced on the table events for the user, who owns it" in await refusal(dsn)
            await execute(admin, f"ALTER TABLE tenaudit.events {FORCE}")

        run(main())


def test_a_database_without_tables_or_of_another_version_is_refused(postgres_service):
    latest = latest_version()
    with database(postgres_service.dsn) as admin, user(admin) as dsn:

        async def main():
            assert "no tables of tenaudit; run tenaudit db migrate" in await refusal(dsn)
            for earlier in range(1, latest):
                await migrate(admin, to=earlier)
                await execute(admin, f"GRANT tenaudit_reader TO {at(dsn).partition('//')[2].partition(':')[0]}")
                assert f"version {earlier} of {latest}; run tenaudit db migrate" in await refusal(dsn)
            await execute(admin, "DELETE FROM tenaudit.migrations")
            assert f"version 0 of {latest}; run tenaudit db migrate" in await refusal(dsn)
            await execute(admin, "INSERT INTO tenaudit.migrations VALUES (9, 'later', '')")
            assert f"version 9, this tenaudit knows {latest}; upgrade tenaudit" in await refusal(dsn)

        run(main())
