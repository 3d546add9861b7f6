"""From sinks through topics and consumers into rows, under faults, and the ledger that judges what came out."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from contextlib import contextmanager

import asyncpg
from prometheus_client import CollectorRegistry

from tenaudit.audit import SinkUnavailable
from tenaudit.audit.consumer import Consumer, ConsumerOptions
from tenaudit.backends.kafka import KafkaSink, KafkaSource
from tenaudit.backends.postgres import PostgresStore
from tenaudit.testing.conformance import an_event
from tenaudit.testing.ledger import Ledger
from tests.unit.audit.consumer_parts import MemoryDeadLetters
from tests.unit.backends.kafka_parts import DetouringLoop, new_topic
from tests.unit.backends.postgres_databases import ROLES, WITHIN, migrated, user

TENANTS = [uuid.UUID(int=n) for n in range(1, 6)]
SESSION = 6.0  # the least that a broker takes
# Above the consumer's time to settle. A group may wait so long for a member that has joined and died.
REBALANCE = 8.0
# What two busy cores, and the ending of a producer, take on top of a deadline.
GRACE = 2.5

# Clients that hold the heads of logs and do nothing.
_IDLE_WITH_LOGS = """
    SELECT count(*) AS clients FROM pg_stat_activity AS a JOIN pg_locks AS l USING (pid)
    WHERE a.datname = current_database() AND a.state = 'idle in transaction' AND l.relation = 'tenaudit.logs'::regclass
      AND l.mode = 'RowShareLock' AND l.granted
