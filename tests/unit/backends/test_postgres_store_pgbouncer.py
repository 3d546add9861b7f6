"""The store behind PgBouncer in transaction mode, with one server connection for everybody."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from tenaudit.audit import AuditQuery
from tenaudit.backends.postgres import PostgresStore, migrate, status
from tenaudit.testing.conformance import StoreConformance, an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tests.unit.backends.pgbouncer_parts import behind_pgbouncer, pgbouncer_path
from tests.unit.backends.postgres_databases import ROLES, WITHIN, at, database, migrated, run, user

pytestmark = [pytest.mark.services, pytest.mark.debian]


@pytest.fixture(scope="module")
def template(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


@pytest.fixture
def dsn(postgres_service, template, tmp_path):
    """The DSN of a writer of a new database, through a PgBouncer of its own."""
    pgbouncer_path()
    with (
        database(postgres_service.dsn, template=template) as admin,
        user(admin, *ROLES) as direct,
        behind_pgbouncer(direct, tmp_path, postgres_service.dsn) as through,
    ):
        yield through


class TestPostgresStoreBehindPgbouncer(StoreConformance):
    @pytest.fixture(autouse=True)
    def _database(self, dsn):
        self.dsn = dsn

    async def open_store(self, folder):
        return await PostgresStore.connect(self.dsn)


def test_no_tenant_of_one_client_is_left_for_the_next(dsn):
    async def main():
        stores = [await PostgresStore.connect(dsn, max_connections=4) for _ in range(3)]
        events = {tenant: tuple(an_event(n, tenant_id=tenant) for n in range(5)) for tenant in (TENANT, OTHER_TENANT)}
        await asyncio.gather(*(store.append(events[tenant]) for store in stores for tenant in events))
        other = await asyncpg.connect(dsn, timeout=WITHIN, command_timeout=WITHIN, statement_cache_size=0)
        for turn in range(20):
            tenant = (TENANT, OTHER_TENANT)[turn % 2]
            pages = await asyncio.gather(
                *(store.search(AuditQuery(tenant, order="asc")) for store in stores),
                other.fetch("SELECT * FROM tenaudit.events"),
                stores[0].append([events[tenant][0]]),
            )
            assert [page.events for page in pages[:3]] == [events[tenant]] * 3
            assert pages[3] == []
        await other.close(timeout=WITHIN)
        assert (await stores[0].verify()).verified
        await asyncio.gather(*(store.close() for store in stores))

    run(main())


def test_migrations_go_through_it_as_well(dsn, postgres_service):
    parts = urlsplit(postgres_service.dsn)
    there = at(dsn, user=parts.username, password=parts.password)

    async def main():
        assert {one.state for one in await migrate(there)} == {"applied"}
        assert {one.state for one in await status(there)} == {"applied"}

    run(main())
