"""Real CloudTrail records through Kafka and PostgreSQL and back out of the API: each once, equal, and mappable."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import jsonschema
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from tenaudit import Gate
from tenaudit.adapters.starlette import audit_routes, install
from tenaudit.audit import AppendResult, AuditEvent
from tenaudit.audit.consumer import Consumer, ConsumerOptions
from tenaudit.audit.importers import FORMATS, Loader
from tenaudit.audit.mappers import to_cloudevents, to_ocsf
from tenaudit.backends.kafka import KafkaSink, KafkaSource
from tenaudit.backends.postgres import PostgresStore
from tests.unit.audit.consumer_parts import MemoryDeadLetters
from tests.unit.backends.kafka_parts import new_topic
from tests.unit.backends.postgres_databases import ROLES, migrated, user

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

DATA = Path(__file__).parent.parent / "data"
# The whole sample, where it is at hand, in place of the files that the repository has.
FOLDER = Path(os.environ.get("TENAUDIT_CLOUDTRAIL") or DATA / "cloudtrail")
MAPPERS = {"cloudevents-1.0.2": to_cloudevents, "ocsf-1.3.0": to_ocsf}


class IntoKafka:
    """Stands where an import has its store."""

    def __init__(self, sink):
        self.sink = sink
        self.sent = []

    async def append(self, events):
        await self.sink.write(events)
        self.sent += events
        return AppendResult(len(events), 0, 0, 0)

    async def seal(self):
        return ()


async def imported(service, topic, texts):
    """What the importer made of every record of every file, once it is on the topic."""
    sink = KafkaSink(service.bootstrap_servers, topic, registry=CollectorRegistry(), delivery_timeout=20)
    into = IntoKafka(sink)
    loader = Loader(into, FORMATS["cloudtrail"])
    for name, text in texts.items():
        await loader.load(name, text)
    report = await loader.finish()
    await sink.close()
    given = [record["eventID"] for text in texts.values() for record in json.loads(text)["Records"]]
    assert given
    assert [event.payload["eventID"] for event in into.sent] == given
    assert (report.read, report.stored, report.refused, report.passed) == (len(given), len(given), {}, {})
    return into.sent


@asynccontextmanager
async def consuming(service, topic, store, registry, dead_letters):
    source = KafkaSource(service.bootstrap_servers, topic, group=topic)
    options = ConsumerOptions(poll=0.2, longest_pause=0.2)
    consumer = Consumer(source, store, dead_letters, options=options, registry=registry)
    running = asyncio.create_task(consumer.run())
    try:
        yield running
    finally:
        await consumer.stop()
        await source.close()
    await running


def taken(registry):
    name = "audit_events_ingested_total"
    outcomes = ("stored", "duplicate", "conflict", "expired", "dead_letter")
    counts = {outcome: registry.get_sample_value(name, {"outcome": outcome}) or 0 for outcome in outcomes}
    return {outcome: count for outcome, count in counts.items() if count}


async def pages_of(client, tenant_id, order):
    """Every event that the API gives a reader who may see all, page by page."""
    headers = {"X-Tenant-ID": str(tenant_id), "X-User-ID": "auditor", "X-Roles": "Admin"}
    target, found = f"/audit/events?limit=37&order={order}", []
    cursor = ""
    while cursor is not None:
        answer = await client.get(target + (f"&cursor={cursor}" if cursor else ""), headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["events"]
        cursor = page["next_cursor"]
    return found


async def check_answers(store, sent):
    """Compare what the API answers with what was sent, event for event."""
    gate = Gate("audit", registry=CollectorRegistry())
    app = Starlette(routes=audit_routes(gate, store, cursor_keys=[b"a secret of the service"]))
    install(app, gate)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://audit") as client:
        for tenant_id in {event.tenant_id for event in sent}:
            once = {event.event_id: event.record() for event in sent if event.tenant_id == tenant_id}
            wanted = [once[event_id] for event_id in sorted(once)]
            assert await pages_of(client, tenant_id, "asc") == wanted
            assert await pages_of(client, tenant_id, "desc") == wanted[::-1]


def check_mappings(event):
    for name, mapper in MAPPERS.items():
        made = mapper(event)
        assert json.loads(json.dumps(made, allow_nan=False)) == made
        VALIDATORS[name].validate(made)


VALIDATORS = {
    name: jsonschema.Draft202012Validator(json.loads((DATA / "schemas" / f"{name}.json").read_text()))
    for name in MAPPERS
}


def test_every_record_comes_back_once_and_equal(kafka_service, postgres_service):
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.json"))}

    async def main(dsn):
        topic = await new_topic(kafka_service, partitions=3)
        sent = await imported(kafka_service, topic, texts)
        registry, dead_letters = CollectorRegistry(), MemoryDeadLetters()
        repeated = len(sent) - len({event.event_id for event in sent})
        async with PostgresStore.connect(dsn) as store:
            async with consuming(kafka_service, topic, store, registry, dead_letters) as running:
                while sum(taken(registry).values()) < len(sent):
                    assert not running.done() or running.result() is None
                    await asyncio.sleep(0.02)
            assert dead_letters.kept == {}
            assert taken(registry) == Counter(stored=len(sent) - repeated) + Counter(duplicate=repeated)
            await check_answers(store, sent)
            report = await store.verify()
            assert (report.verified, report.events) == (True, len(sent) - repeated)
            for event in sent:
                back = await store.get(event.tenant_id, event.event_id)
                assert isinstance(back, AuditEvent)
                check_mappings(back)
        return len(sent), repeated

    with migrated(postgres_service.dsn) as owner, user(owner, *ROLES) as dsn:
        events, repeated = asyncio.run(asyncio.wait_for(main(dsn), 240))
    print(f"{len(texts)} files, {events} records, {repeated} repeated, all back")  # noqa: T201 - `pytest -rP` shows it
