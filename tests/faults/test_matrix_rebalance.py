"""Row 11: members come, go and die while batches are on their way: two, then three, then one, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from tenaudit.backends.postgres import PostgresStore
from tests.faults.ingest_line import ingest_line
from tests.faults.tier import SEED, rounds
from tests.unit.backends.kafka_parts import eventually

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(1200)]

ROUNDS = rounds(1, 8)
MOST_BEHIND = 2_000


async def writing(line, topic, chance):
    """Write batch after batch, until cancelled: each rebalance finds one in somebody's hands."""
    sink = topic.sink()
    while True:
        # Not as fast as it can: that would leave the members behind by more than they read in the end's half minute.
        await eventually(lambda: len(line.emitted) - topic.ingested("stored") < MOST_BEHIND)
        await topic.write(line.events(chance.randint(20, 60)), sink)


async def works(member):
    """Wait until a member has stored something, which is when it has partitions of the new balance."""
    before = member.ingested("stored")
    await eventually(lambda: member.ingested("stored") > before)


def test_two_members_then_three_then_one_store_each_event_once(kafka_service, postgres_service):
    async def main(line):
        chance = random.Random(SEED)
        topic = await line.topic(partitions=6)
        async with PostgresStore.connect(line.dsn) as store:
            writer = asyncio.ensure_future(writing(line, topic, chance))
            members = [topic.join(store, batch_size=20), topic.join(store, batch_size=20)]
            for _ in range(ROUNDS):
                for member in members:
                    await works(member)
                members.append(topic.join(store, batch_size=20))
                await works(members[-1])
                for member in chance.sample(members, 2):
                    members.remove(member)
                    assert await member.leave()
                await works(members[0])
                members.append(topic.join(store, batch_size=20))
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            await topic.flows()
            for member in members:
                assert await member.leave()
        assert topic.ingested("conflict") == topic.ingested("dead_letter") == 0
        verdict = await line.judge()
        assert len(verdict.stored) > 200 * ROUNDS
        # Only the write that was cancelled may be one of which nobody knows.
        assert len(verdict.unknown) <= 60

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 60 + 60 * ROUNDS)
