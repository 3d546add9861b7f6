"""The store behind PgBouncer in transaction mode, with one server connection for everybody."""

from __future__ import annotations

import asyncio
import os
import shutil
from urllib.parse import urlsplit

import asyncpg
import pytest

from tenaudit.audit import AuditQuery
from tenaudit.backends.postgres import PostgresStore, migrate, status
from tenaudit.testing.conformance import StoreConformance, an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tenaudit.testing.services import port, process
from tests.unit.backends.postgres_databases import PASSWORD, ROLES, WITHIN, at, database, migrated, run, user

pytestmark = [pytest.mark.services, pytest.mark.debian]


@pytest.fixture(scope="module")
def pgbouncer():
    path = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip("pgbouncer comes with a Debian package, which this machine does not have")
    return path


@pytest.fixture(scope="module")
def template(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


@pytest.fixture
def dsn(pgbouncer, postgres_service, template, tmp_path):
    """The DSN of a writer of a new database, through a PgBouncer of its own."""
    with database(postgres_service.dsn, template=template) as admin, user(admin, *ROLES) as direct:
        listen = port.free_port()
        known = urlsplit(postgres_service.dsn)
        users = tmp_path / "users.txt"
        users.write_text(
            f'"{urlsplit(direct).username}" "{PASSWORD}"\n"{known.username}" "{known.password}"\n', encoding="utf-8"
        )
        config = tmp_path / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host={known.hostname} port={known.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 1\n",
            encoding="utf-8",
        )
        as_root = os.geteuid() == 0
        if as_root:  # PgBouncer refuses to run as root: nobody must be able to reach its files
            for path in (tmp_path, *tmp_path.parents[:-1]):
                path.chmod(path.stat().st_mode | 0o055)
            users.chmod(0o644)
        account = process.Account(65534, 65534) if as_root else None
        program = process.Program((pgbouncer, str(config)), tmp_path, tmp_path / "pgbouncer.log", account=account)
        with process.running(program) as child:
            process.wait_ready(child, lambda: port.accepts(listen) or None, within=30)
            yield at(direct, port=listen, user=urlsplit(direct).username)


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
