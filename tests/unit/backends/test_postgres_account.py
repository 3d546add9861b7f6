"""The account in a real PostgreSQL: a reader is enough, other partitions are spared, and one snapshot is all of it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit.closing import CLOSED, ClosingTotals
from tenaudit.audit.producer_rows import AccountWindow
from tenaudit.backends.postgres import PostgresStore
from tenaudit.cli import main
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, START, TENANT
from tests.unit.backends.postgres_databases import ROLES, WITHIN, database, migrated, run, user

pytestmark = pytest.mark.services
SQL = load_statements("tenaudit.backends.postgres", "sql/queries.sql")
START_MS = round(START.timestamp() * 1000)


@pytest.fixture(scope="module")
def admin(postgres_service):
    with migrated(postgres_service.dsn) as template, database(postgres_service.dsn, template=template) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def dsn(admin):
    with user(admin, *ROLES) as dsn:
        run(filled(dsn))
        yield dsn


async def filled(dsn):
    old = datetime(2020, 5, 15, tzinfo=UTC)
    totals = ClosingTotals(3, 3, 0, 0, 0, 0, START_MS).to_payload()
    ancient = an_event(0, event_id=uuid7_from_source(round(old.timestamp() * 1000), "old"), producer_id="old-1")
    closed = [
        an_event(number, action=CLOSED, payload=totals, producer_id=f"closed-{number}", seq=3, tenant_id=OTHER_TENANT)
        for number in range(1100)
    ]
    async with PostgresStore.connect(dsn) as store:
        await store.append([ancient, *(an_event(number) for number in range(3)), *closed])


def test_a_reader_sees_each_tenants_events_and_every_closing_record(admin, dsn):
    async def asked(reader):
        async with PostgresStore.connect(reader) as store:
            return await store.account(AccountWindow(), held={}, seconds=30.0)

    with user(admin, "tenaudit_reader") as reader:
        rows = {row.producer_id: row for row in run(asked(reader)).rows}
    assert len(rows) == 1102
    assert (rows["orders-1"].stored, rows["old-1"].stored) == (3, 1)
    assert all(rows[f"closed-{number}"].closing.emitted == 3 for number in range(1100))


def test_a_window_spares_the_other_partitions(dsn):
    window = AccountWindow(START_MS)

    async def plans():
        connection = await asyncpg.connect(dsn, timeout=WITHIN, command_timeout=WITHIN)
        try:
            async with connection.transaction():
                await connection.fetch(SQL["name_tenant"], str(TENANT))
                last = UUID(int=((START_MS + 60_000) << 80) - 1)
                part = await connection.fetch(f"EXPLAIN {SQL['count_producers']}", TENANT, window.first, last, 2000)
                closings = await connection.fetch(
                    f"EXPLAIN {SQL['closing_records']}", TENANT, CLOSED, window.first, last, 1000
                )
        finally:
            await connection.close(timeout=WITHIN)
        return ["\n".join(row[0] for row in plan) for plan in (part, closings)]

    for plan in run(plans()):
        assert "events_2026_11" in plan
        assert "events_2020_05" not in plan


def test_an_account_that_is_cancelled_leaves_a_store_that_answers(dsn):
    async def cancelled():
        async with PostgresStore.connect(dsn, max_connections=1) as store:
            await store.account(AccountWindow(START_MS), held={}, seconds=30.0)
            asking = asyncio.ensure_future(store.account(AccountWindow(), held={}, seconds=30.0))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            assert asking.cancelled()
            assert await store.count(TENANT) == 4

    run(cancelled())


def test_the_command_accounts_for_a_store_in_postgresql(dsn, capsys, monkeypatch):
    monkeypatch.setenv("TENAUDIT_STORE", dsn)
    monkeypatch.delenv("TENAUDIT_DEAD_LETTERS", raising=False)
    assert main(["audit", "account", "--json", "--since", "2026-11-01"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["totals"]["closed"] == 1100
    assert told["totals"]["missing"] == 3300
    by_name = {row["producer_id"]: row for row in told["producers"]}
    assert (by_name["orders-1"]["stored"], by_name["orders-1"]["missing"]) == (3, 0)
    assert "old-1" not in by_name
