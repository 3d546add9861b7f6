"""What carries events into a store takes out what a policy names: the consumer, the relay and the importers."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import AuditEvent, RedactionPolicy, Redactor, SinkRejected
from tenaudit.audit.consumer import Consumer, ConsumerOptions, Partition, SourceRecord, decode_event
from tenaudit.audit.importers import FORMATS, Loader
from tenaudit.audit.outbox import OutboxRelay
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource
from tenaudit.testing.conformance import an_event
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.unit.audit.consumer_parts import TOPIC, Log, MemoryDeadLetters, MemorySource, MemoryStore, record_of
from tests.unit.backends.outbox_parts import context_of

CARD = "4242424242424242"


def policy(mode="enforce"):
    return RedactionPolicy(["payload.card"], mode=mode, registry=CollectorRegistry())


def event(number, **fields):
    return an_event(number, payload={"card": CARD, "n": number}, **fields)


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


def consumed(records, store, letters, redaction):
    async def main():
        log = Log(records)
        consumer = Consumer(
            MemorySource(log),
            store,
            letters,
            options=ConsumerOptions(first_pause=0.0, longest_pause=0.0),
            registry=CollectorRegistry(),
            redaction=redaction,
        )
        running = asyncio.create_task(consumer.run())
        while not log.done:  # noqa: ASYNC110 - a stream in memory tells nobody that it was read
            await asyncio.sleep(0)
        await consumer.stop()
        await running

    run(main())


@pytest.mark.parametrize(("mode", "card"), [("enforce", "****4242"), ("log", CARD), ("off", CARD)])
def test_a_consumer_stores_what_may_be_stored(mode, card):
    store = MemoryStore()
    consumed([record_of(event(n), n) for n in range(3)], store, MemoryDeadLetters(), policy(mode))
    assert [one.payload for one in store.rows.values()] == [{"card": card, "n": n} for n in range(3)]


def test_what_comes_again_is_the_same_event():
    store = MemoryStore()
    consumed([record_of(event(1), 0), record_of(event(1), 1)], store, MemoryDeadLetters(), policy())
    consumed([record_of(event(1), 0)], store, MemoryDeadLetters(), policy())
    (stored,) = store.rows.values()
    assert stored.redactions == ("payload.card:mask",)
    assert {one for batch in store.batches for one in map(AuditEvent.model_dump_json, batch)} == {
        stored.model_dump_json()
    }


def test_what_is_refused_goes_to_the_dead_letters_without_what_was_taken_out():
    letters = MemoryDeadLetters()
    plain = an_event(2, payload={"n": 2})

    def refuse(events):
        raise SinkRejected([one.event_id for one in events], "nul")

    place, spaced = Partition(TOPIC, 0), json.dumps(plain.record(), indent=1).encode()
    records = [
        record_of(event(1), 0),
        SourceRecord(place, 1, spaced),
        SourceRecord(place, 2, b'{"card": "4242"}'),
    ]
    consumed(records, MemoryStore(refuse=refuse), letters, policy())
    kept = {record.offset: record for record, _ in letters.kept.values()}
    assert decode_event(kept[0].value, kept[0].headers) == policy().written(event(1))
    # Nothing was in it, and nothing can be taken out of what holds no event.
    assert (kept[1], kept[2]) == (records[1], records[2])


def test_a_relay_hands_the_sink_what_it_may_have(tmp_path):
    outbox = SqliteOutbox("orders", registry=CollectorRegistry())
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        create_outbox(connection)
        for payload in ({"card": CARD, "n": 1}, {"n": 2}):
            outbox.emit_nowait(connection, "order.created", payload=payload, context=context_of(1))

    async def main():
        sink, source = ScriptedSink(), SqliteOutboxSource(tmp_path / "app.db")
        await OutboxRelay(source, sink, registry=CollectorRegistry(), redaction=policy()).drain()
        await source.close()
        return sink.events

    assert [one.payload for one in run(main())] == [{"card": "****4242", "n": 1}, {"n": 2}]


def imported(path, redaction):
    async def main():
        async with SqliteStore.open(path) as store:
            loader = Loader(store, FORMATS["ndjson"], redaction=redaction)
            await loader.load("log", json.dumps(event(1).record()) + "\n")
            report = await loader.finish()
            found = await store.get(event(1).tenant_id, event(1).event_id)
            return report, found.payload

    return run(main())


def test_an_import_stores_what_may_be_stored_and_again_nothing(tmp_path):
    once, payload = imported(tmp_path / "audit.db", policy())
    assert (once.stored, payload) == (1, {"card": "****4242", "n": 1})
    again, payload = imported(tmp_path / "audit.db", policy())
    assert (again.stored, again.duplicates, again.conflicts, payload["card"]) == (0, 1, 0, "****4242")
    other, payload = imported(tmp_path / "audit.db", None)
    assert (other.duplicates, other.conflicts, payload["card"]) == (0, 1, "****4242")


@pytest.mark.parametrize(
    "make",
    [
        lambda wrong, _: Consumer(None, None, None, registry=CollectorRegistry(), redaction=wrong),
        lambda wrong, source: OutboxRelay(source, ScriptedSink(), registry=CollectorRegistry(), redaction=wrong),
        lambda wrong, _: Loader(None, FORMATS["ndjson"], redaction=wrong),
    ],
)
def test_what_is_no_policy_is_refused(make, tmp_path):
    source = SqliteOutboxSource(tmp_path / "app.db")
    with pytest.raises(ConfigurationError, match="redaction must be a RedactionPolicy"):
        make(Redactor(["payload.card"]), source)
