"""Interleaved transactions and dying relays on a real PostgreSQL: what was committed arrives, in order per tenant."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from hypothesis import example, given, settings
from prometheus_client import CollectorRegistry

from tenaudit.backends.postgres.outbox import PostgresOutbox
from tenaudit.backends.postgres.outbox_relay import PostgresOutboxSource
from tests.unit.backends.outbox_parts import context_of, own_schema
from tests.unit.backends.outbox_story import EVERY_DEATH, Play, stories

pytestmark = pytest.mark.services

CONNECTIONS = 3


class PostgresPlay(Play):
    def __init__(self, stage):
        self.stage = stage
        self.transactions = {}
        super().__init__(stage.sources)

    async def emit(self, which, tenant):
        connection = self.stage.connections[which]
        if which not in self.transactions:
            self.transactions[which] = connection.transaction()
            await self.transactions[which].start()
        payload = {"n": self.ledger.emit(which, tenant)}
        await self.stage.outbox.emit(connection, "order.created", payload=payload, context=context_of(tenant))

    async def end(self, which, *, committed):
        transaction = self.transactions.pop(which, None)
        if transaction is not None:
            await (transaction.commit() if committed else transaction.rollback())
            self.ledger.end(which, committed=committed)

    async def commit_all(self):
        for which in list(self.transactions):
            await self.commit(which)

    async def expire(self):
        await self.stage.pool.execute("UPDATE tenaudit_outbox_shards SET claimed_until = clock_timestamp()")


class Stage:
    """The connections, kept over all stories."""

    async def open(self, dsn):
        self.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=4)
        self.connections = [await asyncpg.connect(dsn, command_timeout=20) for _ in range(CONNECTIONS)]
        self.sources = [PostgresOutboxSource(self.pool) for _ in range(2)]
        self.outbox = PostgresOutbox("orders", registry=CollectorRegistry())

    async def close(self):
        for connection in self.connections:
            await connection.close(timeout=20)
        await self.pool.close()

    async def play(self, story):
        await self.pool.execute("TRUNCATE tenaudit_outbox, tenaudit_outbox_dead")
        play = PostgresPlay(self)
        try:
            await play.perform(story)
        finally:
            await play.commit_all()
        assert await self.pool.fetchval("SELECT count(*) FROM tenaudit_outbox") == 0
        assert await self.pool.fetchval("SELECT count(*) FROM tenaudit_outbox_dead") == 0


@pytest.fixture(scope="module")
def stage(postgres_service):
    with own_schema(postgres_service) as dsn, asyncio.Runner() as runner:
        stage = Stage()
        runner.run(stage.open(dsn))
        try:
            yield lambda story: runner.run(asyncio.wait_for(stage.play(story), 60))
        finally:
            runner.run(stage.close())


def test_a_relay_may_die_or_be_overtaken_at_every_await(stage):
    for story in EVERY_DEATH:
        stage(story)


LATE = [("emit", 0, 1), ("emit", 1, 1), ("commit", 1)]


@given(story=stories(CONNECTIONS))
@settings(max_examples=60)
@example(story=[*LATE, ("relay", 0, 9, "none"), ("commit", 0)])
@example(story=[*LATE, ("relay", 0, 1, "commits")])
@example(story=[*LATE, ("relay", 0, 2, "commits")])
@example(story=[*LATE, ("emit", 2, 1), ("commit", 2), ("relay", 0, 2, "overtaken"), ("rollback", 0)])
@example(story=[*LATE, ("forgets",), ("relay", 0, 9, "none"), ("relay", 1, 2, "die_after"), ("commit", 0)])
def test_what_is_committed_arrives_and_nothing_else_whatever_happens_to_the_relays(stage, story):
    stage(story)
