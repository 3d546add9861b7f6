"""Row 10: a consumer stopped for longer than its session: its partitions go on without it, it does no harm after."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from tenaudit.backends.postgres import PostgresStore
from tenaudit.testing.proxy import TcpFaultProxy
from tests.faults.ingest_line import ingest_line
from tests.faults.tier import SEED, rounds
from tests.unit.backends.postgres_databases import at

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(1200)]

PAUSE = rounds(0, 60)


@asynccontextmanager
async def slow_database(line):
    parts = urlsplit(line.dsn)
    async with TcpFaultProxy(parts.hostname, parts.port) as proxy:
        proxy.delay(0.03)
        yield at(line.dsn, port=proxy.port, user=parts.username, password=parts.password)


async def is_stopped(process):
    state = await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return state.si_code == os.CLD_STOPPED


async def stopped_in_its_transaction(line, topic, dsn):
    """A zombie that holds the heads of its tenants' logs."""
    victim = await topic.struck("SIGSTOP", "nowhere", nth=1, dsn=dsn)
    async with asyncio.timeout(30):
        while True:
            while not await line.idle_with_locked_logs():
                assert victim.returncode is None
            victim.send_signal(signal.SIGSTOP)
            # Between the two it may have gone on by a statement, the last one perhaps.
            if await line.idle_with_locked_logs():
                return victim
            victim.send_signal(signal.SIGCONT)


async def outlived(line, topic, victim):
    """Another member takes over while the zombie stands still; then it is let go, and both go on."""
    try:
        assert await is_stopped(victim)
        async with PostgresStore.connect(line.dsn) as store:
            member = topic.join(store)
            await topic.flows()
            if PAUSE:
                await asyncio.sleep(PAUSE)
            victim.send_signal(signal.SIGCONT)
            word = await asyncio.wait_for(victim.stdout.readline(), 30)
            await topic.flows()
            assert await member.leave()
            # Alone again, or with what is left of the zombie, the group goes on.
            await topic.flows()
        return word
    finally:
        if victim.returncode is None:
            victim.kill()
        await victim.communicate()


async def between_rows_and_offsets(line, chance):
    topic = await line.topic(partitions=2)
    await topic.write(line.events(100))
    victim = await topic.struck("SIGSTOP", "after_commit", nth=chance.randint(1, 2))
    # The group may have done without it, or not yet noticed; what it commits is stored in either case.
    assert await outlived(line, topic, victim) in (b"refused\n", b"kept\n")


async def in_its_transaction(line):
    topic = await line.topic()
    await topic.write(line.events(100))
    async with slow_database(line) as dsn:
        await outlived(line, topic, await stopped_in_its_transaction(line, topic, dsn))


def test_a_consumer_that_stood_still_holds_nobody_up_and_comes_back_harmless(kafka_service, postgres_service):
    async def main(line):
        try:
            await asyncio.gather(between_rows_and_offsets(line, random.Random(SEED)), in_its_transaction(other))
        finally:
            await other.close()
        assert not (await line.judge()).unknown
        assert not (await other.judge()).unknown

    # Two databases: nobody else's transaction is to be taken for the zombie's.
    with (
        ingest_line(kafka_service, postgres_service) as line,
        ingest_line(kafka_service, postgres_service) as other,
    ):
        line.run(main, 100 + PAUSE)
