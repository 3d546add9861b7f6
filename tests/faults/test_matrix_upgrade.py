"""Row 22: what earlier releases wrote is read whole; what a later one wrote is refused by name and left as it is."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import AuditEvent, AuditQuery, StoreError
from tenaudit.audit.consumer import WIRE_FORMAT, BadRecord, decode_event
from tenaudit.audit.outbox import OutboxRelay
from tenaudit.backends.spool import DiskSpool
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource
from tenaudit.testing.conformance import an_event
from tenaudit.testing.ledger import Ledger
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.data.golden.generate import generate

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
RELEASES = sorted(
    (path.parent.name for path in GOLDEN.glob("*/files.zip")), key=lambda name: [int(part) for part in name.split(".")]
)
WITHIN = 30
ACKNOWLEDGED = 8


def run(main):
    async def bounded():
        async with asyncio.timeout(WITHIN):
            return await main

    return asyncio.run(bounded())


def lines_of(release, name):
    return json.loads((GOLDEN / release / name).read_text("ascii"))


def judged(records, expected):
    """Hold what was read to what was written: each once, in order, and every field."""
    ledger = Ledger()
    for record in expected:
        ledger.note(UUID(record["event_id"]), "ok")
    verdict = ledger.settle(UUID(record["event_id"]) for record in records)
    assert verdict.holds, str(verdict)
    assert records == expected


def bytes_of(path):
    """Every byte under a path; what SQLite keeps beside a file while it is open is not part of it."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {one.name: one.read_bytes() for one in files}


@pytest.fixture(params=RELEASES)
def release(request):
    return request.param


@pytest.fixture
def files(release, tmp_path):
    """The files of a release, in a folder that may be written."""
    with zipfile.ZipFile(GOLDEN / release / "files.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_a_spool_gives_back_all_that_was_not_acknowledged(release, files, end):
    async def main():
        records = []
        async with DiskSpool(files / f"spool-{end}", reserve_bytes=0) as spool:
            await spool.append([an_event(0)])
            while batch := await spool.read(5):
                records += [event.record() for event in batch.events]
                await spool.ack(batch.token)
            stats = spool.stats()
        return records, stats

    records, stats = run(main())
    assert (stats.records, stats.lost, stats.quarantined) == (0, 0, 0)
    judged(records, [*lines_of(release, "expected.json")[ACKNOWLEDGED:], an_event(0).record()])


def test_every_record_of_a_topic_is_read(release):
    records = lines_of(release, "wire.json")
    for known in (True, False):
        events = [
            decode_event(
                record["value"].encode(), [(name, text.encode()) for name, text in record["headers"]] if known else ()
            )
            for record in records
        ]
        judged([event.record() for event in events], lines_of(release, "expected.json"))
    assert [record["key"] for record in records] == [str(event.tenant_id) for event in events]


async def relayed(path, count):
    """What a relay brings out of an outbox, as records."""
    source, sink = SqliteOutboxSource(path), ScriptedSink()
    try:
        async with OutboxRelay(source, sink, registry=CollectorRegistry()) as relay:
            while relay.settled < count:  # noqa: ASYNC110 - a relay tells nobody
                await asyncio.sleep(0.01)
        assert (await source.backlog()).entries == 0
    finally:
        await source.close()
    return [event.record() for event in sink.events]


def test_an_outbox_is_relayed_whole(release, files):
    expected = lines_of(release, "expected_outbox.json")
    judged(run(relayed(files / "outbox.db", len(expected))), expected)


def test_a_store_is_read_verified_and_written_on(release, files):
    expected = lines_of(release, "expected.json")
    tenants = sorted({record["tenant_id"] for record in expected})

    async def main():
        found = []
        async with SqliteStore.open(files / "store.db") as store:
            assert (await store.verify()).verified
            assert list(map(str, await store.tenants())) == tenants
            for tenant in tenants:
                page = await store.search(AuditQuery(UUID(tenant), limit=500))
                found += [event.record() for event in page.events]
            again = await store.append([AuditEvent.model_validate(record) for record in expected])
            assert again == (0, len(expected), 0, 0)
            assert await store.append([an_event(0)]) == (1, 0, 0, 0)
            await store.seal()
            assert (await store.verify()).verified
        return found

    judged(sorted(run(main()), key=lambda record: record["event_id"]), expected)


def test_this_code_writes_what_the_newest_files_hold(tmp_path):
    generate(tmp_path / "now")
    for name in ("expected.json", "wire.json", "expected_outbox.json"):
        assert (tmp_path / "now" / name).read_text() == (GOLDEN / RELEASES[-1] / name).read_text(), (
            f"{name}: the format has changed; tests/data/golden/README.md says what to do"
        )
    with (
        zipfile.ZipFile(tmp_path / "now" / "files.zip") as archive,
        zipfile.ZipFile(GOLDEN / RELEASES[-1] / "files.zip") as known,
    ):
        assert archive.namelist() == known.namelist()


def test_a_spool_of_a_later_format_is_refused_by_name_and_left_as_it_is(files):
    folder = files / "spool-killed"
    for path in folder.glob("*.v1.db*"):
        path.rename(path.with_name(path.name.replace(".v1.", ".v2.")))
    before = bytes_of(folder)

    async def main():
        spool = DiskSpool(folder)
        try:
            with pytest.raises(ConfigurationError, match=r"newer version: \d+\.v2\.db"):
                await spool.append([an_event(0)])
        finally:
            await spool.close()

    run(main())
    assert bytes_of(folder) == before
    for path in folder.glob("*.v2.db*"):
        path.rename(path.with_name(path.name.replace(".v2.", ".v1.")))

    async def back():
        async with DiskSpool(folder) as spool:
            return len((await spool.read(500)).events), spool.stats().lost

    assert run(back()) == (16, 0)


def test_a_store_of_a_later_schema_is_refused_by_name_and_left_as_it_is(files):
    path = files / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 5")
    before = bytes_of(path)

    async def main():
        store = SqliteStore.open(path)
        try:
            with pytest.raises(StoreError, match=r"store\.db: has schema 5, this version reads 4; upgrade tenaudit"):
                await store.append([an_event(0)])
        finally:
            await store.close()

    run(main())
    assert bytes_of(path) == before


def test_a_record_of_a_later_format_is_refused_by_name(release):
    record = lines_of(release, "wire.json")[0]
    later = WIRE_FORMAT.replace(b"version=1", b"version=2")
    with pytest.raises(BadRecord) as told:
        decode_event(record["value"].encode(), [("content-type", later)])
    assert told.value.reason == "unknown_format"


def test_an_outbox_entry_with_a_field_of_a_later_version_is_put_aside_whole(release, files):
    path = files / "outbox.db"
    expected = lines_of(release, "expected_outbox.json")
    later = json.dumps(expected[3] | {"signature": "of a later version"})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tenaudit_outbox SET event = ? WHERE id = 4", (later,))
    judged(run(relayed(path, len(expected))), expected[:3] + expected[4:])
    with closing(sqlite3.connect(path)) as connection:
        dead = connection.execute("SELECT event_id, event, reason FROM tenaudit_outbox_dead").fetchall()
    assert dead == [(expected[3]["event_id"], later, "unreadable")]