"""
_IDS = "SELECT event_id FROM tenaudit.events"
_ROWS = "SELECT event_id, tenant_id, seq, resource_id, payload FROM tenaudit.events"


@contextmanager
def ingest_line(kafka, postgres):
    """Give out a line whose database is gone afterwards."""
    with migrated(postgres.dsn) as admin, user(admin, *ROLES) as dsn:
        yield IngestLine(kafka, admin, dsn)


class IngestLine:
    """One database, any number of topics that lead to it, and what a producer was told of each event."""

    def __init__(self, kafka, admin, dsn):
        self.kafka, self.admin, self.dsn = kafka, admin, dsn
        self.ledger = Ledger()
        self.emitted = {}
        self.topics = []

    def run(self, main, within=100):
        """Run `main(self)` on a loop that takes detours, and end whatever it has left running."""

        async def bounded():
            try:
                async with asyncio.timeout(within):
                    await main(self)
            finally:
                await self.close()

        with asyncio.Runner(loop_factory=DetouringLoop) as runner:
            runner.run(bounded())

    async def close(self):
        while self.topics:
            await self.topics.pop().close()

    def events(self, count, **fields):
        """Return the next events; the ledger knows them from now on."""
        start = len(self.emitted)
        made = [an_event(n, **{"tenant_id": TENANTS[n % 5]} | fields) for n in range(start, start + count)]
        for event in made:
            self.emitted[event.event_id] = event
            self.ledger.note(event.event_id, "info")
        return made

    def acknowledged(self, events):
        for event in events:
            self.ledger.note(event.event_id, "ok")

    async def told(self, events, writing):
        """Await a write or an append of *events* and note its answer; return how long it took and its error."""
        began = time.monotonic()
        try:
            await writing
        except Exception as error:  # noqa: BLE001 - handed to the test
            return time.monotonic() - began, error
        self.acknowledged(events)
        return time.monotonic() - began, None

    async def topic(self, partitions=1, **config):
        self.topics.append(Topic(self, await new_topic(self.kafka, partitions, **config)))
        return self.topics[-1]

    async def query(self, sql, *values):
        """Run SQL as the superuser, whom no policy of a row keeps from seeing it."""
        connection = await asyncpg.connect(self.admin, timeout=WITHIN, command_timeout=WITHIN)
        try:
            return await connection.fetch(sql, *values)
        finally:
            await connection.close(timeout=WITHIN)

    async def idle_with_locked_logs(self):
        return (await self.query(_IDLE_WITH_LOGS))[0]["clients"]

    async def rows(self):
        return await self.query(_ROWS)

    async def until_stored(self, events=None, within=45):
        """Wait until whatever was acknowledged, or what of *events* was, is a row."""
        of = {event.event_id for event in self.emitted.values() if events is None} | {
            one.event_id for one in events or ()
        }
        connection = await asyncpg.connect(self.admin, timeout=WITHIN, command_timeout=WITHIN)
        try:
            async with asyncio.timeout(within):
                # A table tells nobody of changes.
                while self.ledger.settle(row["event_id"] for row in await connection.fetch(_IDS)).lost & of:  # noqa: ASYNC110 - see above
                    await asyncio.sleep(0.02)
        finally:
            await connection.close(timeout=WITHIN)

    async def judge(self):
        """Everything acknowledged is a row, once, with the content that was emitted, and the log proves it."""
        rows = await self.rows()
        verdict = self.ledger.settle(row["event_id"] for row in rows)
        assert verdict.holds, verdict
        for row in rows:
            event = self.emitted[row["event_id"]]
            assert (row["tenant_id"], row["seq"], row["resource_id"], json.loads(row["payload"])) == (
                event.tenant_id,
                event.seq,
                event.resource_id,
                event.payload,
            )
        async with PostgresStore.connect(self.dsn, deadline=20) as store:
            report = await store.verify()
        assert (report.verified, report.events) == (True, len(rows)), report.problems[:3]
        return verdict


class Topic:
    """One topic of a line, what writes to it, and the consumers that read it."""

    def __init__(self, line, name):
        self.line, self.name = line, name
        self.dead_letters = MemoryDeadLetters()
        self.members = []
        self.sinks = []
        self.written = []

    def sink(self, **options):
        options = {"delivery_timeout": 20.0, "close_timeout": 1.0, "registry": CollectorRegistry()} | options
        self.sinks.append(KafkaSink(self.line.kafka.bootstrap_servers, self.name, **options))
        return self.sinks[-1]

    async def close(self):
        for sink in self.sinks:
            await sink.close()
        for member in self.members:
            await member.end()

    async def write(self, events, sink=None):
        """Have events acknowledged at the first try."""
        self.written += events
        _, error = await self.line.told(events, (sink or self.sink()).write(events))
        assert error is None, error

    def join(self, store, *, group=None, dead_letters=None, batch_size=50, **options):
        """Add a consumer in this process."""
        registry = CollectorRegistry()
        options = {"group": group or self.name, "session_timeout": SESSION, "rebalance_timeout": REBALANCE} | options
        source = KafkaSource(self.line.kafka.bootstrap_servers, self.name, **options)
        consumer = Consumer(
            source,
            store,
            dead_letters or self.dead_letters,
            options=ConsumerOptions(batch_size=batch_size, poll=0.1, longest_pause=0.2),
            registry=registry,
        )
        member = Member(consumer, source, registry, asyncio.ensure_future(consumer.run()))
        self.members.append(member)
        return member

    def ingested(self, outcome):
        return sum(member.ingested(outcome) for member in self.members)

    async def arrives(self, sink=None, within=30):
        """Prove that a fresh event is acknowledged, at some try."""
        events = self.line.events(5)
        self.written += events
        writer = sink or self.sink()
        async with asyncio.timeout(within):
            while (error := (await self.line.told(events, writer.write(events)))[1]) is not None:
                assert isinstance(error, SinkUnavailable)

    async def flows(self, sink=None, within=30):
        """Prove that a fresh event, as all that was written here before, becomes a row."""
        await self.arrives(sink, within)
        await self.line.until_stored(self.written, within)

    async def struck(self, blow, place, nth, steps=0, dsn=None):
        """Start a consumer in a process of its own that a signal will hit at the *nth* arrival at *place*."""
        words = [blow, place, str(nth), str(steps), self.line.kafka.bootstrap_servers, self.name, dsn or self.line.dsn]
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.struck_consumer", *words, stdout=asyncio.subprocess.PIPE
        )


class Member:
    """A consumer that runs in this process."""

    def __init__(self, consumer, source, registry, running):
        self.consumer, self.source, self.registry, self.running = consumer, source, registry, running

    def ingested(self, outcome):
        return self.registry.get_sample_value("audit_events_ingested_total", {"outcome": outcome}) or 0

    def failures(self, reason):
        return self.registry.get_sample_value("audit_ingest_failures_total", {"reason": reason}) or 0

    async def leave(self):
        """Stop in good order; whatever ended it before is raised."""
        ended = await self.consumer.stop()
        await self.running
        await self.source.close()
        return ended

    async def end(self):
        self.running.cancel()
        await asyncio.wait({self.running})
        await self.source.close()
