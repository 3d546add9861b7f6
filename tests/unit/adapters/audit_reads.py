"""What the audit routes are asked in each framework, and what they must answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from tenaudit import Gate
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import TailSettings
from tenaudit.testing.conformance.events import TENANT, an_event

READER = {"X-Tenant-ID": str(TENANT), "X-Roles": "Support"}
TARGETS = (
    "/audit/events?order=asc",
    f"/audit/events/{an_event(1).event_id}",
    "/audit/export?order=asc",
    "/audit/export?format=xml",
    "/audit/tail",
    "/audit/stats",
    "/audit/openapi.json",
    f"/audit/events/{an_event(1).event_id}/proof?size=2",
    "/audit/checkpoint",
    "/audit/consistency?first=2&second=2",
    "/audit/consistency?first=3",
)
OPTIONS: dict[str, Any] = {
    "cursor_keys": [b"k" * 16],
    "tail": TailSettings(lifetime=0.05, heartbeat=0.02, fastest=0.01, slowest=0.01),
}


def gate_and_store(folder: Path) -> tuple[Gate, SqliteStore]:
    """Return a gate, and a store with two events."""

    async def fill() -> None:
        async with SqliteStore.open(folder / "audit.db") as store:
            await store.append([an_event(0), an_event(1)])
            await store.seal()

    asyncio.run(fill())
    return Gate("audit", registry=CollectorRegistry()), SqliteStore.open(folder / "audit.db")


def check(answers: list[tuple[int, str, bytes]]) -> None:
    """See that status, media type and body of each answer are right."""
    page, one, export, refused, tail, stats, document, *proofs, beyond = answers
    records = [an_event(0).record(), an_event(1).record()]
    assert json.loads(page[2])["events"] == records
    assert json.loads(one[2]) == records[1]
    assert (export[0], export[1]) == (200, "application/x-ndjson")
    assert [json.loads(line) for line in export[2].splitlines()[:-1]] == records
    assert (refused[0], json.loads(refused[2])["code"]) == (400, "invalid_parameter")
    assert (tail[0], tail[1]) == (200, "text/event-stream")
    assert tail[2].startswith(b"retry: 2000\nid: ")
    assert b"\n:\n\n" in tail[2]
    assert json.loads(stats[2])["events"] == 2
    assert json.loads(document[2])["openapi"] == "3.1.0"
    proof, checkpoint, growth = (json.loads(body) for _, _, body in proofs)
    assert [(status, kind) for status, kind, _ in proofs] == [(200, "application/json")] * 3
    assert (proof["event_id"], proof["index"], proof["size"]) == (str(an_event(1).event_id), 1, 2)
    assert proof["checkpoint"] == checkpoint["checkpoint"] == growth["checkpoints"][0]
    assert (beyond[0], json.loads(beyond[2])["errors"][0]["field"]) == (404, "first")
