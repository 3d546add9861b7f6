"""The consumer under random faults at every await: each record is kept, none twice, and no offset runs ahead."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit.audit import SinkRejected, StoreError
from tenaudit.audit.consumer import Consumer, ConsumerOptions, Partition, SourceRecord
from tenaudit.testing.conformance import an_event
from tests.unit.audit.consumer_parts import TOPIC, Log, MemoryDeadLetters, MemorySource, MemoryStore, record_of

SWITCHES = ("fail", "hang", "crash", "rebalance", "go on")


class Fate:
    """Decides at every await what happens there, until it runs out of faults."""

    def __init__(self, seed, faults):
        self.random = random.Random(seed)
        self.left = faults
        self.source = None
        self.happened = []
        self.crashes = 0

    async def __call__(self, name):
        await asyncio.sleep(0)
        if not self.left or self.random.random() < 0.5:
            return
        self.left -= 1
        what = self.random.choice(SWITCHES)
        self.happened.append(f"{name}: {what}")
        if what == "fail":
            raise self.random.choice([StoreError("x"), OSError("x"), TimeoutError(), asyncio.CancelledError()])
        if what == "hang":
            await asyncio.Event().wait()
        elif what == "crash":
            self.crashes += 1
            self.runner.cancel()
            await asyncio.sleep(0)
        elif what == "rebalance":
            self.moving = asyncio.ensure_future(self.source.rebalance())
            await asyncio.sleep(0)


def stream(seed, count, bad):
    """Two partitions with events, some of them twice, with bytes that are no event and with poison."""
    chance = random.Random(seed)
    lanes = ([], [])
    for n in range(count):
        number = n % 2
        lane = lanes[number]
        offset = len(lane)
        if n in bad:
            lane.append(SourceRecord(Partition(TOPIC, number), offset, chance.choice([None, b"", b"{", b"\xff{}"])))
        else:
            again = n - 2 if n > 1 and n - 2 not in bad and chance.random() < 0.1 else n
            lane.append(record_of(an_event(again), offset, number))
    return Log(*lanes)


class Trial:
    """One stream, consumed by as many consumers as it takes."""

    def __init__(self, log, fate, refused, *, named, batch_size):
        self.log, self.fate, self.refused, self.named, self.batch_size = log, fate, refused, named, batch_size
        self.ran_ahead = []
        self.store = MemoryStore(before=fate, after=fate, refuse=self.refuse)
        self.dead_letters = MemoryDeadLetters(before=fate, after=fate)

    def refuse(self, events):
        if found := [event.event_id for event in events if event.event_id in self.refused]:
            raise SinkRejected(found if self.named else [], "poison")

    def is_dead(self, record):
        return (record.partition, record.offset) in self.dead_letters.kept

    def is_stored(self, record):
        return any(str(event_id).encode() in (record.value or b"") for _, event_id in self.store.rows)

    def no_offset_runs_ahead(self, offsets):
        for place, offset in offsets.items():
            for record in self.log.partitions[place][:offset]:
                if not (self.is_dead(record) or self.is_stored(record)):
                    # Raised here it would be a commit that failed, and tried again.
                    self.ran_ahead.append(record)

    async def one_life(self):
        fate = self.fate
        fate.source = MemorySource(self.log, before=fate, after=fate, on_commit=self.no_offset_runs_ahead)
        options = ConsumerOptions(
            batch_size=self.batch_size,
            first_pause=0.0,
            longest_pause=0.0,
            try_timeout=0.005,
            settle_timeout=fate.random.choice([1e-6, 0.003]),
        )
        consumer = Consumer(fate.source, self.store, self.dead_letters, options=options, registry=CollectorRegistry())
        fate.runner = asyncio.ensure_future(consumer.run())
        while not self.log.done and not fate.runner.done():  # noqa: ASYNC110 - a dictionary tells nobody of changes
            await asyncio.sleep(0)
        if fate.runner.done():
            assert fate.runner.cancelled(), fate.runner.exception()
        else:
            assert await consumer.stop()
            await asyncio.wait({fate.runner})

    async def run(self):
        async with asyncio.timeout(30):
            while not self.log.done:
                await self.one_life()


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 40),
    faults=st.integers(0, 25),
    bad=st.sets(st.integers(0, 39), max_size=5),
    poison=st.sets(st.integers(0, 39), max_size=4),
    named=st.booleans(),
    batch_size=st.integers(1, 12),
)
def test_each_record_is_kept_once_whatever_fails(seed, count, faults, bad, poison, named, batch_size):
    log = stream(seed, count, bad)
    refused = {an_event(n).event_id for n in poison}
    trial = Trial(log, Fate(seed, faults), refused, named=named, batch_size=batch_size)
    asyncio.run(trial.run())
    assert trial.ran_ahead == [], trial.fate.happened
    for record in (record for records in log.partitions.values() for record in records):
        value = record.value or b""
        holds_event = value.startswith(b'{"event_id"')
        is_poison = any(str(event_id).encode() in value for event_id in refused)
        assert trial.is_dead(record) == (is_poison or not holds_event), trial.fate.happened
        assert trial.is_stored(record) == (holds_event and not is_poison), trial.fate.happened
    ids = [event_id for _, event_id in trial.store.rows]
    assert len(ids) == len(set(ids))
