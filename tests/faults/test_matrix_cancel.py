"""Row 18: cancelled at the n-th step, for all n: the next caller gets its own answer, and nothing is left running."""

from __future__ import annotations

import asyncio
import random

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditQuery
from tenaudit.audit.consumer import Consumer, ConsumerOptions, decode_event
from tenaudit.backends.kafka import KafkaSource
from tenaudit.backends.postgres import PostgresStore
from tests.faults.ingest_line import SESSION, TENANTS, ingest_line
from tests.faults.tier import DEEP, SEED
from tests.unit.audit.consumer_parts import Log, MemoryDeadLetters, MemorySource, record_of
from tests.unit.backends.kafka_parts import alone, records_on

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(1200)]

# A call that waits for a server has hundreds of steps, and in many of them nothing happens; the deep tier takes each of
# the first. A slow server must not make a test endless.
EVERY_STEP = 500 if DEEP else 1
MOST_STEPS = 200_000
_CONNECTIONS = """
    SELECT count(*) AS open FROM pg_stat_activity WHERE application_name = 'tenaudit' AND datname = current_database()
"""


async def cancelled(call, steps):
    """Cancel a call after so many turns of the loop; return the task, and whether it had ended before."""
    task = asyncio.ensure_future(call)
    for _ in range(steps):
        if task.done():
            break
        # One turn of the loop, and not some time.
        await asyncio.sleep(0)
    in_time = task.done()
    task.cancel()
    _, stuck = await asyncio.wait({task}, timeout=5)
    assert not stuck
    return task, in_time


async def open_connections(line, most):
    """Wait until PostgreSQL has noticed what was ended: no more are left than the pool may have."""
    async with asyncio.timeout(5):
        while (await line.query(_CONNECTIONS))[0]["open"] > most:
            pass


def all_steps():
    """Numbers of steps, more and more apart; whoever reaches the end of its call stops."""
    steps = 1
    while steps < MOST_STEPS:
        yield steps
        steps += 1 if steps < EVERY_STEP else 1 + steps // 9
    pytest.fail(f"a call did not end within {MOST_STEPS} steps")


def test_a_write_that_is_cancelled_at_any_step_leaves_the_sink_to_the_next(kafka_service, postgres_service):
    async def main(line):
        topic = await line.topic(partitions=2)
        sink = topic.sink()
        await topic.write(line.events(10), sink)
        tried = 0
        for steps in all_steps():
            events = line.events(10)
            task, in_time = await cancelled(line.told(events, sink.write(events)), steps)
            assert task.cancelled() or task.result()[1] is None
            await topic.write(line.events(3), sink)
            tried += 1
            if in_time:
                break
        assert tried > 10
        await sink.close()
        # Whatever was acknowledged of a tenant is there in its order, with what was cancelled between or not at all.
        arrived = [decode_event(record.value) for record in await records_on(kafka_service, topic.name)]
        for tenant in TENANTS:
            numbers = [event.seq for event in arrived if event.tenant_id == tenant]
            assert numbers == sorted(set(numbers))
        async with PostgresStore.connect(line.dsn) as store:
            member = topic.join(store)
            await topic.flows()
            assert await member.leave()
        await line.judge()
        await topic.close()
        await alone()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 1000 if DEEP else 100)


@pytest.mark.parametrize("what", ["append", "search", "get", "tenants"])
def test_a_call_of_the_store_that_is_cancelled_at_any_step_answers_nobody_else(kafka_service, postgres_service, what):
    async def main(line):
        chance = random.Random(SEED)
        async with PostgresStore.connect(line.dsn, max_connections=1) as store:
            known = line.events(25)
            await store.append(known)
            line.acknowledged(known)

            def call():
                match what:
                    case "append":
                        events = line.events(5)
                        return line.told(events, store.append(events))
                    case "search":
                        return store.search(AuditQuery(TENANTS[0]))
                    case "get":
                        return store.get(TENANTS[0], known[0].event_id)
                    case _:
                        return store.tenants()

            tried = 0
            for steps in all_steps():
                _, in_time = await cancelled(call(), steps)
                # Over the one connection, or what took its place, comes the answer to this question and no other.
                other = chance.choice(known)
                assert await store.get(other.tenant_id, other.event_id) == other
                mine = chance.choice(TENANTS[1:])
                assert {event.tenant_id for event in (await store.search(AuditQuery(mine))).events} == {mine}
                events = line.events(1)
                assert await store.append([known[0], *events]) == (1, 1, 0, 0)
                line.acknowledged(events)
                tried += 1
                if in_time:
                    break
            assert tried > 10
            await open_connections(line, 1)
        await line.judge()
        await alone()
        await open_connections(line, 0)

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 1000 if DEEP else 100)


def test_a_turn_of_the_consumer_that_is_cancelled_at_any_step_commits_nothing_that_is_no_row(
    kafka_service, postgres_service
):
    async def main(line):
        records = [record_of(event, n) for n, event in enumerate(line.events(100))]
        stream = Log(records)
        (place,) = stream.partitions
        line.acknowledged(line.emitted.values())
        async with PostgresStore.connect(line.dsn, max_connections=2) as store:
            for steps in all_steps():
                source = MemorySource(stream)
                options = ConsumerOptions(batch_size=20, poll=0.1)
                consumer = Consumer(source, store, MemoryDeadLetters(), options=options, registry=CollectorRegistry())
                await cancelled(consumer.run(), steps)
                stored = {row["seq"] for row in await line.rows()}
                assert set(range(stream.committed[place])) <= stored
                if stream.done:
                    break
            assert stream.done
        await line.judge()
        await alone()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 1000 if DEEP else 100)


def test_a_fetch_that_is_cancelled_at_any_step_has_taken_nothing(kafka_service, postgres_service):
    async def main(line):
        topic = await line.topic()
        # Small batches, uncompressed and few at a time: the source has to ask for more and more.
        await topic.write(line.events(300), topic.sink(compression=None, batch_bytes=4000))
        options = {"group": topic.name, "session_timeout": SESSION, "fetch_bytes": 4000}
        source = KafkaSource(kafka_service.bootstrap_servers, topic.name, **options)
        found = [*(await source.fetch(5, 2**20, 10)).records]
        cut = 0
        while len(found) < 300:
            for steps in all_steps():
                task, in_time = await cancelled(source.fetch(7, 2**20, 0.1), steps)
                cut += task.cancelled()
                found += () if task.cancelled() else task.result().records
                if in_time:
                    break
        await source.close()
        await topic.close()
        assert cut > 10
        assert [record.offset for record in found] == list(range(300))
        await alone()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 1000 if DEEP else 100)
