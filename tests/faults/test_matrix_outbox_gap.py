"""Row 13: a transaction takes its numbers, waits and is overtaken: what is committed arrives, in order for each key."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit.consumer import decode_event
from tenaudit.audit.outbox import OutboxRelay
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.postgres.outbox import PostgresOutbox
from tenaudit.backends.postgres.outbox_relay import PostgresOutboxSource
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource
from tests.faults.ingest_line import ingest_line
from tests.faults.tier import rounds
from tests.unit.backends.kafka_parts import records_on
from tests.unit.backends.outbox_parts import connected, context_of, own_schema

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(1200)]

ROUNDS = rounds(3, 100)


def made(line, tenant, count):
    """Events as an outbox makes them: without a number of their own, since a rollback would leave a gap."""
    context = context_of(tenant)
    return context, line.events(count, tenant_id=context.tenant_id, seq=None, producer_id=None)


def fields_of(event):
    return {name: getattr(event, name) for name in ("resource_type", "resource_id", "payload", "event_id")}


class Story:
    """Events in an outbox by transaction, and what the topic must have in the end."""

    def __init__(self, line, topic, source):
        self.line, self.topic, self.source = line, topic, source
        self.expected = {}

    def emitted(self, event):
        self.expected.setdefault(event.tenant_id.int, []).append(event.payload["number"])

    async def relayed(self):
        """Relay what is committed by now."""
        sink = self.topic.sink()
        await OutboxRelay(self.source, sink, batch_size=2, registry=CollectorRegistry()).drain()

    async def ends_well(self):
        await self.relayed()
        await self.source.close()
        arrived = [decode_event(record.value) for record in await records_on(self.line.kafka, self.topic.name)]
        order = {
            tenant: [event.payload["number"] for event in arrived if event.tenant_id.int == tenant]
            for tenant in self.expected
        }
        assert order == self.expected
        async with PostgresStore.connect(self.line.dsn) as store:
            member = self.topic.join(store)
            await self.topic.flows()
            assert await member.leave()
        verdict = await self.line.judge()
        assert not verdict.unknown
        assert not verdict.recovered


@asynccontextmanager
async def transaction(connection):
    await connection.execute("BEGIN")
    yield connection
    await connection.execute("COMMIT")


def test_a_transaction_that_is_overtaken_in_postgres_arrives_all_the_same(kafka_service, postgres_service):
    outbox = PostgresOutbox("orders", registry=CollectorRegistry())

    async def emit(connection, context, events):
        for event in events:
            await outbox.emit(connection, event.action, context=context, **fields_of(event))

    async def main(line):
        story = Story(line, await line.topic(partitions=2), PostgresOutboxSource(dsn))
        async with connected(dsn) as slow, connected(dsn) as quick:
            for _ in range(ROUNDS):
                # The slow one takes the lower numbers, for the tenant of the quick one and for another.
                await slow.execute("BEGIN")
                context, first = made(line, 1, 2)
                other, apart = made(line, 2, 2)
                await emit(slow, context, first)
                await emit(slow, other, apart)
                async with transaction(quick):
                    _, second = made(line, 1, 3)
                    await emit(quick, context, second)
                for event in second:
                    story.emitted(event)
                line.acknowledged(second)
                await story.relayed()
                await slow.execute("COMMIT")
                for event in (*first, *apart):
                    story.emitted(event)
                line.acknowledged([*first, *apart])
                await story.relayed()
                # One that is rolled back leaves a gap, behind which the next one must not wait.
                await slow.execute("BEGIN")
                _, never = made(line, 1, 1)
                await emit(slow, context, never)
                await slow.execute("ROLLBACK")
                line.ledger.note(never[0].event_id, "fail")
        await story.ends_well()

    with own_schema(postgres_service) as dsn, ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 60 + ROUNDS)


def test_a_transaction_that_waits_in_sqlite_is_not_overtaken_and_arrives(kafka_service, postgres_service, tmp_path):
    outbox = SqliteOutbox("orders", registry=CollectorRegistry())
    path = tmp_path / "app.db"

    def emit(connection, context, events):
        for event in events:
            outbox.emit_nowait(connection, event.action, context=context, **fields_of(event))

    async def main(line):
        story = Story(line, await line.topic(partitions=2), SqliteOutboxSource(path))
        with (
            closing(sqlite3.connect(path, isolation_level=None)) as slow,
            closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as quick,
        ):
            slow.execute("PRAGMA journal_mode = WAL")
            create_outbox(slow)
            for _ in range(ROUNDS):
                slow.execute("BEGIN")
                context, first = made(line, 1, 2)
                emit(slow, context, first)
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    quick.execute("BEGIN IMMEDIATE")
                # The relay waits for its turn meanwhile.
                relaying = asyncio.ensure_future(story.relayed())
                await asyncio.wait({relaying}, timeout=0.1)
                slow.execute("COMMIT")
                quick.execute("BEGIN")
                _, second = made(line, 1, 3)
                await relaying
                emit(quick, context, second)
                quick.execute("COMMIT")
                for event in (*first, *second):
                    story.emitted(event)
                line.acknowledged([*first, *second])
                slow.execute("BEGIN")
                _, never = made(line, 1, 1)
                emit(slow, context, never)
                slow.execute("ROLLBACK")
                line.ledger.note(never[0].event_id, "fail")
        await story.ends_well()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 60 + ROUNDS)
