"""Row 2: `kill -9` of a consumer around COMMIT and the commit of its offsets: no row lost, none twice."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from tenaudit.backends.postgres import PostgresStore
from tests.faults.ingest_line import ingest_line
from tests.faults.struck_consumer import PLACES
from tests.faults.tier import SEED, rounds

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(1200)]

KILLS = rounds(6, 60) // len(PLACES)


async def killed_at(line, place, chance):
    """Kill one consumer after the other at a place, each with records in hand; a last one finds the rest."""
    topic = await line.topic(partitions=2)
    for _ in range(KILLS):
        await topic.write(line.events(80))
        victim = await topic.struck("SIGKILL", place, nth=chance.randint(1, 3), steps=chance.randint(0, 12))
        await victim.communicate()
        assert victim.returncode == -signal.SIGKILL
    async with PostgresStore.connect(line.dsn) as store:
        member = topic.join(store)
        await topic.flows()
        assert await member.leave()
        assert not topic.dead_letters.kept
        return topic.ingested("duplicate")


def test_a_consumer_killed_at_any_side_of_its_commits_loses_and_doubles_nothing(kafka_service, postgres_service):
    async def main(line):
        chance = random.Random(SEED)
        twice = await asyncio.gather(*(killed_at(line, place, chance) for place in PLACES))
        verdict = await line.judge()
        assert len(verdict.stored) == len(line.emitted)
        # What was committed in PostgreSQL alone came again, or nothing was struck in that gap.
        assert twice[PLACES.index("after_commit")] > 0

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 60 + 30 * KILLS)
