"""Row 17: a hundred callers and two connections: who gets none is told so within the deadline, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tenaudit.audit import AuditQuery, StoreError
from tenaudit.backends.postgres import PostgresStore
from tests.faults.ingest_line import GRACE, TENANTS, ingest_line
from tests.faults.tier import SEED, rounds
from tests.unit.backends.postgres_databases import WITHIN

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(600)]

TASKS = 100
DEADLINE = 0.7
ROUNDS = rounds(2, 20)
_CONNECTIONS = """
    SELECT count(*) AS open FROM pg_stat_activity WHERE application_name = 'tenaudit' AND datname = current_database()
"""


@asynccontextmanager
async def held_logs(line, tenants):
    """Hold the heads of some tenants' logs, as a sequencer that hangs does."""
    connection = await asyncpg.connect(line.admin, timeout=WITHIN, command_timeout=WITHIN)
    await connection.execute("BEGIN")
    await connection.fetch("SELECT 1 FROM tenaudit.logs WHERE tenant_id = ANY($1) FOR UPDATE", tenants)
    try:
        yield
    finally:
        await connection.execute("ROLLBACK")
        await connection.close(timeout=WITHIN)


async def none_is_open(line):
    async with asyncio.timeout(5):
        while (await line.query(_CONNECTIONS))[0]["open"]:
            pass


def test_a_hundred_callers_of_two_connections_are_answered_in_time(kafka_service, postgres_service):
    async def main(line):
        chance = random.Random(SEED)
        async with PostgresStore.connect(line.dsn, max_connections=2, deadline=DEADLINE) as store:
            await store.append(first := line.events(5))
            line.acknowledged(first)
            for _ in range(ROUNDS):
                events = line.events(TASKS)
                async with held_logs(line, chance.sample(TENANTS, 3)):
                    calls = [line.told([event], store.append([event])) for event in events]
                    calls += [line.told([], store.search(AuditQuery(chance.choice(TENANTS)))) for _ in range(20)]
                    chance.shuffle(calls)
                    ends = await asyncio.gather(*calls)
                    assert max(seconds for seconds, _ in ends) < DEADLINE + GRACE
                    assert {type(error) for _, error in ends} <= {StoreError, type(None)}
                    assert any(error for _, error in ends)
                    assert (await line.query(_CONNECTIONS))[0]["open"] <= 2
                # Appended again, each is stored now or was already.
                async with asyncio.timeout(20):
                    while events:
                        ends = await asyncio.gather(*(line.told([event], store.append([event])) for event in events))
                        events = [event for event, (_, error) in zip(events, ends, strict=True) if error]
        assert not (await line.judge()).unknown
        await none_is_open(line)

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 100 + 10 * ROUNDS)
