"""Tenants in PostgreSQL are kept apart by the database: queries without the application's filter see no foreign row.

Every query runs on a pooled connection that other tenants use before and after, directly and through PgBouncer in
transaction mode, on the parent and on each partition, after commits, errors and cancellations, as one tenant, as
another, as a stranger and as none. The default run makes a few hundred queries, the deep profile at least 100 000.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.audit import AuditQuery, StoreError
from tenaudit.audit.event import SEVERITIES
from tenaudit.audit.query import CursorPoint
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.postgres.pool import PostgresPool
from tenaudit.backends.postgres.search import search_statement
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import START
from tests.unit.backends.pgbouncer_parts import behind_pgbouncer
from tests.unit.backends.postgres_databases import ROLES, execute, migrated, user

pytestmark = [pytest.mark.services, pytest.mark.timeout(7200)]

TENANTS = [UUID(int=n + 1, version=4) for n in range(4)]
STRANGER = UUID(int=99, version=4)
MONTHS = (1_583_000_000_000, 1_590_000_000_000, (1 << 48) - 100)
PARTITIONS = ("events_2020_02", "events_2020_05", "events_default")
TABLES = ("events", *PARTITIONS, "leaves", "checkpoints", "conflicts", "subtrees")
COUNTS = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM tenaudit.{table}" for table in TABLES)
IS_DEEP = settings.default.max_examples >= 1000
ANYTHING = (
    "SELECT * FROM tenaudit.events WHERE tenant_id = $1",
    "SELECT * FROM tenaudit.{} WHERE $1::uuid IS NOT NULL",
)

words = st.sampled_from(["u-1", "u-2", "a", "' OR true --", "%", "order.created", "é"])
FILTERS = {
    "actor": words,
    "action": st.sampled_from(["order.created", "order.*", "payment.*"]),
    "resource_type": words,
    "resource_id": words,
    "severity": st.sampled_from(SEVERITIES),
    "min_severity": st.sampled_from(SEVERITIES),
    "outcome": st.sampled_from(["success", "denied"]),
    "trace_id": st.sampled_from(["0" * 31 + "1", "f" * 32]),
    "service": words,
    "from_": st.sampled_from([START, START + timedelta(seconds=2)]),
    "to": st.sampled_from([START, START + timedelta(days=1)]),
    "q": words | st.just("n"),
    "limit": st.sampled_from([1, 50, 500]),
    "order": st.sampled_from(["asc", "desc"]),
}
queries = st.builds(
    lambda tenant, filters: AuditQuery(tenant, **filters),
    st.sampled_from(TENANTS),
    st.fixed_dictionaries({}, optional=FILTERS),
)
points = st.none() | st.builds(
    lambda ms, backward: CursorPoint(uuid7_from_source(ms, "point"), backward), st.sampled_from(MONTHS), st.booleans()
)
wholes = st.sampled_from(
    [
        *(f"SELECT * FROM tenaudit.{table}" for table in TABLES),
        *(f"SELECT * FROM tenaudit.{table} WHERE true OR tenant_id IS NULL ORDER BY tenant_id" for table in TABLES),
        *(f"SELECT tenant_id, count(*) FROM tenaudit.{table} GROUP BY tenant_id" for table in TABLES),
        "SELECT e.* FROM tenaudit.leaves AS l JOIN tenaudit.events AS e USING (event_id)",
        "SELECT c.* FROM tenaudit.events AS e RIGHT JOIN tenaudit.conflicts AS c ON c.tenant_id <> e.tenant_id",
        "WITH every AS MATERIALIZED (SELECT * FROM tenaudit.events) SELECT * FROM every",
        "SELECT * FROM tenaudit.events UNION ALL SELECT * FROM tenaudit.events_default",
        "SELECT tenant_id FROM tenaudit.events UNION SELECT tenant_id FROM tenaudit.checkpoints",
    ]
)
asked = st.tuples(queries, points, st.sampled_from(TABLES[:4])) | wholes
# Whom a transaction is for: one tenant, a stranger, nobody; the pool always says so, and this takes it back too.
bound = st.sampled_from([(tenant,) for tenant in TENANTS] + [(STRANGER,), (), (), ("reset",), ("default",)])
endings = st.sampled_from(["commit", "commit", "error", "raise", "cancel"])
steps = st.lists(st.tuples(bound, st.lists(asked, min_size=1, max_size=3), endings), min_size=1, max_size=4)


def statement(base, one):
    """Return SQL without the application's filter on tenants, and its parameters."""
    if isinstance(one, str):
        return one, ()
    query, point, table = one
    sql, values = search_statement(base, query, point)
    free = sql.replace(*ANYTHING).replace("tenaudit.{}", f"tenaudit.{table}")
    assert "tenant_id" not in free
    return free, values


