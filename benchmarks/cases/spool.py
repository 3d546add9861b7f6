"""What one event costs until it is durable on disk in a spool, in batches of 100 and of 500.

Ours: `DiskSpool.append` with events, from one coroutine or from 8 at once, whose batches share commits; it turns them
    into JSON, numbers and checksums each, and crosses to its thread and back. One event's share is shown: 10 us are
    100 000 events a second.
sqlite3: a bare loop with the same settings (WAL, synchronous=FULL), one commit a batch, one row an event, which is
    JSON already.
append: a file, `write` and `fdatasync`, the same JSON: what the disk itself takes.

All sides write to the folder for temporary files; where that is in memory, a sync costs nothing and only the CPU is
compared.
A single coroutine waits for the disk and for two threads to wake after each batch; that wait, not work, is most of a
batch of 100.
Not shown: reading back and acknowledging, which happen outside the timed stretch.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from benchmarks.result import AtMost, compare
from benchmarks.rounds import Contender, measure
from benchmarks.sample_request import CONTEXT
from tenaudit.audit import AuditEvent
from tenaudit.backends.spool import DiskSpool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]

# How many events a batch has, and how many coroutines append such batches at once.
_LOADS = ((100, 1), (100, 8), (500, 1))
# Together they stay below the 256 MiB that a spool holds by default.
_MOST_EVENTS = 100_000
_DRAIN_FROM = 128 * 2**20


def run(plan: Plan, _note: Callable[[str], None]) -> Iterator[Result]:
    """Yield a result for each size of batch and number of callers."""
    # A commit takes milliseconds, and one in many also moves the log: a stretch must hold its share of those.
    plan = replace(plan, seconds=plan.seconds * 20)
    for size, callers in _LOADS:
        events = _events(size)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            sides = [
                _ours(stack, folder / "spool", events, callers),
                _sqlite(stack, folder / "peer.db", events),
                _append(stack, folder / "peer.log", events),
            ]
            samples = measure(sides, plan)
        yield compare(f"spool/{callers}x{size}", samples, unit="us", scale=1e6 / size, targets=[AtMost(10.0)])


def _events(count: int) -> list[AuditEvent]:
    now_ms = time.time_ns() // 1_000_000
    return [
        AuditEvent(
            event_id=UUID(int=(now_ms << 80) | (0x7 << 76) | (0x2 << 62) | number),
            tenant_id=CONTEXT.tenant_id,
            occurred_at="2026-01-01T00:00:00.123456Z",
            actor_id=CONTEXT.actor.id,
            actor_type=CONTEXT.actor.type,
            action="payment.processed",
            resource_type="payment",
            resource_id="p-1",
            service="payments",
            trace_id=CONTEXT.trace.trace_id,
            payload={"amount": 1999, "currency": "EUR"},
            producer_id="payments-0123456789abcdef",
            seq=number,
        )
        for number in range(count)
    ]


def _ours(stack: ExitStack, folder: Path, events: Sequence[AuditEvent], callers: int) -> Contender:
    runner = stack.enter_context(asyncio.Runner())
    spool = runner.run(_opened(folder))
    stack.callback(lambda: runner.run(spool.close()))

    async def caller(turns: Iterator[int]) -> None:
        for _ in turns:
            await spool.append(events)

    async def append(count: int) -> None:
        # One iterator for all of them: each takes the next batch when its own is on disk.
        turns = iter(range(count))
        await asyncio.gather(*(caller(turns) for _ in range(callers)))

    async def drain() -> None:
        # Not after every stretch: what is emptied starts a new file, and that is not what a stretch should time.
        if spool.stats().bytes < _DRAIN_FROM:
            return
        while batch := await spool.read(5_000):
            await spool.ack(batch.token)

    return Contender(
        "ours",
        lambda count: runner.run(append(count)),
        lambda: runner.run(drain()),
        _MOST_EVENTS // len(events),
    )


async def _opened(folder: Path) -> DiskSpool:
    return await DiskSpool.open(folder)


def _sqlite(stack: ExitStack, path: Path, events: Sequence[AuditEvent]) -> Contender:
    connection = sqlite3.connect(path, isolation_level=None)
    stack.callback(connection.close)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, record BLOB NOT NULL)")
    rows = [(event.event_id.bytes, event.model_dump_json().encode()) for event in events]

    def run(count: int) -> None:
        for _ in range(count):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO records (id, record) VALUES (?, ?)", rows)
            connection.execute("COMMIT")

    return Contender("sqlite3", run, lambda: connection.execute("DELETE FROM records"), _MOST_EVENTS // len(events))


def _append(stack: ExitStack, path: Path, events: Sequence[AuditEvent]) -> Contender:
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    stack.callback(os.close, file)
    data = b"".join(event.model_dump_json().encode() + b"\n" for event in events)

    def run(count: int) -> None:
        for _ in range(count):
            os.write(file, data)
            os.fdatasync(file)

    return Contender("append", run, lambda: os.ftruncate(file, 0), _MOST_EVENTS // len(events))
