"""Row 12: everything comes again, twice to five times: the rows stay as they are, and a contradiction is kept."""

from __future__ import annotations

import json
import random

import pytest

from tenaudit.audit.consumer import encode_event, event_headers
from tenaudit.backends.postgres import PostgresStore
from tests.faults.ingest_line import ingest_line
from tests.faults.tier import SEED, rounds
from tests.unit.backends.kafka_parts import eventually, send_raw

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(1200)]

COUNT = rounds(600, 6_000)
_EVERYTHING = "SELECT * FROM tenaudit.events ORDER BY tenant_id, log_index"


async def read_again(topic, store, group, batch_size, count):
    """Take everything that is on the topic, which is all in the store already."""
    member = topic.join(store, group=group, batch_size=batch_size)
    await eventually(lambda: member.ingested("duplicate") == count)
    assert await member.leave()
    assert member.ingested("stored") == member.ingested("conflict") == 0


def test_a_topic_that_is_read_again_and_again_changes_no_row(kafka_service, postgres_service):
    async def main(line):
        chance = random.Random(SEED)
        topic = await line.topic(partitions=3)
        events = line.events(COUNT)
        await topic.write(events)
        async with PostgresStore.connect(line.dsn) as store:
            member = topic.join(store, batch_size=500)
            await line.until_stored()
            assert await member.leave()
            rows = await line.query(_EVERYTHING)
            # The producer repeats some, as after an answer that was lost, and then each group starts at the beginning.
            again = chance.sample(events, COUNT // 4)
            await topic.write(again)
            for time in range(2, 6):
                group = f"{topic.name}-{time}"
                await read_again(topic, store, group, chance.randint(50, 500), COUNT + len(again))
            assert await line.query(_EVERYTHING) == rows
            member = topic.join(store)
            await topic.flows()
            assert await member.leave()
        assert not topic.dead_letters.kept
        await line.judge()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main, 100 + COUNT // 20)


def test_an_id_that_comes_again_with_other_content_is_kept_as_evidence(kafka_service, postgres_service):
    async def main(line):
        topic = await line.topic()
        events = line.events(20)
        forged = events[7].model_copy(update={"resource_id": "forged"})
        await topic.write(events)
        async with PostgresStore.connect(line.dsn) as store:
            member = topic.join(store)
            await line.until_stored()
            rows = await line.query(_EVERYTHING)
            for _ in range(3):
                value, key, headers = encode_event(forged), str(forged.tenant_id).encode(), event_headers(forged)
                await send_raw(kafka_service, topic.name, value, key=key, headers=headers)
            await eventually(lambda: member.ingested("conflict") == 3)
            assert await line.query(_EVERYTHING) == rows
            (evidence,) = await line.query("SELECT event_id, record FROM tenaudit.conflicts")
            assert evidence["event_id"] == forged.event_id
            assert json.loads(evidence["record"])["resource_id"] == "forged"
            await topic.flows()
            assert await member.leave()
        await line.judge()

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main)
