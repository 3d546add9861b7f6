"""The published sink suite, run for every sink of this package that needs no server."""

from __future__ import annotations

from tenaudit.audit import AuditEvent, AuditQuery
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.sqlite import SqliteSink, SqliteStore
from tenaudit.testing.conformance import SinkConformance, an_event


class TestMemorySink(SinkConformance):
    rejects_unstorable = False

    async def open_sink(self, folder):
        return MemorySink()

    async def stored(self, sink, folder):
        return sink.events


class TestJsonlSink(SinkConformance):
    async def open_sink(self, folder):
        return JsonlSink(folder / "audit.jsonl")

    async def stored(self, sink, folder):
        lines = (folder / "audit.jsonl").read_bytes().split(b"\n")
        assert lines.pop() == b""
        return [AuditEvent.model_validate_json(line) for line in lines]


class TestSqliteSink(SinkConformance):
    exactly_once = True

    async def open_sink(self, folder):
        return SqliteSink.open(folder / "audit.db")

    async def stored(self, sink, folder):
        events = []
        async with SqliteStore.open(folder / "audit.db") as store:
            assert (await store.verify()).verified
            query = AuditQuery(an_event(0).tenant_id, order="asc", limit=500)
            page = await store.search(query)
            events += page.events
            while page.next_cursor:
                page = await store.search(query.at(page.next_cursor))
                events += page.events
        return events
