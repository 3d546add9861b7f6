"""Row 14: one bad record in five hundred, of every kind: the others are stored, it is kept aside, nothing stalls."""

from __future__ import annotations

import json
import random

import pytest
from aiokafka import AIOKafkaProducer

from tenaudit.audit.consumer import encode_event
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.sqlite.dead_letters import SqliteDeadLetters
from tenaudit.cli import main as tenaudit
from tests.faults.ingest_line import ingest_line
from tests.faults.tier import SEED

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(600)]

GOOD = 499
LARGE = 2**20 + 1
NEXT_FORMAT = ("content-type", b"application/vnd.tenaudit.event+json; version=2")
FORBID = "ALTER TABLE tenaudit.events ADD CONSTRAINT no_pills CHECK (action <> 'poison.pill')"
ALLOW = "ALTER TABLE tenaudit.events DROP CONSTRAINT no_pills"


def never(line, **fields):
    """Return an event that must not become a row."""
    (event,) = line.events(1, **fields)
    line.ledger.note(event.event_id, "fail")
    return event


# Each tells what stands on the topic, and why it is buried. The last one can be replayed once it is allowed.
KINDS = {
    "bad JSON": lambda line: (b'{"event_id": "0190', [], "not_json"),
    "no UTF-8": lambda line: (b"\xff\xfe", [], "not_json"),
    "too large": lambda line: (b'"' + b"x" * LARGE + b'"', [], "too_large"),
    "of the next format": lambda line: (encode_event(never(line)), [NEXT_FORMAT], "unknown_format"),
    "JSON that is no event": lambda line: (b'{"action": "order.created"}', [], "invalid_event"),
    "a deletion mark": lambda line: (None, [], "empty"),
    "U+0000": lambda line: (
        encode_event(never(line, service="a-b")).replace(b"a-b", b"a\\u0000b"),
        [],
        "invalid_event",
    ),
    "refused for now": lambda line: (encode_event(line.events(1, action="poison.pill")[0]), [], "refused_by_store"),
}


async def put(producer, topic, kind, chance, line):
    """Put 499 events on a topic and one bad record among them; return why it will be buried."""
    value, headers, reason = kind(line)
    events = line.events(GOOD)
    place = chance.randrange(GOOD)
    sink = topic.sink()
    await topic.write(events[:place], sink)
    await producer.send_and_wait(topic.name, value, key=b"k", headers=headers)
    await topic.write(events[place:], sink)
    return reason


def test_one_bad_record_in_five_hundred_is_kept_aside_and_stalls_nothing(
    kafka_service, postgres_service, tmp_path, capsys
):
    letters = tmp_path / "letters.db"

    async def main(line):
        chance = random.Random(SEED)
        topic = await line.topic(max_message_bytes=4 * LARGE)
        reasons = []
        await line.query(FORBID)
        async with (
            AIOKafkaProducer(bootstrap_servers=kafka_service.bootstrap_servers, max_request_size=4 * LARGE) as producer,
            PostgresStore.connect(line.dsn) as store,
            SqliteDeadLetters(letters) as dead,
        ):
            member = topic.join(store, dead_letters=dead, batch_size=500)
            for kind in KINDS.values():
                reasons.append(await put(producer, topic, kind, chance, line))
                await line.until_stored(within=30)
                assert [letter.reason for letter in await dead.page()] == reasons
            assert member.ingested("stored") == GOOD * len(KINDS)
            assert member.ingested("dead_letter") == len(KINDS)
            assert not member.failures("store")
            await topic.flows()
            assert await member.leave()
        await line.query(ALLOW)
        await line.judge()

    async def replayed(line):
        async with SqliteDeadLetters(letters) as dead:
            assert len(await dead.page()) == len(KINDS) - 1
        line.acknowledged([event for event in line.emitted.values() if event.action == "poison.pill"])
        verdict = await line.judge()
        assert len(verdict.stored) == GOOD * len(KINDS) + 5 + 1

    with ingest_line(kafka_service, postgres_service) as line:
        line.run(main)
        words = ["audit", "dlq", "replay", "--all", "--store", line.dsn, "--dead-letters", f"sqlite:///{letters}"]
        assert tenaudit([*words, "--json"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert (told["stored"], told["duplicates"], told["refused"]) == (1, 0, len(KINDS) - 1)
        line.run(replayed)
