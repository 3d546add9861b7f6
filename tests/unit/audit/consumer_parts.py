"""A stream, a store and dead letters in memory, each of which fails where a test says so."""

from __future__ import annotations

import asyncio

from tenaudit.audit import AppendResult
from tenaudit.audit.consumer import Fetched, Partition, SourceRecord, encode_event, event_headers

TOPIC = "audit.events"


def record_of(event, offset, number=0, timestamp_ms=None):
    headers = tuple(event_headers(event))
    return SourceRecord(Partition(TOPIC, number), offset, encode_event(event), b"key", headers, timestamp_ms)


class Log:
    """The stream itself, and what its group has committed: it outlives every source that reads it."""

    def __init__(self, *partitions):
        self.partitions = {Partition(TOPIC, number): list(records) for number, records in enumerate(partitions)}
        self.committed = dict.fromkeys(self.partitions, 0)

    @property
    def done(self):
        return all(self.committed[partition] == len(records) for partition, records in self.partitions.items())


class MemorySource:
    """One member of the group. `before` is awaited at the start of every call, `after` at its end."""

    def __init__(self, log, *, before=None, after=None, on_commit=None):
        self.log = log
        self.epoch = 1
        self.commits = []
        self._positions = dict(log.committed)
        self._before = before or _nothing
        self._after = after or _nothing
        self._on_commit = on_commit or (lambda offsets: None)
        self._settle = _nothing
        self.closed = 0

    def on_revoke(self, settle):
        self._settle = settle

    async def rebalance(self):
        """Take every partition away and give it back, from where the group has committed."""
        await self._settle()
        self.epoch += 1
        self._positions = dict(self.log.committed)

    async def fetch(self, max_records, max_bytes, seconds):
        await self._before("fetch")
        taken, size = [], 0
        for partition, records in self.log.partitions.items():
            for record in records[self._positions[partition] :]:
                size += len(record.value or b"")
                if len(taken) == max_records or (taken and size > max_bytes):
                    break
                taken.append(record)
                self._positions[partition] = record.offset + 1
        if not taken:
            await asyncio.sleep(0)
        return Fetched(self.epoch, tuple(taken))

    async def commit(self, epoch, offsets):
        await self._before("commit")
        if epoch != self.epoch:
            return False
        self._on_commit(offsets)
        self.commits.append(dict(offsets))
        self.log.committed.update(offsets)
        await self._after("commit")
        return True

    def lag(self):
        return sum(len(records) - self._positions[place] for place, records in self.log.partitions.items())

    async def close(self):
        self.closed += 1


class MemoryStore:
    """Keeps each event once; an error of `before` is a transaction that failed, one of `after` a lost answer."""

    def __init__(self, *, before=None, after=None, refuse=None):
        self.rows = {}
        self.batches = []
        self._before = before or _nothing
        self._after = after or _nothing
        self._refuse = refuse or (lambda events: None)

    async def append(self, events):
        await self._before("append")
        self._refuse(events)
        new = {(event.tenant_id, event.event_id): event for event in events}
        stored = len(new.keys() - self.rows.keys())
        conflicts = sum(self.rows.get(key, event) != event for key, event in new.items())
        self.rows = new | self.rows
        self.batches.append(list(events))
        await self._after("append")
        return AppendResult(stored, len(events) - stored - conflicts, conflicts, 0)


class MemoryDeadLetters:
    """Keeps each record once, by its place."""

    def __init__(self, *, before=None, after=None):
        self.kept = {}
        self._before = before or _nothing
        self._after = after or _nothing

    async def put(self, record, reason):
        await self._before("put")
        self.kept.setdefault((record.partition, record.offset), (record, reason))
        await self._after("put")


async def _nothing(*_):
    return None
