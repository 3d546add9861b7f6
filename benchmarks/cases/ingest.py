"""What one event costs from the bytes in a stream until it is a row of PostgreSQL with its place in the Merkle log.

Ours: a `Consumer` over a source in memory, with its default bounds, into a `PostgresStore`: decode, validate, look for
    duplicates, canonical JSON, hashes, insert, extend the tree of each of 20 tenants, commit the offsets.
copy: asyncpg's binary COPY of the same rows into the same table, with its indexes and in the same partition, 500 a
    transaction, by a superuser (COPY is refused where row level security holds); the rows are ready, and nothing
    is decoded, checked for duplicates, hashed or put into a log.

The table is emptied after every stretch. One event's share is shown: 50 us are 20 000 events a second.
Not shown: a table and indexes larger than memory, a disk that is waited for (the server's fsync is off), a network
between the two, who share the cores of this machine.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from benchmarks.audit_database import audit_database, emptied
from benchmarks.audit_events import events
from benchmarks.result import AtMost, TimesBetter, compare
from benchmarks.rounds import Contender, measure
from tenaudit.audit.consumer import Consumer, Fetched, Partition, SourceRecord, encode_event, event_headers
from tenaudit.audit.personal import PersonalFields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.audit_database import AuditDatabase
    from benchmarks.result import Result
    from benchmarks.rounds import Plan
    from tenaudit.audit import AuditEvent, Store

__all__ = ["run"]

_UNIT = 1000
_COPIED = 500
_KEY = bytes(32)


def run(plan: Plan, _note: Callable[[str], None]) -> Iterator[Result]:
    """Yield the one result."""
    # Half a second instead of a fiftieth, since one batch of a consumer takes longer than that.
    longer = replace(plan, seconds=plan.seconds * 25)
    # As many as twice the target would take in that time, so that a tiny run makes few.
    units = max(1, round(longer.seconds * 40_000 / _UNIT))
    with ExitStack() as stack:
        database = stack.enter_context(audit_database())
        runner = stack.enter_context(asyncio.Runner())
        made = list(events(units * _UNIT))
        sides = [build(stack, runner, database, made) for build in (_ours, _copy)]
        yield compare(
            "ingest",
            measure(sides, longer),
            unit="us",
            scale=1e6 / _UNIT,
            targets=[TimesBetter(0.5, "copy"), AtMost(50)],
        )


class _InMemory:
    """A source that has some records, and tells when all of them are committed."""

    def __init__(self, records: Sequence[SourceRecord]) -> None:
        self._records = records
        self._given = 0
        self.done = asyncio.Event()

    def on_revoke(self, settle: object) -> None:
        """Nothing is ever taken away."""

    async def fetch(self, max_records: int, _max_bytes: int, _seconds: float) -> Fetched:
        if self._given == len(self._records):
            await asyncio.sleep(0)
        part = tuple(self._records[self._given : self._given + max_records])
        self._given += len(part)
        return Fetched(epoch=1, records=part)

    async def commit(self, _epoch: int, offsets: Mapping[Partition, int]) -> bool:
        if max(offsets.values()) == len(self._records):
            self.done.set()
        return True

    def lag(self) -> int:
        return len(self._records) - self._given

    async def close(self) -> None:
        """Close nothing."""


class _NoDeadLetters:
    async def put(self, _record: SourceRecord, reason: str) -> None:
        raise RuntimeError(f"an event of the benchmark is refused: {reason}")


async def _consumed(store: Store, records: Sequence[SourceRecord]) -> None:
    source = _InMemory(records)
    consumer = Consumer(source, store, _NoDeadLetters(), registry=CollectorRegistry())
    running = asyncio.create_task(consumer.run())
    done = asyncio.create_task(source.done.wait())
    await asyncio.wait({running, done}, return_when=asyncio.FIRST_COMPLETED)
    done.cancel()
    await consumer.stop()
    await running


def _ours(stack: ExitStack, runner: asyncio.Runner, database: AuditDatabase, made: Sequence[AuditEvent]) -> Contender:
    from tenaudit.backends.postgres import PostgresStore

    place = Partition("audit.events", 0)
    records = [
        SourceRecord(place, offset, encode_event(event), str(event.tenant_id).encode(), tuple(event_headers(event)))
        for offset, event in enumerate(made)
    ]
    store = runner.run(_opened(PostgresStore.connect(database.user, deadline=30.0)))
    stack.callback(lambda: runner.run(store.close()))
    written = 0

    def run(units: int) -> None:
        nonlocal written
        written = units * _UNIT
        runner.run(_consumed(store, records[:written]))

    async def settle() -> None:
        if (stored := await store.count()) != written:
            raise RuntimeError(f"{stored} events of {written} were stored")
        await emptied(database.owner)

    return Contender("ours", run, lambda: runner.run(settle()), len(made) // _UNIT)


async def _opened(store: Any) -> Any:
    return await store


def _copy(stack: ExitStack, runner: asyncio.Runner, database: AuditDatabase, made: Sequence[AuditEvent]) -> Contender:
    import asyncpg

    from tenaudit.backends.postgres.rows import SealedRow

    sealed = [SealedRow(event, _KEY, PersonalFields()) for event in made]
    rows = [(*row.values, index, row.salts, row.commitments) for index, row in enumerate(sealed)]
    connection = runner.run(asyncpg.connect(database.owner))
    stack.callback(lambda: runner.run(connection.close()))

    async def copy(units: int) -> None:
        for start in range(0, units * _UNIT, _COPIED):
            # Without names of columns it is the order of the table, as the row has it.
            part = rows[start : min(start + _COPIED, units * _UNIT)]
            await connection.copy_records_to_table("events", schema_name="tenaudit", records=part)

    return Contender(
        "copy",
        lambda units: runner.run(copy(units)),
        lambda: runner.run(emptied(database.owner)),
        len(made) // _UNIT,
    )
