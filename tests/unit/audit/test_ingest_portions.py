"""A large batch goes in portions: the next is decoded while the store has one, and nothing overtakes anything."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import SinkRejected, StoreError
from tenaudit.audit.consumer import Consumer, ConsumerOptions, Partition, SourceRecord
from tenaudit.testing.conformance import an_event
from tests.unit.audit.consumer_parts import TOPIC, Log, MemoryDeadLetters, MemorySource, MemoryStore, record_of

PORTION = 1_000
COUNT = 2 * PORTION + 100
EVENTS = [an_event(n) for n in range(COUNT)]


class Telling(tuple):
    """Headers that tell when they are looked at, which is when their record is decoded."""

    __slots__ = ()
    seen = None

    def __iter__(self):
        Telling.seen()
        return super().__iter__()


def run(main):
    async def bounded():
        async with asyncio.timeout(20):
            return await main

    return asyncio.run(bounded())


async def consumed(log, store, *, dead_letters=None, until=lambda _consumer, log: log.done, **options):
    options = {"first_pause": 0.0, "longest_pause": 0.0} | options
    source = MemorySource(log)
    consumer = Consumer(
        source,
        store,
        dead_letters or MemoryDeadLetters(),
        options=ConsumerOptions(**options),
        registry=CollectorRegistry(),
    )
    running = asyncio.create_task(consumer.run())
    while not until(consumer, log):  # noqa: ASYNC110 - a dictionary tells nobody that it changes
        await asyncio.sleep(0)
    stopped = await consumer.stop()
    await running
    return source, stopped


def test_portions_are_stored_one_after_another_and_committed_together():
    async def main():
        store, log = MemoryStore(), Log([record_of(event, n) for n, event in enumerate(EVENTS)])
        source, _ = await consumed(log, store)
        assert [len(batch) for batch in store.batches] == [PORTION, PORTION, 100]
        assert [event for batch in store.batches for event in batch] == EVENTS
        assert source.commits == [{Partition(TOPIC, 0): COUNT}]

    run(main())


def test_the_next_portion_is_decoded_while_the_store_works():
    async def main():
        decoded = asyncio.Event()
        Telling.seen = decoded.set
        records = [record_of(event, n) for n, event in enumerate(EVENTS)]
        last = records[COUNT - 101]
        records[COUNT - 101] = SourceRecord(last.partition, last.offset, last.value, last.key, Telling(last.headers))

        async def before(_what):
            # The first append ends only once a record of the second portion was looked at.
            await decoded.wait()

        store, log = MemoryStore(before=before), Log(records)
        await consumed(log, store)
        assert len(store.rows) == COUNT

    run(main())


def test_a_portion_that_fails_is_tried_again_before_the_next():
    async def main():
        failures = iter([StoreError("down"), StoreError("down"), None, StoreError("down")])

        async def before(_what):
            if error := next(failures, None):
                raise error

        store, log = MemoryStore(before=before), Log([record_of(event, n) for n, event in enumerate(EVENTS)])
        await consumed(log, store)
        assert [event for batch in store.batches for event in batch] == EVENTS

    run(main())


def test_bad_records_of_every_portion_are_buried_and_the_others_stored():
    async def main():
        records = [record_of(event, n) for n, event in enumerate(EVENTS)]
        for offset in (0, PORTION - 1, PORTION, COUNT - 1):
            records[offset] = SourceRecord(Partition(TOPIC, 0), offset, b"{")
        dead_letters, store, log = MemoryDeadLetters(), MemoryStore(), Log(records)
        await consumed(log, store, dead_letters=dead_letters)
        assert [offset for _, offset in dead_letters.kept] == [0, PORTION - 1, PORTION, COUNT - 1]
        assert len(store.rows) == COUNT - 4

    run(main())


@pytest.mark.parametrize("hanging", [1, 2, 3])
def test_a_portion_in_the_store_is_given_up_with_its_batch(hanging):
    async def main():
        calls, left = [], []

        async def before(_what):
            calls.append(None)
            if len(calls) == hanging:
                try:
                    await asyncio.Event().wait()
                finally:
                    left.append(None)

        store, log = MemoryStore(before=before), Log([record_of(event, n) for n, event in enumerate(EVENTS)])
        source, stopped = await consumed(
            log, store, until=lambda _consumer, _log: len(calls) == hanging, stop_timeout=0.05
        )
        assert (stopped, left, source.commits) == (False, [None], [])
        assert len(store.batches) == hanging - 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


class StagingStore(MemoryStore):
    """A store that does some of the work before, and says when."""

    def __init__(self, *, refuse_staging=False, **options):
        super().__init__(**options)
        self.steps = []
        self._refuse_staging = refuse_staging

    async def stage(self, events):
        self.steps.append(("stage", len(events)))
        if self._refuse_staging:
            raise SinkRejected([events[0].event_id], "not_canonical")

        async def rest():
            self.steps.append(("rest", len(events)))
            return await super(StagingStore, self).append(events)

        return rest

    async def append(self, events):
        self.steps.append(("append", len(events)))
        return await super().append(events)


def test_the_next_portion_is_staged_while_the_store_works():
    async def main():
        async def before(_what):
            while len(store.steps) < 3:  # noqa: ASYNC110 - a list tells nobody that it grows
                await asyncio.sleep(0)

        store = StagingStore(before=before)
        await consumed(Log([record_of(event, n) for n, event in enumerate(EVENTS[: PORTION + 400])]), store)
        assert store.steps == [("stage", PORTION), ("rest", PORTION), ("stage", 400), ("rest", 400)]

    run(main())


def test_a_staged_portion_that_fails_is_tried_again_as_it_is():
    async def main():
        failures = iter([StoreError("down")])

        async def before(_what):
            if error := next(failures, None):
                raise error

        store = StagingStore(before=before)
        await consumed(Log([record_of(event, n) for n, event in enumerate(EVENTS[:10])]), store)
        assert store.steps == [("stage", 10), ("rest", 10), ("rest", 10)]

    run(main())


def test_a_staged_portion_that_is_refused_is_appended_without_what_is_named():
    async def main():
        bad = EVENTS[3].event_id

        def refuse(events):
            if any(event.event_id == bad for event in events):
                raise SinkRejected([bad])

        dead_letters, store = MemoryDeadLetters(), StagingStore(refuse=refuse)
        await consumed(
            Log([record_of(event, n) for n, event in enumerate(EVENTS[:10])]), store, dead_letters=dead_letters
        )
        assert store.steps == [("stage", 10), ("rest", 10), ("append", 9)]
        assert [offset for _, offset in dead_letters.kept] == [3]

    run(main())


def test_what_cannot_be_staged_is_appended():
    async def main():
        store = StagingStore(refuse_staging=True)
        await consumed(Log([record_of(event, n) for n, event in enumerate(EVENTS[:10])]), store)
        assert store.steps == [("stage", 10), ("append", 10)]

    run(main())


def test_a_portion_without_any_event_is_not_staged():
    async def main():
        store = StagingStore()
        await consumed(Log([SourceRecord(Partition(TOPIC, 0), 0, b"{")]), store)
        assert store.steps == []

    run(main())
