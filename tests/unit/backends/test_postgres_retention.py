"""Retention in PostgreSQL: partitions as a whole, roles, deaths of a purge, and tampering with what it left."""

from __future__ import annotations

import asyncio
import gzip

import asyncpg
import pytest

from tenaudit.audit import AuditQuery, StoreError
from tenaudit.audit.retention import PurgeBusy
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.postgres.pool import PostgresBusy
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tenaudit.testing.conformance.retention_suite import NOW, aged
from tests.unit.backends.postgres_databases import ROLES, WITHIN, database, execute, migrated, run, user
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

pytestmark = pytest.mark.services

# Of September, which is over by more than the period.
AUTUMN = tuple(aged(n, 75 - n) for n in range(6))
SEPTEMBER = "events_2026_09"


@pytest.fixture(scope="module")
def template(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


@pytest.fixture
def admin(postgres_service, template):
    with database(postgres_service.dsn, template=template) as dsn:
        yield dsn


@pytest.fixture
def purger(admin):
    """A user who is a purger and nothing else."""
    with user(admin, "tenaudit_purger") as dsn:
        yield dsn


@pytest.fixture
def writer(admin):
    with user(admin, *ROLES) as dsn:
        yield dsn


def opened(dsn):
    return PostgresStore.connect(dsn, clock=ManualClock(NOW.timestamp()))


async def filled(dsn, *events):
    async with opened(dsn) as store:
        await store.append(events or (*AUTUMN, *OLD, *YOUNG))
        await store.seal()


async def partitions(admin):
    (rows,) = await execute(admin, "SELECT inhrelid::regclass::text AS name FROM pg_inherits ORDER BY 1")
    return {row["name"].removeprefix("tenaudit.") for row in rows}


async def verified(dsn):
    async with opened(dsn) as store:
        await store.seal()
        report = await store.verify()
        assert report.verified, report.problems[:5]
        return report.events


def test_a_month_that_may_go_is_dropped_as_a_whole(admin, writer, purger):
    async def main():
        await filled(writer)
        await filled(writer, *(aged(n, 70, tenant_id=OTHER_TENANT) for n in range(3)))
        async with opened(purger) as store:
            told = await store.purge(dry_run=True)
            assert SEPTEMBER in told.partitions
            assert SEPTEMBER in await partitions(admin)
            report = await store.purge()
        assert report.partitions == (SEPTEMBER,)
        assert SEPTEMBER not in await partitions(admin)
        counts = {one.tenant_id: (one.rows, one.in_partitions) for one in report.tenants}
        assert counts == {TENANT: (len(AUTUMN) + len(OLD), len(AUTUMN)), OTHER_TENANT: (3, 3)}
        assert {one.tenant_id: (one.rows, one.in_partitions) for one in told.tenants} == counts
        assert await verified(writer) == len(YOUNG) + 3
        async with opened(writer) as store:
            assert await store.append(AUTUMN) == (0, 0, 0, len(AUTUMN))

    run(main())


@pytest.mark.parametrize("why", ["held", "young", "longer", "stranger"])
def test_a_month_of_which_not_every_row_may_go_is_purged_by_rows(admin, writer, purger, why):
    other = aged(50, 70, tenant_id=OTHER_TENANT)

    async def main():
        await filled(writer)
        await filled(writer, other)
        async with opened(purger) as store:
            if why == "held":
                await store.hold(OTHER_TENANT, reason="case", by="legal")
            elif why == "longer":
                await store.set_retention(365, tenant_id=OTHER_TENANT)
            elif why == "young":
                await execute(
                    admin, f"UPDATE tenaudit.events SET occurred_at = now() WHERE event_id = '{other.event_id}'"
                )
            else:
                await execute(admin, f"DELETE FROM tenaudit.leaves WHERE tenant_id = '{OTHER_TENANT}'")
            report = await store.purge()
            assert report.partitions == ()
            assert SEPTEMBER in await partitions(admin)
            assert await store.get(OTHER_TENANT, other.event_id) is not None
        assert {one.rows for one in report.tenants if one.tenant_id == TENANT} == {len(AUTUMN) + len(OLD)}
        async with opened(writer) as store:
            await store.seal()
            assert (await store.verify(TENANT)).verified

    run(main())


def test_a_month_is_archived_before_it_is_dropped(writer, purger, tmp_path):
    async def main():
        await filled(writer)
        async with opened(purger) as store:
            report = await store.purge(archive=tmp_path)
        (one,) = report.tenants
        assert report.partitions == (SEPTEMBER,)
        files = {file.name: gzip.decompress((tmp_path / file.name).read_bytes()) for file in one.archives}
        assert all(str(event.event_id).encode() in b"".join(files.values()) for event in (*AUTUMN, *OLD))
        assert any(name.startswith(f"{TENANT}/2026-09.0-5.") for name in files)
        await verified(writer)

    run(main())


def test_a_log_that_is_damaged_keeps_the_others_from_nothing(admin, writer, purger):
    async def main():
        await filled(writer)
        await filled(writer, aged(50, 70, tenant_id=OTHER_TENANT))
        await execute(admin, f"UPDATE tenaudit.logs SET frontier = '' WHERE tenant_id = '{TENANT}'")
        async with opened(purger) as store:
            report = await store.purge()
        one, other = report.tenants
        assert (report.partitions, one.rows, other.rows, report.complete) == ((), 0, 1, False)
        assert one.error == f"the log of tenant {TENANT} is damaged and takes no more; verify the store"
        ((left,),) = await execute(admin, f"SELECT count(*) FROM tenaudit.events WHERE tenant_id = '{TENANT}'")
        assert left["count"] == len(AUTUMN) + len(OLD) + len(YOUNG)

    run(main())


def test_rows_of_the_default_partition_go_too(admin, writer, purger):
    ancient = aged(0, 20_000)

    async def main():
        await filled(writer, ancient, *YOUNG)
        ((row,),) = await execute(admin, "SELECT count(*) FROM ONLY tenaudit.events_default")
        assert row["count"] == 1
        async with opened(purger) as store:
            assert (await store.purge()).rows == 1
        await verified(writer)

    run(main())


@pytest.mark.parametrize(("call", "done"), [*DEATHS, ("drop", False), ("drop", True)])
def test_a_purge_that_dies_leaves_a_log_that_verifies_and_the_next_goes_on(writer, purger, tmp_path, call, done):
    async def main():
        await filled(writer)
        async with opened(purger) as store:
            with pytest.raises(Died):
                await purge_and_die(store, call, done, 0 if call == "drop" else 1, batch=3, archive=tmp_path)
        async with opened(writer) as store:
            left = len(await proved(store))
            gone = 0 if call == "drop" else 3 if (call, done) != ("remove", True) else 6
            assert left == len(OLD) + len(YOUNG) - gone
        async with opened(purger) as store:
            report = await store.purge(batch=3, archive=tmp_path)
            before = 0 if (call, done) == ("drop", False) else len(AUTUMN)
            assert report.rows == len(AUTUMN) + len(OLD) - before - gone
        async with opened(writer) as store:
            assert await proved(store) == [*YOUNG]

    run(main())


@pytest.mark.parametrize("change", ["hold", "period", "default"])
def test_a_hold_or_a_period_that_comes_meanwhile_counts(admin, tmp_path, change):
    async def main(dsn):
        async with opened(dsn) as store:
            await store.append([*OLD, *YOUNG])
            await is_stopped_by(store, lambda: changed(store, change), tmp_path)

    with user(admin, *ROLES, "tenaudit_purger") as dsn:
        run(main(dsn))


def test_a_hold_keeps_second_contents_too(admin):
    async def main(dsn):
        async with opened(dsn) as store:
            await keeps_conflicts_of_the_held(store)

    with user(admin, *ROLES, "tenaudit_purger") as dsn:
        run(main(dsn))


@pytest.mark.parametrize("change", ["hold", "period", "default"])
def test_a_hold_or_a_period_that_comes_meanwhile_keeps_a_partition(admin, writer, purger, change):
    async def main():
        await filled(writer)
        async with opened(purger) as store, store._purge_steps("me", NOW, alone=True) as steps:
            befores = {one.tenant_id: NOW for one in (await steps.settings()).tenants}
            (partition,) = [one async for one in steps.partitions(befores) if one.name == SEPTEMBER]
            await changed(store, change)
            assert not await steps.drop(partition, {TENANT: [_removal(partition)]})
        assert SEPTEMBER in await partitions(admin)
        await verified(writer)

    run(main())


@pytest.mark.parametrize("table", ["retention_records", "leaves"])
def test_what_fails_between_removing_and_recording_takes_nothing(admin, writer, purger, table):
    async def main():
        await filled(writer)
        await execute(
            admin,
            "CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$",
            f"CREATE TRIGGER no BEFORE INSERT ON tenaudit.{table} FOR EACH ROW EXECUTE FUNCTION public.no()",
        )
        async with opened(purger) as store:
            with pytest.raises(StoreError, match="P0001"):
                await store.purge()
        await execute(admin, f"DROP TRIGGER no ON tenaudit.{table}")
        assert SEPTEMBER in await partitions(admin)
        assert await verified(writer) == len(AUTUMN) + len(OLD) + len(YOUNG)

    run(main())


def test_whoever_reads_for_long_is_not_waited_for(admin, writer, purger):
    async def main():
        await filled(writer)
        reader = await asyncpg.connect(admin, timeout=WITHIN)
        try:
            async with reader.transaction():
                await reader.fetch("SELECT count(*) FROM tenaudit.events")
                async with opened(purger) as store:
                    report = await store.purge()
                # The table was read and could not be dropped, so its rows went.
                assert (report.partitions, report.rows) == ((), len(AUTUMN) + len(OLD))
        finally:
            await reader.close()
        async with opened(purger) as store:
            assert (await store.purge()).partitions == (SEPTEMBER,)
        await verified(writer)

    run(main())


def test_a_log_that_stays_locked_ends_the_purge_and_takes_nothing(admin, writer, purger):
    async def main():
        await filled(writer, *OLD)
        holder = await asyncpg.connect(admin, timeout=WITHIN)
        try:
            async with holder.transaction():
                await holder.fetch("SELECT * FROM tenaudit.logs FOR UPDATE")
                async with opened(purger) as store:
                    with pytest.raises(PostgresBusy, match="others hold what is needed"):
                        await store.purge()
        finally:
            await holder.close()
        assert await verified(writer) == len(OLD)

    run(main())


def test_a_second_purge_is_told_that_one_is_running(purger, writer):
    async def main():
        await filled(writer)
        async with opened(purger) as one, opened(purger) as other:
            async with one._purge_steps("me", NOW, alone=True):
                with pytest.raises(PurgeBusy, match="another purge of the database is running"):
                    await other.purge()
                assert (await other.purge(dry_run=True)).rows == len(AUTUMN) + len(OLD)
            assert (await other.purge()).complete

    run(main())


def test_a_purge_ends_when_what_keeps_others_out_is_gone(admin, purger, writer):
    async def cut_off(store):
        async with store._purge_steps("me", NOW, alone=True) as steps:
            await execute(
                admin,
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            await steps.remove(TENANT, await steps.old_events(TENANT, NOW, 1, whole=False), None)

    async def main():
        await filled(writer)
        async with opened(purger) as store:
            with pytest.raises(StoreError):
                await cut_off(store)
        assert await verified(writer) == len(AUTUMN) + len(OLD) + len(YOUNG)

    run(main())


def test_only_the_purger_purges(writer, admin):
    async def main(reads):
        await filled(writer)
        for dsn in (writer, reads):
            async with opened(dsn) as store:
                for call in (store.purge(), store.hold(TENANT, reason="x", by="y"), store.set_retention(1)):
                    with pytest.raises(StoreError, match="42501"):
                        await call
        for statement in ("held = false", "purged_before = NULL", "retention_days = 1"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await execute(writer, f"UPDATE tenaudit.logs SET {statement}")
        for statement in (
            "INSERT INTO tenaudit.retention_records SELECT tenant_id, 1, tenant_id, '' FROM tenaudit.logs",
            "SELECT tenaudit.drop_partition('2026-09-01')",
            "SELECT * FROM tenaudit.partition_tenants('2026-09-01')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await execute(writer, statement)

    with user(admin, "tenaudit_reader") as reads:
        run(main(reads))


def test_the_purger_drops_no_partition_of_tenants_that_it_does_not_name_or_that_are_held(admin, writer, purger):
    async def drops(*tenants):
        connection = await asyncpg.connect(purger, timeout=WITHIN)
        try:
            async with connection.transaction():
                await connection.fetch("SELECT set_config('tenaudit.tenants', $1, true)", ",".join(map(str, tenants)))
                return await connection.fetchval("SELECT tenaudit.drop_partition('2026-09-01')")
        finally:
            await connection.close()

    async def main():
        await filled(writer)
        await filled(writer, aged(50, 70, tenant_id=OTHER_TENANT))
        assert not await drops()
        assert not await drops(TENANT)
        async with opened(purger) as store:
            await store.hold(TENANT, reason="x", by="y")
        assert not await drops(TENANT, OTHER_TENANT)
        async with opened(purger) as store:
            await store.release(TENANT, reason="x", by="y")
        assert SEPTEMBER in await partitions(admin)
        assert await drops(TENANT, OTHER_TENANT)
        assert not await drops(TENANT, OTHER_TENANT)

    run(main())


def test_records_of_one_tenant_are_not_shown_to_another(admin, writer, purger):
    async def main():
        async with opened(purger) as store:
            await store.hold(TENANT, reason="secret", by="y")
        assert await execute(writer, "SELECT * FROM tenaudit.retention_records") == [[]]

    run(main())


TAMPERING = {
    "a row deleted by hand": (f"DELETE FROM tenaudit.events WHERE event_id = '{YOUNG[1].event_id}'", {"missing"}),
    "the leaf of what went": ("UPDATE tenaudit.leaves SET leaf_hash = sha256('') WHERE idx = 1", {"checkpoint"}),
    "a record that is edited": (
        """UPDATE tenaudit.retention_records SET record = replace(record, '"days":30', '"days":31')""",
        {"changed", "missing"},
    ),
    "a record that is taken away": ("DELETE FROM tenaudit.retention_records", {"missing", "purge"}),
    "a hold that is put on": ("UPDATE tenaudit.logs SET held = true", {"purge"}),
    "a period that is set": ("UPDATE tenaudit.logs SET retention_days = 3", {"purge"}),
    "a purge that is forgotten": ("UPDATE tenaudit.logs SET purged_before = NULL", {"purge"}),
    "a record that is made up": (
        (
            "INSERT INTO tenaudit.retention_records SELECT tenant_id, idx + 100, event_id, record "
            "FROM tenaudit.retention_records LIMIT 1"
        ),
        {"inserted"},
    ),
    "a record of a tenant that is nobody": (
        (
            "INSERT INTO tenaudit.retention_records SELECT gen_random_uuid(), idx, event_id, record "
            "FROM tenaudit.retention_records LIMIT 1"
        ),
        {"inserted"},
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_with_what_a_purge_left_is_found(admin, writer, purger, name):
    statement, kinds = TAMPERING[name]

    async def main():
        await filled(writer)
        async with opened(purger) as store:
            await store.purge(batch=4)
        await verified(writer)
        await execute(admin, statement)
        async with opened(writer) as store:
            assert {problem.kind for problem in (await store.verify()).problems} == kinds

    run(main())


def test_what_comes_into_a_partition_that_is_about_to_go_keeps_it(admin, writer, purger):
    late = aged(60, 71)

    async def main():
        await filled(writer)
        async with opened(purger) as store, opened(writer) as other:
            async with store._purge_steps("me", NOW, alone=True) as steps:
                befores = {one.tenant_id: NOW for one in (await steps.settings()).tenants}
                (partition,) = [one async for one in steps.partitions(befores) if one.name == SEPTEMBER]
                assert await other.append([late]) == (1, 0, 0, 0)
                assert not await steps.drop(partition, {TENANT: [_removal(partition)]})
                assert await store.get(TENANT, late.event_id) == late
            await store.purge()
        await verified(writer)

    run(main())


def _removal(partition):
    from tenaudit.audit.retention.records import Removal
    from tenaudit.audit.retention.terms import cutoff

    rows = partition.tenants[TENANT]
    return Removal(rows.ranges, rows.newest, cutoff(NOW, 30), 30)


def test_nothing_is_amiss_while_partitions_are_dropped_and_written_and_verified(writer, purger):
    async def main():
        async with opened(writer) as store:
            for month in range(6):
                await store.append([aged(100 * month + n, 60 + 30 * month) for n in range(30)])

        async def write(store):
            for n in range(30):
                await store.append([aged(1000 + n, 1), aged(2000 + n, 1, tenant_id=OTHER_TENANT)])

        async def verify(store):
            for _ in range(10):
                report = await store.verify()
                assert report.verified, report.problems[:3]

        async with opened(writer) as store, opened(purger) as other, opened(writer) as third:
            report, _, _ = await asyncio.gather(other.purge(), write(store), verify(third))
            report = (report, await other.purge())
            assert sum(one.rows for one in report) == 180
            page = await store.search(AuditQuery(TENANT, action="audit.purged", limit=500))
            assert sum(event.payload["rows"] for event in page.events) == 180
        assert await verified(writer) >= 60

    run(main())
