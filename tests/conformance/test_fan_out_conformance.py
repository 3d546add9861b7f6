"""The published sink suite, run for a fan-out: as a sink of one required member, and seen from the other kind."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditEvent, FanOutMember, FanOutSink
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.backends.memory import MemorySink
from tenaudit.testing.conformance import SinkConformance


def _lines(path):
    # A file is made by the first write, and an empty batch is none.
    return [AuditEvent.model_validate_json(line) for line in path.read_bytes().splitlines()] if path.exists() else []


class TestRequiredMember(SinkConformance):
    async def open_sink(self, folder):
        return FanOutSink(
            [
                FanOutMember(JsonlSink(folder / "trail.jsonl"), "trail"),
                FanOutMember(MemorySink(), "second"),
                FanOutMember(MemorySink(), "side", required=False),
            ],
            registry=CollectorRegistry(),
        )

    async def stored(self, sink, folder):
        return _lines(folder / "trail.jsonl")


class TestBestEffortMember(SinkConformance):
    rejects_unstorable = False

    async def open_sink(self, folder):
        return FanOutSink(
            [
                FanOutMember(MemorySink(), "trail"),
                FanOutMember(JsonlSink(folder / "side.jsonl"), "side", required=False),
            ],
            registry=CollectorRegistry(),
        )

    async def stored(self, sink, folder):
        await sink.close()
        return _lines(folder / "side.jsonl")
