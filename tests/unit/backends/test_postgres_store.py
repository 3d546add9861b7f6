"""The store in a real PostgreSQL: partitions, poison, several writers at once, and what each role may."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import asyncpg
import pytest

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import AuditQuery, SinkRejected, StoreError
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.postgres.search import search_statement
from tenaudit.errors import ConfigurationError
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tests.unit.backends.postgres_databases import ROLES, database, execute, migrated, run, user

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def template(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


@pytest.fixture
def admin(postgres_service, template):
    with database(postgres_service.dsn, template=template) as dsn:
        yield dsn


@pytest.fixture
def dsn(admin):
    with user(admin, *ROLES) as dsn:
        yield dsn


def of_month(year, month, number=0, **fields):
    moment = datetime(year, month, 15, tzinfo=UTC)
    ms = round(moment.timestamp() * 1000)
    return an_event(number, event_id=uuid7_from_source(ms, f"{number}"), occurred_at=moment, **fields)


async def partitions(admin):
    (rows,) = await execute(
        admin,
        "SELECT tableoid::regclass::text AS name, count(*) AS events FROM tenaudit.events GROUP BY 1 ORDER BY 1",
    )
    return {row["name"].partition("events_")[2]: row["events"] for row in rows}


def noise(characters):
    return "".join(random.Random(7).choices([chr(n) for n in range(0x4E00, 0x9F00)], k=characters))


def test_an_event_lies_in_the_partition_of_its_month(admin, dsn):
    old, same, new = of_month(2019, 5), of_month(2019, 5, 1), of_month(2019, 6, 2)

    async def main():
        async with PostgresStore.connect(dsn) as store:
            assert await store.append([new, old, same]) == (3, 0, 0, 0)
            assert await store.append([old]) == (0, 1, 0, 0)
            assert await partitions(admin) == {"2019_05": 2, "2019_06": 1}
            assert (await store.search(AuditQuery(TENANT, order="asc"))).events == tuple(
                sorted([old, same, new], key=lambda event: event.event_id)
            )
            assert (await store.verify()).verified
            await store.self_check()

    run(main())


def test_ids_of_made_up_times_make_no_partitions(admin, dsn):
    strange = [of_month(1999, 11), of_month(2150, 1, 1), of_month(9999, 12, 2)]
    latest = an_event(3, event_id=uuid7_from_source((1 << 48) - 1, "the last one"))

    async def main():
        (before,) = await execute(admin, "SELECT count(*) FROM pg_partition_tree('tenaudit.events')")
        async with PostgresStore.connect(dsn) as store:
            assert await store.append([*strange, latest]) == (4, 0, 0, 0)
            for event in (*strange, latest):
                assert await store.get(TENANT, event.event_id) == event
            assert len((await store.search(AuditQuery(TENANT, limit=2))).events) == 2
        assert await partitions(admin) == {"default": 4}
        (after,) = await execute(admin, "SELECT count(*) FROM pg_partition_tree('tenaudit.events')")
        assert after == before

    run(main())


def test_partitions_are_made_ahead_and_by_the_month_before(admin, dsn):
    months = "SELECT relid::regclass::text AS name FROM pg_partition_tree('tenaudit.events') WHERE isleaf ORDER BY 1"

    async def main():
        async with PostgresStore.connect(dsn) as store:
            await store.make_partitions(ahead=1)
            await store.append([of_month(2020, 12)])
            (rows,) = await execute(admin, months)
            names = {row["name"].partition("events_")[2] for row in rows}
            now = datetime.now(UTC)
            assert {"2020_12", "2021_01", f"{now:%Y_%m}", "default"} <= names
            await store.append([of_month(2021, 1, 1)])
            assert await partitions(admin) == {"2020_12": 1, "2021_01": 1}

    run(main())


def test_a_month_with_rows_elsewhere_stays_there(admin, dsn):
    first, second = of_month(2020, 3), of_month(2020, 3, 1)

    async def main():
        async with PostgresStore.connect(dsn) as store:
            await store.append([first])
            # As if its month had been beyond the horizon when it came.
            await execute(
                admin,
                "CREATE TEMP TABLE kept AS SELECT * FROM tenaudit.events",
                "DROP TABLE tenaudit.events_2020_03",
                "INSERT INTO tenaudit.events SELECT * FROM kept",
            )
        async with PostgresStore.connect(dsn) as store:
            assert await store.append([first, second]) == (1, 1, 0, 0)
            assert await partitions(admin) == {"default": 2}
            assert (await store.verify()).verified

    run(main())


def test_writers_at_once_store_each_event_once_and_keep_one_log(dsn):
    batches = [[an_event(n, tenant_id=tenant) for n in range(40) for tenant in (TENANT, OTHER_TENANT)]]
    for seed in range(7):
        batches.append(random.Random(seed).sample(batches[0], 60))

    async def main():
        stores = [await PostgresStore.connect(dsn, max_connections=2) for _ in range(4)]
        results = await asyncio.gather(*(stores[n % 4].append(batch) for n, batch in enumerate(batches)))
        assert sum(result.stored for result in results) == 80
        assert sum(map(sum, results)) == sum(map(len, batches))
        await asyncio.gather(*(store.seal() for store in stores))
        report = await stores[0].verify()
        assert (report.verified, report.events, report.tenants) == (True, 80, 2), report.problems
        assert await stores[0].count() == 80
        assert await stores[0].count(TENANT) == 40
        await asyncio.gather(*(store.close() for store in stores))

    run(main())


def test_what_has_no_wire_form_is_named(dsn):
    bad = [
        an_event(1).model_copy(update={"occurred_at": "yesterday"}),
        an_event(2).model_copy(update={"occurred_at": datetime(2026, 1, 1)}),  # noqa: DTZ001 - it is what is refused
        an_event(3).model_copy(update={"action": None}),
        an_event(4).model_copy(update={"tenant_id": str(TENANT)}),
        an_event(5).model_copy(update={"seq": True}),
    ]

    async def main():
        async with PostgresStore.connect(dsn) as store:
            with pytest.raises(SinkRejected) as caught:
                await store.append([an_event(0), *bad])
            assert caught.value.event_ids == {event.event_id for event in bad}
            assert caught.value.reason == "not_canonical"
            assert await store.count() == 0

    run(main())


def test_what_is_refused_together_and_not_alone_is_a_failure_of_the_store(admin, dsn):
    async def main():
        await execute(
            admin,
            "CREATE FUNCTION one_at_a_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (SELECT count(*) FROM new)"
            " > 1 THEN RAISE EXCEPTION USING ERRCODE = '22000'; END IF; RETURN NULL; END $$",
            "CREATE TRIGGER one_at_a_time AFTER INSERT ON tenaudit.events REFERENCING NEW TABLE AS new "
            "FOR EACH STATEMENT EXECUTE FUNCTION one_at_a_time()",
        )
        async with PostgresStore.connect(dsn) as store:
            with pytest.raises(StoreError, match=r"PostgreSQL refuses the data: DataError \(22000\)"):
                await store.append([an_event(0), an_event(1)])
            assert await store.append([an_event(0)]) == (1, 0, 0, 0)

    run(main())


def test_many_who_use_a_store_first_check_it_once_and_tables_that_went_are_told(admin, dsn):
    async def main():
        store = PostgresStore.connect(dsn)
        assert await asyncio.gather(*(store.tenants() for _ in range(5))) == [()] * 5
        await execute(admin, "DROP SCHEMA tenaudit CASCADE")
        with pytest.raises(StoreError, match=r"no tables of tenaudit \(42P01\); run tenaudit db migrate"):
            await store.tenants()
        await store.close()

    run(main())


@pytest.mark.parametrize("places", [[0], [3], [2, 6], range(7)])
def test_what_postgresql_can_never_take_is_named(dsn, places):
    # An index has no room for it; emit would have refused so long a name.
    events = [an_event(n) for n in range(7)]
    for place in places:
        events[place] = events[place].model_copy(update={"resource_type": noise(4000)})
    events.append(an_event(8, tenant_id=OTHER_TENANT))
    good = [event for place, event in enumerate(events) if place not in places]

    async def main():
        async with PostgresStore.connect(dsn) as store:
            with pytest.raises(SinkRejected) as caught:
                await store.append(events)
            assert caught.value.event_ids == {events[place].event_id for place in places}
            assert caught.value.reason == "refused_by_postgresql"
            assert await store.count() == 0
            assert await store.append(good) == (len(good), 0, 0, 0)
            assert (await store.verify()).verified

    run(main())


def test_the_longest_names_that_an_event_may_have_are_stored_and_found(dsn):
    name, text = noise(128), noise(1024)
    event = an_event(0, actor_id=text, actor_type=name, resource_type=name, resource_id=text, service=name)

    async def main():
        async with PostgresStore.connect(dsn) as store:
            await store.append([event, an_event(1)])
            for filters in ({"actor": text}, {"resource_id": text}, {"resource_type": name, "resource_id": text}):
                assert (await store.search(AuditQuery(TENANT, **filters))).events == (event,)

    run(main())


@pytest.mark.parametrize(
    ("filters", "index"),
    [({"actor": "u-7"}, "tenant_id_actor_id"), ({"resource_type": "a", "resource_id": "b"}, "tenant_id_resource_type")],
)
def test_a_search_goes_by_the_index_of_its_filter_for_all_the_row_level_security(admin, dsn, filters, index):
    base = load_statements("tenaudit.backends.postgres", "sql/queries.sql")["search_events"]
    statement = search_statement(base, AuditQuery(TENANT, **filters), None)

    async def main():
        async with PostgresStore.connect(dsn) as store:
            await store.append([an_event(n, actor_id=f"u-{n}") for n in range(300)])
            await execute(admin, "ANALYZE tenaudit.events")
            connection = await asyncpg.connect(dsn)
            async with connection.transaction():
                # The table is small; with more rows nobody would read it whole.
                await connection.execute("SET LOCAL enable_seqscan = off")
                await connection.execute("SELECT set_config('tenaudit.tenants', $1, true)", str(TENANT))
                plan = await connection.fetch(f"EXPLAIN {statement.sql}", *statement.values)
            await connection.close()
            text = "\n".join(row[0] for row in plan)
            assert index in text
            assert f"({[*filters][-1].replace('actor', 'actor_id')} = " in text.partition("Index Cond: ")[2]

    run(main())


def test_a_large_batch_is_written_in_parts(admin, dsn):
    events = [an_event(n).model_copy(update={"payload": {"text": "x" * (7 * 2**20)}}) for n in range(3)]

    async def main():
        async with PostgresStore.connect(dsn, deadline=20) as store:
            assert await store.append(events) == (3, 0, 0, 0)
            assert await store.append([an_event(n + 10) for n in range(2001)]) == (2001, 0, 0, 0)
        (rows,) = await execute(admin, "SELECT count(*) FROM tenaudit.events GROUP BY xmin ORDER BY 1")
        assert [row[0] for row in rows] == [1, 1, 2, 2000]

    run(main())


def test_a_reader_reads_and_cannot_write(admin, dsn):
    async def main(reads):
        async with PostgresStore.connect(dsn) as store:
            await store.append([an_event(0)])
            await store.seal()
        async with PostgresStore.connect(reads) as store:
            assert (await store.search(AuditQuery(TENANT))).events == (an_event(0),)
            assert (await store.verify()).verified
            assert await store.tenants() == (TENANT,)
            assert await store.seal() == ()
            for call in (store.append([an_event(1)]), store.append([an_event(0)]), store.make_partitions()):
                with pytest.raises(StoreError, match="denies it"):
                    await call

    with user(admin, "tenaudit_reader") as reads:
        run(main(reads))


_KEEP_CONFLICT = "INSERT INTO tenaudit.conflicts VALUES ($1, $1, '', '')"


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("tenaudit_reader", set()),
        ("tenaudit_writer", {_KEEP_CONFLICT}),
        ("tenaudit_purger", {_KEEP_CONFLICT, "DELETE FROM tenaudit.events", "DELETE FROM tenaudit.conflicts"}),
    ],
)
def test_a_role_may_do_no_more_than_its_work(admin, role, allowed):
    statements = [
        _KEEP_CONFLICT,
        *(f"DELETE FROM tenaudit.{table}" for table in ("events", "conflicts", "leaves", "checkpoints", "logs")),
        *(f"UPDATE tenaudit.{table} SET tenant_id = $1" for table in ("events", "conflicts", "leaves", "checkpoints")),
        *(f"TRUNCATE tenaudit.{table}" for table in ("events", "logs")),
        "UPDATE tenaudit.meta SET value = ''",
        "UPDATE tenaudit.migrations SET version = 9",
        "SELECT * FROM tenaudit.events_default",
        "INSERT INTO tenaudit.events_default SELECT * FROM tenaudit.events",
        "CREATE TABLE tenaudit.mine ()",
        "CALL tenaudit.secure('tenaudit.events')",
        "ALTER TABLE tenaudit.events DISABLE ROW LEVEL SECURITY",
        "SET ROLE tenaudit_owner",
        "SET ROLE tenaudit_lister",
    ]

    async def main(dsn):
        connection = await asyncpg.connect(dsn)
        done = set()
        for statement in statements:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("SELECT set_config('tenaudit.tenants', $1, true)", str(TENANT))
            try:
                await connection.execute(statement, *([TENANT] if "$1" in statement else []))
                done.add(statement)
            except asyncpg.InsufficientPrivilegeError:
                pass
            finally:
                await transaction.rollback()
        await connection.close()
        assert done == allowed

    with user(admin, role) as dsn:
        run(main(dsn))


def test_impossible_settings_are_refused_by_name():
    for settings, name in (
        ({"deadline": 0}, "deadline"),
        ({"deadline": float("nan")}, "deadline"),
        ({"max_connections": 0}, "max_connections"),
        ({"max_connections": 101}, "max_connections"),
    ):
        with pytest.raises(ConfigurationError, match=name):
            PostgresStore.connect("postgresql://h/d", **settings)
    with pytest.raises(ConfigurationError, match="postgresql://USER") as caught:
        PostgresStore.connect("mysql://u:hunter2@h/d")
    assert "hunter2" not in str(caught.value)
