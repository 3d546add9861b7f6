"""Erased in PostgreSQL, and the whole stream again: nothing comes back, and no byte of the database's files has it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import StoreError
from tenaudit.audit.consumer import Consumer
from tenaudit.audit.personal import PersonalFields
from tenaudit.backends.kafka import KafkaSink, KafkaSource
from tenaudit.backends.postgres import PostgresDeadLetters, PostgresStore
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event
from tests.unit.backends.kafka_parts import eventually, new_topic, run, send_raw
from tests.unit.backends.postgres_databases import ROLES, execute, migrated, user

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

WHO = "u-8f21c-subject"
HERS = [token.encode() for token in (WHO, "198.51.100.201", "8f21c@example.org")]
BOBS = b"u-77aa-other"
HER_EVENTS, EVENTS = 20, 40
PERSONAL = PersonalFields(["payload.email"])


def of_the_stream():
    """Half of the events are hers, one tells of her without listing her, and one of another tenant names her too."""
    payload = {"client_ip": "198.51.100.201", "email": "8f21c@example.org"}
    hers = [an_event(n, actor_id=WHO, payload=payload) for n in range(HER_EVENTS)]
    others = [an_event(n, actor_id=BOBS.decode()) for n in range(HER_EVENTS, EVENTS)]
    return hers + others


async def consumed(service, topic, group, store, letters, records):
    """Read the topic from its beginning as a new group, and return what became of its records."""
    registry = CollectorRegistry()
    source = KafkaSource(service.bootstrap_servers, topic, group=group, session_timeout=6.0)
    consumer = Consumer(source, store, letters, registry=registry)
    running = asyncio.ensure_future(consumer.run())

    def outcome(name):
        return registry.get_sample_value("audit_events_ingested_total", {"outcome": name}) or 0

    names = ("stored", "duplicate", "conflict", "expired", "dead_letter")
    await eventually(lambda: sum(map(outcome, names)) >= records)
    assert await consumer.stop()
    await running
    await source.close()
    return {name: outcome(name) for name in names if outcome(name)}


async def bytes_of(owner):
    """Return all bytes of the files of the database, once it has written them."""
    await execute(owner, "CHECKPOINT")
    ((place,),) = await execute(owner, "SELECT current_setting('data_directory') AS place")
    ((oid,),) = await execute(owner, "SELECT oid FROM pg_database WHERE datname = current_database()")
    files = (Path(place["place"]) / "base" / str(oid["oid"])).iterdir()
    return b"".join(file.read_bytes() for file in files if file.is_file())


def test_a_replay_brings_nothing_back_and_no_byte_is_left(kafka_service, postgres_service):
    async def main(owner, dsn):
        topic = await new_topic(kafka_service)
        sink = KafkaSink(kafka_service.bootstrap_servers, topic, registry=CollectorRegistry(), delivery_timeout=20)
        events = of_the_stream()
        await sink.write([*events, an_event(99, tenant_id=OTHER_TENANT, actor_id=WHO.replace("8f21c", "9999"))])
        # A second content of an id, and a record that is no event, though it tells of her.
        await sink.write([an_event(EVENTS - 1, actor_id=WHO)])
        await sink.close()
        broken = f'{{"tenant_id":"{TENANT}","actor_id":"{WHO}"}}'.encode()
        await send_raw(kafka_service, topic, broken, key=str(TENANT).encode())
        # Nobody can tell whose this one is.
        await send_raw(kafka_service, topic, f"actor={WHO}".encode())
        async with (
            PostgresStore.connect(dsn, personal=PERSONAL) as store,
            await PostgresDeadLetters(dsn) as letters,
        ):
            first = await consumed(kafka_service, topic, f"{topic}-1", store, letters, EVENTS + 4)
            assert first == {"stored": EVENTS + 1, "conflict": 1, "dead_letter": 2}
            tips = await store.seal(TENANT)
            # What a planner knows of the values is a copy of them.
            await execute(owner, "ANALYZE tenaudit.events")
            there = await bytes_of(owner)
            assert [token for token in (*HERS, BOBS) if token not in there] == []

            report = await store.erase(WHO, tenant_id=TENANT, by="u-officer")
            assert (report.events, report.values, report.complete) == (HER_EVENTS, 3 * HER_EVENTS, True)
            assert report.others == {"conflicts": 1, "dead_letters": 1}
            assert [(one.what, one.count) for one in report.not_reached][:1] == [("dead letters", 1)]
            assert [one.what for one in report.not_reached][1:] == [
                "streams",
                "spools and outboxes",
                "free pages, logs and backups",
            ]
            again = await consumed(kafka_service, topic, f"{topic}-2", store, letters, EVENTS + 4)
            # The record that is no event, and the other content of his event, tell of her still in the topic.
            assert again == {"duplicate": EVENTS + 1, "conflict": 1, "dead_letter": 2}
            assert (await store.erase(WHO, tenant_id=TENANT)).others == {"conflicts": 1, "dead_letters": 1}
            await execute(owner, "DELETE FROM tenaudit.dead_letters")
            await store.seal()
            checked = await store.verify(TENANT, signed={TENANT: tips})
            assert (checked.verified, checked.events) == (True, EVENTS + 3), checked.problems

        await execute(owner, "VACUUM (FULL, ANALYZE)")
        await execute(owner, "VACUUM FULL pg_catalog.pg_statistic")
        left = await bytes_of(owner)
        assert [token for token in HERS if token in left] == []
        assert BOBS in left

    with migrated(postgres_service.dsn) as owner, user(owner, *ROLES, "tenaudit_purger") as dsn:
        run(main(owner, dsn))


def test_who_is_no_purger_is_told_so(postgres_service):
    async def main(dsn):
        async with PostgresStore.connect(dsn) as store:
            await store.append(of_the_stream())
            assert (await store.erase(WHO, tenant_id=TENANT, dry_run=True)).events == HER_EVENTS
            with pytest.raises(StoreError, match="may not erase; grant tenaudit_purger"):
                await store.erase(WHO, tenant_id=TENANT)

    with migrated(postgres_service.dsn) as owner, user(owner, *ROLES) as dsn:
        run(main(dsn))
