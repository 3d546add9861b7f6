"""From a sink through Kafka into a store: each event one row, through kills, rebalances and outages."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditQuery
from tenaudit.audit.consumer import Consumer, ConsumerOptions
from tenaudit.backends.kafka import KafkaSink, KafkaSource
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import an_event
from tests.unit.audit.consumer_parts import MemoryDeadLetters
from tests.unit.backends.kafka_parts import committed, detour, ends_of, eventually, new_topic, run, send_raw

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

TENANTS = [uuid.UUID(int=n) for n in range(1, 6)]
SESSION = 6.0  # the least that a broker takes

STRUCK_AT_COMMIT = """
import asyncio, os, signal, sys
from prometheus_client import CollectorRegistry
from tenaudit.audit.consumer import Consumer
from tenaudit.backends.kafka import KafkaSource
from tenaudit.backends.sqlite import SqliteStore
from tests.unit.audit.consumer_parts import MemoryDeadLetters

blow, servers, topic, path = sys.argv[1:]

class Struck(KafkaSource):
    struck = False

    async def commit(self, epoch, offsets):
        if not self.struck:
            self.struck = True
            os.kill(os.getpid(), getattr(signal, blow))
            kept = await super().commit(epoch, offsets)
            print("kept" if kept else "refused", flush=True)
            return kept
        return await super().commit(epoch, offsets)

async def main():
    source = Struck(servers, topic, group=topic, session_timeout=6.0)
    await Consumer(source, SqliteStore.open(path), MemoryDeadLetters(), registry=CollectorRegistry()).run()

