"""Row 9: partition, half-open, slow, sliced, corrupt, before Kafka and PostgreSQL: no wait beyond its deadline."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from tenaudit.audit import SinkUnavailable, StoreError
from tenaudit.backends.postgres import PostgresStore
from tenaudit.testing.proxy import TcpFaultProxy
from tests.faults.ingest_line import GRACE, SESSION, TENANTS, ingest_line
from tests.faults.tier import SEED, rounds
from tests.unit.backends.kafka_parts import detour, eventually
from tests.unit.backends.postgres_databases import at

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(1200)]

DEADLINE = 1.0
QUICK = {"rebalance_timeout": 4.0, "silence_timeout": 4.5, "session_timeout": SESSION, "commit_timeout": 1.0}
FAULTS = {
    "partition": lambda proxy: (proxy.refuse(), proxy.cut()),
    "half-open": lambda proxy: proxy.half_open(),
    "answers swallowed": lambda proxy: proxy.half_open(direction="downstream"),
    "requests swallowed": lambda proxy: proxy.half_open(direction="upstream"),
    "accepts and leads nowhere": lambda proxy: (proxy.accept_nowhere(), proxy.cut()),
    "slow": lambda proxy: proxy.delay(0.03, jitter=0.05),
    "sliced": lambda proxy: proxy.slice(11),
    "cut in the middle": lambda proxy: proxy.cut(after=1000),
}
ROUNDS = rounds(1, 6)


def touched(proxy):
    return sum(proxy.stats().faults.values())


def in_any_order(chance):
    return [fault for _ in range(ROUNDS) for fault in chance.sample(list(FAULTS.values()), len(FAULTS))]


@asynccontextmanager
async def before_postgres(line):
    parts = urlsplit(line.dsn)
    async with TcpFaultProxy(parts.hostname, parts.port) as proxy:
        yield proxy, at(line.dsn, port=proxy.port, user=parts.username, password=parts.password)


def test_whatever_happens_before_kafka_ends_in_time_and_passes(kafka_service, postgres_service):
    async def main(line):
        topic = await line.topic(partitions=2)
        async with detour(kafka_service) as proxy, PostgresStore.connect(line.dsn) as store:
            sink = topic.sink(delivery_timeout=DEADLINE)
            member = topic.join(store, **QUICK)
            await topic.flows(sink)
            for break_it in in_any_order(random.Random(SEED)):
                before = touched(proxy)
                break_it(proxy)
                for _ in range(2):
                    events = line.events(20)
                    seconds, error = await line.told(events, sink.write(events))
                    assert seconds < DEADLINE + GRACE
                    assert error is None or isinstance(error, SinkUnavailable)
                assert touched(proxy) > before
                proxy.heal()
                await topic.flows(sink)
            assert await member.leave()
        await line.judge()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 100 * ROUNDS)


def test_whatever_happens_before_postgres_ends_in_time_and_passes(kafka_service, postgres_service):
    async def main(line):
        topic = await line.topic(partitions=2)
        async with before_postgres(line) as (proxy, dsn), PostgresStore.connect(dsn, deadline=DEADLINE) as store:
            sink = topic.sink()
            member = topic.join(store)
            await topic.flows(sink)
            for break_it in in_any_order(random.Random(SEED)):
                before = touched(proxy)
                break_it(proxy)
                await topic.write(line.events(50), sink)
                events = line.events(20)
                seconds, error = await line.told(events, store.append(events))
                assert seconds < DEADLINE + GRACE
                assert error is None or isinstance(error, StoreError)
                assert touched(proxy) > before
                proxy.heal()
                await topic.flows(sink)
            assert await member.leave()
        await line.judge()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 100 * ROUNDS)


def test_a_client_that_the_network_hides_in_its_transaction_holds_its_tenant_up_no_longer_than_its_deadline(
    kafka_service, postgres_service
):
    async def main(line):
        async with (
            before_postgres(line) as (proxy, dsn),
            PostgresStore.connect(dsn, deadline=2 * DEADLINE) as hidden,
            PostgresStore.connect(line.dsn, deadline=4 * DEADLINE) as store,
        ):
            await hidden.append(line.events(5))
            proxy.delay(0.03)
            waits = asyncio.ensure_future(hidden.append(line.events(5)))
            async with asyncio.timeout(20):
                while not await line.idle_with_locked_logs():
                    assert not waits.done()
            proxy.half_open()
            with pytest.raises(StoreError):
                await waits
            # Its end did not get through, so PostgreSQL has to find out by itself.
            events = line.events(5)
            seconds, error = await line.told(events, store.append(events))
            assert (seconds < 2 * DEADLINE + GRACE, error) == (True, None)
        await line.judge()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main)


def test_corrupt_requests_of_the_sink_never_become_other_events(kafka_service, postgres_service):
    async def main(line):
        topic = await line.topic(partitions=2)
        async with detour(kafka_service) as proxy:
            sink = topic.sink(delivery_timeout=DEADLINE, compression=None)
            await topic.write(line.events(20), sink)
            # The checksum of a batch covers its records. Dense enough, and the words around it are hit as well.
            for every in (4001, 701):
                proxy.corrupt(every=every, seed=SEED, direction="upstream")
                for _ in range(2):
                    events = line.events(60)
                    seconds, error = await line.told(events, sink.write(events))
                    assert seconds < DEADLINE + GRACE
                    assert isinstance(error, SinkUnavailable)
                proxy.heal()
                await topic.arrives(sink)
        async with PostgresStore.connect(line.dsn) as store:
            member = topic.join(store)
            await topic.flows()
            assert await member.leave()
        assert not topic.dead_letters.kept
        await line.judge()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main)


def test_corrupt_answers_to_the_consumer_never_become_other_rows(kafka_service, postgres_service):
    async def main(line):
        topic = await line.topic()
        await topic.write(line.events(200))
        async with detour(kafka_service) as proxy, PostgresStore.connect(line.dsn) as store:
            # Every batch is hit: its checksum covers the records, and nothing covers the words around them.
            proxy.corrupt(every=1009, seed=SEED, direction="downstream")
            member = topic.join(store, **QUICK)
            await eventually(lambda: member.failures("source") > 2)
            assert not await line.rows()
            proxy.heal()
            await topic.flows()
            assert await member.leave()
        assert not topic.dead_letters.kept
        await line.judge()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main)


@pytest.mark.parametrize("direction", ["upstream", "downstream"])
def test_corrupt_words_with_postgres_become_errors_and_no_rows(kafka_service, postgres_service, direction):
    async def main(line):
        async with before_postgres(line) as (proxy, dsn), PostgresStore.connect(dsn, deadline=DEADLINE) as store:
            events = line.events(20)
            assert (await line.told(events, store.append(events)))[1] is None
            # So dense that no transaction is spared: PostgreSQL's protocol has no checksum, and TLS is what has one.
            proxy.corrupt(every=23, seed=SEED, direction=direction)
            for _ in range(5):
                events = line.events(20)
                seconds, error = await line.told(events, store.append(events))
                assert seconds < DEADLINE + GRACE
                assert isinstance(error, StoreError)
            proxy.heal()
            events = line.events(20)
            for _ in range(3):
                if (await line.told(events, store.append(events)))[1] is None:
                    break
            assert {row["tenant_id"] for row in await line.rows()} == set(TENANTS)
        verdict = await line.judge()
        assert events[0].event_id in verdict.stored

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main)
