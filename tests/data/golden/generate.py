"""Write the golden files of this version: `python tests/data/golden/generate.py tests/data/golden/0.1`.

Run it once before a release that changes a format, with the code of that release; what an earlier one wrote stays.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit._kernel.ids import uuid7_from_source
from tenaudit.audit import AuditEvent
from tenaudit.audit.consumer import encode_event, event_headers
from tenaudit.backends.spool import DiskSpool
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["generate"]

_TENANTS = (UUID("7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"), UUID("7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e60"))
_FIRST_MS = 1_764_000_000_000
_FIRST_TIME = "2025-11-24T16:00:{:02}.000001Z"
_OUTCOMES = ("success", "denied", "failure")
_SEVERITIES = ("info", "warn", "error", "security")
_PAYLOADS: tuple[dict[str, Any], ...] = (
    {},
    {"amount": -(2**53 - 1), "rate": 0.1, "tags": ["a", None, True], "deep": {"er": {"est": [[[]]]}}},
    {"name": 'Zoë Ñandú 漢字 😀 \u2028 " \\ / \t', "": "no name"},
    {"text": "x" * 500},
)
_COUNT = 24
# What a zip remembers of a file's time would make each run another file.
_ZIP_TIME = (2026, 1, 1, 0, 0, 0)


def _event(number: int) -> AuditEvent:
    """Return event *number*: all values of all fields come up in a row of twelve."""
    full = number % 3 > 0
    return AuditEvent(
        event_id=uuid7_from_source(_FIRST_MS + number * 1000, f"golden {number}"),
        tenant_id=_TENANTS[number % 2],
        occurred_at=_FIRST_TIME.format(number),
        actor_id=f"u-{number}" if full else None,
        actor_type="user" if full else "anonymous",
        action=("order.created", "payment.voided", "capability_denied")[number % 3],
        resource_type="order" if full else None,
        resource_id=f"o/{number} ✓" if full else None,
        outcome=_OUTCOMES[number % 3],
        severity=_SEVERITIES[number % 4],
        service="orders",
        trace_id=f"{number:032x}" if full else None,
        schema_version=1 + number % 2,
        payload=_PAYLOADS[number % 4],
        redactions=("mask:payload.card",) if number % 4 == 3 else (),
        producer_id="orders-1" if full else None,
        seq=number if full else None,
    )


async def _spools(closed: Path, killed: Path, events: Sequence[AuditEvent]) -> None:
    """Fill a spool, acknowledge a third; keep it once as a killed process leaves it, and once closed."""
    async with DiskSpool(closed, segment_bytes=2**16, max_bytes=2**20, reserve_bytes=0) as spool:
        third = len(events) // 3
        for start in range(0, len(events), third):
            await spool.append(events[start : start + third])
        batch = await spool.read(third)
        await spool.ack(batch.token)
        shutil.copytree(closed, killed)


async def _store(path: Path, events: Sequence[AuditEvent]) -> None:
    """Store the events in two parts, each with its checkpoints."""
    async with SqliteStore.open(path) as store:
        for part in (events[: len(events) // 2], events[len(events) // 2 :]):
            await store.append(part)
            await store.seal()


def _outbox(path: Path, events: Sequence[AuditEvent]) -> list[dict[str, Any]]:
    """Emit the events again in a transaction, and return what their rows say."""
    with closing(sqlite3.connect(path)) as connection:
        with connection:
            create_outbox(connection)
        connection.execute("BEGIN")
        for event in events:
            clock = ManualClock(event.occurred_at.timestamp())
            actor = Actor(event.actor_id, event.actor_type)
            trace = TraceContext(event.trace_id or "0" * 32, None, sampled=False)
            SqliteOutbox(event.service, clock=clock).emit_nowait(
                connection,
                event.action,
                resource_type=event.resource_type,
                resource_id=event.resource_id,
                payload=event.payload,
                outcome=event.outcome,
                severity=event.severity,
                context=SecurityContext(event.tenant_id, actor, frozenset(), trace),
                event_id=event.event_id,
            )
        connection.execute("COMMIT")
        rows = connection.execute("SELECT event FROM tenaudit_outbox ORDER BY id").fetchall()
    return [json.loads(text) for (text,) in rows]


def _wire(event: AuditEvent) -> dict[str, Any]:
    """Return a record of the topic as text."""
    headers = [[name, value.decode()] for name, value in event_headers(event)]
    return {"key": str(event.tenant_id), "value": encode_event(event).decode(), "headers": headers}


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_TIME)
                archive.writestr(name, path.read_bytes(), zipfile.ZIP_DEFLATED)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="ascii")


def generate(target: Path) -> None:
    """Fill a folder with `files.zip`, `wire.json`, `expected.json` and `expected_outbox.json`."""
    target.mkdir(parents=True, exist_ok=True)
    events = [_event(number) for number in range(_COUNT)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(_spools(folder / "spool-closed", folder / "spool-killed", events))
        asyncio.run(_store(folder / "store.db", events))
        _write_json(target / "expected_outbox.json", _outbox(folder / "outbox.db", events))
        _pack(folder, target / "files.zip")
    _write_json(target / "wire.json", [_wire(event) for event in events])
    _write_json(target / "expected.json", [event.record() for event in events])


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