asyncio.run(asyncio.wait_for(main(), 60))
"""


def events_of(numbers):
    return [an_event(n, tenant_id=TENANTS[n % 5]) for n in numbers]


class Group:
    """Consumers of one group into one store, and what became of the records."""

    def __init__(self, service, topic, store):
        self.service, self.topic, self.store = service, topic, store
        self.dead_letters = MemoryDeadLetters()
        self.members = []

    def join(self, **options):
        registry = CollectorRegistry()
        source = KafkaSource(
            self.service.bootstrap_servers, self.topic, group=self.topic, session_timeout=SESSION, **options
        )
        consumer = Consumer(
            source,
            self.store,
            self.dead_letters,
            options=ConsumerOptions(batch_size=50, poll=0.2, longest_pause=0.2),
            registry=registry,
        )
        member = (consumer, source, registry, asyncio.ensure_future(consumer.run()))
        self.members.append(member)
        return member

    async def leave(self, member):
        consumer, source, _, running = member
        assert await consumer.stop()
        await running
        await source.close()

    async def until_stored(self, count):
        async with asyncio.timeout(45):
            while len(await self.rows()) < count:
                for *_, running in self.members:
                    assert not running.done() or running.result() is None
                await asyncio.sleep(0.05)

    async def rows(self):
        found = []
        for tenant in TENANTS:
            page = await self.store.search(AuditQuery(tenant, order="asc", limit=500))
            found += page.events
            while page.next_cursor:
                page = await self.store.search(AuditQuery(tenant, order="asc", limit=500).at(page.next_cursor))
                found += page.events
        return found

    def ingested(self, outcome, member=None):
        return sum(
            registry.get_sample_value("audit_events_ingested_total", {"outcome": outcome}) or 0
            for _, _, registry, _ in ([member] if member else self.members)
        )


async def written(service, topic, numbers):
    sink = KafkaSink(service.bootstrap_servers, topic, registry=CollectorRegistry(), delivery_timeout=20)
    await sink.write(events_of(numbers))
    await sink.close()


def numbers_of(rows):
    return sorted(event.seq for event in rows)


def test_what_the_sink_took_is_in_the_store_once_and_verified(kafka_service, tmp_path):
    async def main():
        topic = await new_topic(kafka_service, partitions=3)
        await written(kafka_service, topic, range(200))
        await send_raw(kafka_service, topic, b"\xff no event")
        await written(kafka_service, topic, range(150, 300))
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            group = Group(kafka_service, topic, store)
            member = group.join()
            await group.until_stored(300)
            await eventually(lambda: group.ingested("duplicate") == 50 and group.dead_letters.kept)
            _, source, registry, _ = member
            assert source.lag() == 0
            assert registry.get_sample_value("audit_consumer_lag_records") == 0
            await group.leave(member)
            assert (await store.verify()).verified
            assert numbers_of(await group.rows()) == list(range(300))
            assert [(record.value, reason) for record, reason in group.dead_letters.kept.values()] == [
                (b"\xff no event", "not_json")
            ]
        assert await committed(kafka_service, topic, topic) == await ends_of(kafka_service, topic)

    run(main())


def test_a_consumer_killed_between_rows_and_offsets_loses_and_doubles_nothing(kafka_service, tmp_path):
    path = tmp_path / "audit.db"

    async def prepare():
        topic = await new_topic(kafka_service)
        await written(kafka_service, topic, range(120))
        async with SqliteStore.open(path):
            return topic

    topic = run(prepare())
    servers = kafka_service.bootstrap_servers
    words = [sys.executable, "-c", STRUCK_AT_COMMIT, "SIGKILL", servers, topic, path]
    done = subprocess.run(words, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL

    async def main():
        async with SqliteStore.open(path) as store:
            group = Group(kafka_service, topic, store)
            before = len(await group.rows())
            assert before > 0
            member = group.join()
            await group.until_stored(120)
            await eventually(lambda: group.ingested("stored") + group.ingested("duplicate") == 120)
            await group.leave(member)
            assert group.ingested("duplicate") == before
            assert numbers_of(await group.rows()) == list(range(120))
            assert (await store.verify()).verified

    run(main())


def test_a_consumer_stopped_between_rows_and_offsets_comes_back_as_no_zombie(kafka_service, tmp_path):
    path = tmp_path / "audit.db"

    async def main():
        topic = await new_topic(kafka_service)
        await written(kafka_service, topic, range(120))
        async with SqliteStore.open(path) as store:
            group = Group(kafka_service, topic, store)
            words = [sys.executable, "-c", STRUCK_AT_COMMIT, "SIGSTOP", kafka_service.bootstrap_servers, topic, path]
            # Starting it takes a moment in which nothing else has to run.
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as zombie:  # noqa: ASYNC220 - see above
                try:
                    state = await asyncio.to_thread(
                        os.waitid, os.P_PID, zombie.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT
                    )
                    assert state.si_code == os.CLD_STOPPED
                    member = group.join()
                    await eventually(lambda: group.ingested("stored") + group.ingested("duplicate") == 120)
                    zombie.send_signal(signal.SIGCONT)
                    assert await asyncio.to_thread(zombie.stdout.readline) == "refused\n"
                    # Two members again, and whichever has the partition goes on.
                    await written(kafka_service, topic, range(120, 170))
                    await group.until_stored(170)
                finally:
                    zombie.kill()
            await group.leave(member)
            assert numbers_of(await group.rows()) == list(range(170))
            assert (await store.verify()).verified

    run(main())


def test_members_that_come_and_go_share_the_work_and_lose_nothing(kafka_service, tmp_path):
    async def main():
        topic = await new_topic(kafka_service, partitions=4)
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            group = Group(kafka_service, topic, store)
            first = group.join()
            await written(kafka_service, topic, range(100))
            await group.until_stored(100)
            second = group.join()
            # Both have partitions once the group is balanced; writing goes on meanwhile.
            count = 100
            async with asyncio.timeout(45):
                while not group.ingested("stored", second):
                    await written(kafka_service, topic, range(count, count + 50))
                    count += 50
            await group.until_stored(count)
            await group.leave(first)
            third = group.join()
            await written(kafka_service, topic, range(count, count + 100))
            await group.until_stored(count + 100)
            await group.leave(second)
            await group.leave(third)
            assert numbers_of(await group.rows()) == list(range(count + 100))
            assert group.ingested("conflict") == group.ingested("dead_letter") == 0
            assert (await store.verify()).verified

    run(main())


def test_an_outage_of_the_broker_is_waited_out(kafka_service, tmp_path):
    async def main():
        topic = await new_topic(kafka_service)
        await written(kafka_service, topic, range(50))
        async with detour(kafka_service) as proxy, SqliteStore.open(tmp_path / "audit.db") as store:
            group = Group(kafka_service, topic, store)
            member = group.join()
            await group.until_stored(50)
            proxy.refuse()
            proxy.cut()
            await proxy.until(lambda stats: stats.live == 0)
            proxy.heal()
            await written(kafka_service, topic, range(50, 100))
            await group.until_stored(100)
            await group.leave(member)
            assert numbers_of(await group.rows()) == list(range(100))

    run(main())