class Place:
    """The database, a pool of one connection of a user who may read even the partitions, and the loop of both."""

    def __init__(self, runner, dsn, base, counts):
        self.runner, self.base, self.counts = runner, base, counts
        self.pool = PostgresPool(dsn, max_connections=1, deadline=20.0)
        self.asked = 0
        self.seen = 0

    async def walk(self, walked):
        for tenants, questions, ending in walked:
            arrived = asyncio.Event()
            task = asyncio.ensure_future(self.step(tenants, questions, ending, arrived))
            if ending == "cancel":
                await asyncio.wait({task, asyncio.ensure_future(arrived.wait())}, return_when="FIRST_COMPLETED")
                task.cancel()
            done = (await asyncio.gather(task, return_exceptions=True))[0]
            expected = {"error": StoreError, "raise": KeyError, "cancel": asyncio.CancelledError}.get(ending)
            if expected is None or not isinstance(done, expected):
                assert done is None, done

    async def step(self, tenants, questions, ending, arrived):
        mine = {tenant for tenant in tenants if isinstance(tenant, UUID)}
        async with self.pool.transaction(sorted(mine)) as session:
            if tenants == ("reset",):
                await session.script("RESET tenaudit.tenants")
            if tenants == ("default",):
                await session.script("SET LOCAL tenaudit.tenants TO DEFAULT")
            for one in questions:
                sql, values = statement(self.base, one)
                rows = await session.query(sql, *values)
                assert {row["tenant_id"] for row in rows} <= mine, (tenants, sql)
                self.asked += 1
                self.seen += len(rows)
            for table, found in await session.query(COUNTS):
                assert found == sum(self.counts[table].get(tenant, 0) for tenant in mine), (tenants, table)
            if ending == "error":
                await session.script("SELECT 1 / 0")
            if ending == "raise":
                raise KeyError(ending)
            if ending == "cancel":
                arrived.set()
                await session.script("SELECT pg_sleep(10)")


async def fill(dsn):
    async with PostgresStore.connect(dsn) as store:
        for tenant in TENANTS:
            events = [
                an_event(
                    n,
                    tenant_id=tenant,
                    event_id=uuid7_from_source(MONTHS[n % 3] + n, f"{n}"),
                    actor_id=f"u-{n % 3}",
                    severity=SEVERITIES[n % 4],
                )
                for n in range(12)
            ]
            await store.append(events)
            await store.seal(tenant)
            await store.append([events[0].model_copy(update={"payload": {"other": str(tenant)}})])


@pytest.fixture(scope="module", params=["pool", pytest.param("pgbouncer", marks=pytest.mark.debian)])
def place(request, postgres_service, tmp_path_factory):
    with (
        asyncio.Runner() as runner,
        migrated(postgres_service.dsn) as admin,
        user(admin, *ROLES) as writes,
        user(admin, "tenaudit_reader", "tenaudit_writer", "tenaudit_purger") as reads,
        ExitStack() as stack,
    ):
        runner.run(fill(writes))
        # A log of so few events has none of its own.
        kept = "INSERT INTO tenaudit.subtrees SELECT tenant_id, 8, 0, '' FROM tenaudit.logs"
        runner.run(execute(admin, kept))
        name = reads.partition("//")[2].partition(":")[0]
        runner.run(execute(admin, f"GRANT SELECT ON ALL TABLES IN SCHEMA tenaudit TO {name}"))
        grouped = [f"SELECT tenant_id, count(*) AS n FROM tenaudit.{table} GROUP BY 1" for table in TABLES]
        counted = runner.run(execute(admin, *grouped))
        counts = {
            table: {row["tenant_id"]: row["n"] for row in rows} for table, rows in zip(TABLES, counted, strict=True)
        }
        assert all(set(each) == set(TENANTS) for each in counts.values()), counts
        through = reads
        if request.param == "pgbouncer":
            through = stack.enter_context(behind_pgbouncer(reads, tmp_path_factory.mktemp("pgbouncer")))
        place = Place(runner, through, ANYTHING[0], counts)
        yield place
        runner.run(place.pool.close())


def test_no_query_sees_a_foreign_row(place):
    # An example has between four and five queries.
    @settings(max_examples=25_000 if IS_DEEP else 150, suppress_health_check=[HealthCheck.too_slow])
    @given(walked=steps)
    def every_walk(walked):
        place.runner.run(place.walk(walked))

    every_walk()
    assert place.asked >= (100_000 if IS_DEEP else 300)
    # Else the queries would prove nothing: many of them have to find rows of their own.
    assert place.seen > place.asked // 4


@pytest.mark.parametrize("said", ["x", "{}", f"{TENANTS[0]};{TENANTS[1]}", f"{TENANTS[0]},x", " "])
def test_a_setting_that_is_no_list_of_tenants_is_an_error(place, said):
    async def main():
        async with place.pool.transaction() as session:
            await session.query("SELECT set_config('tenaudit.tenants', $1, true)", said)
            return await session.query("SELECT * FROM tenaudit.events")

    with pytest.raises(StoreError):
        place.runner.run(main())


def test_a_writer_puts_no_row_under_a_tenant_that_its_transaction_is_not_about(place):
    mine, other = TENANTS[:2]
    insert = (
        "INSERT INTO tenaudit.events SELECT * FROM jsonb_populate_record(NULL::tenaudit.events, (SELECT to_jsonb(e) "
        "FROM tenaudit.events AS e LIMIT 1) || jsonb_build_object('tenant_id', $1::uuid, 'event_id', $2::uuid))"
    )

    async def main(tenant):
        async with place.pool.transaction([mine], end="ROLLBACK") as session:
            await session.query(insert, tenant, STRANGER)

    place.runner.run(main(mine))
    with pytest.raises(StoreError, match="denies it"):
        place.runner.run(main(other))
