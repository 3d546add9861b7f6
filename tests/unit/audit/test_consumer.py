"""The consumer: rows before offsets, bad records out of the way, failures waited for, an end within its deadline."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import SinkRejected, StoreError
from tenaudit.audit.consumer import (
    Consumer,
    ConsumerOptions,
    ConsumerStalled,
    DeadLettersFull,
    Partition,
    SourceRecord,
    SourceUnavailable,
)
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance import an_event
from tests.unit.audit.consumer_parts import TOPIC, Log, MemoryDeadLetters, MemorySource, MemoryStore, record_of

NO_PAUSE = {"first_pause": 0.0, "longest_pause": 0.0}
P0 = Partition(TOPIC, 0)
START = an_event(0).occurred_at


def run(main):
    async def bounded():
        async with asyncio.timeout(20):
            return await main

    return asyncio.run(bounded())


async def eventually(holds):
    while not holds():  # noqa: ASYNC110 - counters and dictionaries tell nobody that they change
        await asyncio.sleep(0)


def log_of(count, **bad):
    records = [record_of(an_event(n), n, timestamp_ms=1_000 * n) for n in range(count)]
    for place, value in bad.items():
        offset = int(place.removeprefix("at_"))
        records[offset] = SourceRecord(P0, offset, value)
    return Log(records)


class Bench:
    """A consumer with its parts, and what its metrics say."""

    def __init__(self, log, *, source=None, store=None, dead_letters=None, clock=None, **options):
        self.registry = CollectorRegistry()
        self.log = log
        self.source = source or MemorySource(log)
        self.store = store or MemoryStore()
        self.dead_letters = dead_letters or MemoryDeadLetters()
        self.consumer = Consumer(
            self.source,
            self.store,
            self.dead_letters,
            options=ConsumerOptions(**{"batch_size": 10} | NO_PAUSE | options),
            registry=self.registry,
            clock=clock,
        )

    async def until(self, holds):
        """Run the consumer until *holds*, then stop it."""
        running = asyncio.ensure_future(self.consumer.run())
        await eventually(lambda: holds() or running.done())
        stopped = await self.consumer.stop()
        await running
        return stopped

    def sample(self, name, **labels):
        return self.registry.get_sample_value(name, labels)

    def ingested(self, outcome):
        return self.sample("audit_events_ingested_total", outcome=outcome)

    def failures(self, reason):
        return self.sample("audit_ingest_failures_total", reason=reason)

    @property
    def stored(self):
        return sorted(event.seq for event in self.store.rows.values())


class Flaky:
    """Fails the calls of one name: the first *times* of them."""

    def __init__(self, name, times, error):
        self.name, self.times, self.error = name, times, error

    async def __call__(self, name):
        if name == self.name and self.times:
            self.times -= 1
            raise self.error


class Gate:
    """Holds the calls of one name, after some have passed, until it is opened."""

    def __init__(self, name, after=0):
        self.name = name
        self.after = after
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, name):
        if name != self.name:
            return
        if self.after:
            self.after -= 1
            return
        self.reached.set()
        await self.open.wait()


def test_every_record_becomes_one_row_in_batches_and_is_committed_after_it():
    bench = Bench(log_of(25), clock=ManualClock(START.timestamp() + 100))
    assert run(bench.until(lambda: bench.log.done))
    assert bench.stored == list(range(25))
    assert [len(batch) for batch in bench.store.batches] == [10, 10, 5]
    assert bench.source.commits == [{P0: 10}, {P0: 20}, {P0: 25}]
    assert bench.ingested("stored") == 25
    assert bench.sample("audit_consumer_lag_records") == 0
    assert bench.sample("audit_last_ingest_timestamp_seconds") == START.timestamp() + 100
    assert bench.sample("audit_ingest_latency_seconds_count") == 3
    assert bench.sample("audit_ingest_latency_seconds_sum") == 100 + 90 + 80
    assert bench.consumer.health().ingested_at == START.timestamp() + 100


def test_the_lag_is_shown_in_records_and_seconds():
    async def main():
        gate = Gate("fetch", after=1)
        log = log_of(25)
        bench = Bench(log, source=MemorySource(log, before=gate), clock=ManualClock(100.0))
        running = asyncio.ensure_future(bench.consumer.run())
        await gate.reached.wait()
        assert bench.sample("audit_consumer_lag_records") == bench.consumer.health().lag == 15
        # The newest record so far was written at nine seconds.
        assert bench.sample("audit_consumer_lag_seconds") == 91.0
        gate.open.set()
        await eventually(lambda: log.done)
        await bench.consumer.stop()
        await running
        assert bench.sample("audit_consumer_lag_records") == bench.sample("audit_consumer_lag_seconds") == 0

    run(main())


def test_a_batch_is_bounded_in_bytes_but_one_large_record_goes_alone():
    events = [an_event(0), an_event(1, payload={"a": "x" * 3000}), an_event(2), an_event(3)]
    log = Log([record_of(event, offset) for offset, event in enumerate(events)])
    bench = Bench(log, batch_bytes=1500)
    run(bench.until(lambda: log.done))
    assert [[event.seq for event in batch] for batch in bench.store.batches] == [[0], [1], [2, 3]]


def test_what_comes_again_is_a_duplicate_and_other_content_a_conflict(caplog):
    events = [an_event(0), an_event(0), an_event(1)]
    bench = Bench(Log([record_of(event, offset) for offset, event in enumerate(events)]))
    run(bench.until(lambda: bench.log.done))
    assert (bench.ingested("stored"), bench.ingested("duplicate")) == (2, 1)
    again = Bench(Log([record_of(an_event(0, service="other"), 0)]), store=bench.store)
    with caplog.at_level(logging.ERROR, "tenaudit.audit"):
        run(again.until(lambda: again.log.done))
    assert again.ingested("conflict") == 1
    assert [record.action for record in caplog.records] == ["audit_event_conflict"]
    assert again.sample("audit_ingest_latency_seconds_count") == 0


def test_bytes_that_are_no_event_go_to_the_dead_letters_and_the_rest_is_stored():
    bench = Bench(log_of(500, at_7=b"\xff", at_8=None, at_300=b"{}"), batch_size=200)
    run(bench.until(lambda: bench.log.done))
    assert bench.stored == [n for n in range(500) if n not in (7, 8, 300)]
    reasons = {place[1]: reason for place, (_, reason) in bench.dead_letters.kept.items()}
    assert reasons == {7: "not_json", 8: "empty", 300: "invalid_event"}
    assert bench.dead_letters.kept[P0, 7][0].value == b"\xff"
    assert bench.ingested("dead_letter") == 3
    assert bench.failures("not_json") == 1


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("poison", [[3], [0, 9], list(range(10)), [2, 3, 4]])
def test_events_that_the_store_refuses_are_taken_out_of_the_batch(named, poison):
    bad = {an_event(n).event_id for n in poison}

    def refuse(events):
        if found := [event.event_id for event in events if event.event_id in bad]:
            raise SinkRejected(found if named else [], "nul")

    bench = Bench(log_of(10), store=MemoryStore(refuse=refuse))
    run(bench.until(lambda: bench.log.done))
    assert bench.stored == [n for n in range(10) if n not in poison]
    assert sorted(offset for _, offset in bench.dead_letters.kept) == poison
    assert {reason for _, reason in bench.dead_letters.kept.values()} == {"refused_by_store"}
    # Around what is refused, the order of arrival stays.
    assert [event.seq for batch in bench.store.batches for event in batch] == bench.stored


@pytest.mark.parametrize("error", [ValueError("x"), TypeError("x"), OverflowError("x"), RecursionError("x")])
def test_an_event_that_breaks_the_store_is_bisected_out(error):
    def refuse(events):
        if an_event(5) in events:
            raise error

    bench = Bench(log_of(10), store=MemoryStore(refuse=refuse))
    run(bench.until(lambda: bench.log.done))
    assert bench.stored == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert [offset for _, offset in bench.dead_letters.kept] == [5]


@pytest.mark.parametrize("error", [StoreError("down"), OSError("gone"), asyncio.CancelledError(), KeyError("driver")])
@pytest.mark.parametrize("lost_answer", [False, True])
def test_a_store_that_fails_is_waited_for_and_nothing_is_lost_or_doubled(error, lost_answer):
    flaky = Flaky("append", 3, error)
    store = MemoryStore(after=flaky) if lost_answer else MemoryStore(before=flaky)
    bench = Bench(log_of(10), store=store)
    run(bench.until(lambda: bench.log.done))
    assert bench.stored == list(range(10))
    assert bench.dead_letters.kept == {}
    assert bench.failures("store") == 3
    assert bench.consumer.health().failing_for == 0


def test_pauses_grow_and_are_bounded():
    bench = Bench(
        log_of(1), store=MemoryStore(before=Flaky("append", 6, StoreError())), first_pause=0.01, longest_pause=0.04
    )

    async def main():
        start = asyncio.get_running_loop().time()
        await bench.until(lambda: bench.log.done)
        return asyncio.get_running_loop().time() - start

    # At least half of 10, 20, 40, 40, 40 and 40 ms.
    assert run(main()) >= 0.095


def test_dead_letters_that_fail_are_waited_for_before_anything_is_committed():
    bench = Bench(log_of(3, at_1=b"no"), dead_letters=MemoryDeadLetters(before=Flaky("put", 4, ValueError("driver"))))
    run(bench.until(lambda: bench.log.done))
    assert [offset for _, offset in bench.dead_letters.kept] == [1]
    assert bench.failures("dead_letters") == 4
    assert bench.source.commits == [{P0: 3}]


def test_dead_letters_that_are_full_hold_up_the_stream_and_drop_nothing_until_there_is_room():
    async def main():
        told = []

        async def full(name):
            if name == "put" and len(told) < 3:
                told.append(bench.consumer.health().waits_for)
                raise DeadLettersFull("no room")

        bench = Bench(log_of(3, at_1=b"no"), dead_letters=MemoryDeadLetters(before=full))
        await bench.until(lambda: bench.log.done)
        assert told == [None, "dead_letters_full", "dead_letters_full"]
        assert bench.failures("dead_letters_full") == 3
        assert not bench.failures("dead_letters")
        assert [offset for _, offset in bench.dead_letters.kept] == [1]
        assert bench.stored == [0, 2]
        assert bench.source.commits == [{P0: 3}]
        assert bench.consumer.health().waits_for is None

    run(main())


@pytest.mark.parametrize("error", [SourceUnavailable(), ValueError("driver")])
def test_a_source_that_fails_is_waited_for(error):
    log = log_of(5)
    bench = Bench(log, source=MemorySource(log, before=Flaky("fetch", 3, error)))
    run(bench.until(lambda: log.done))
    assert bench.stored == list(range(5))
    assert bench.failures("source") == 3


@pytest.mark.parametrize("lost_answer", [False, True])
@pytest.mark.parametrize("error", [SourceUnavailable(), asyncio.CancelledError()])
def test_a_commit_that_fails_is_owed_until_it_succeeds(error, lost_answer):
    log = log_of(5)
    flaky = Flaky("commit", 2, error)
    source = MemorySource(log, after=flaky) if lost_answer else MemorySource(log, before=flaky)
    bench = Bench(log, source=source)
    run(bench.until(lambda: log.done and not flaky.times))
    assert log.committed == {P0: 5}
    assert bench.failures("commit") == 2
    assert len(bench.store.batches) == 1


def test_stopping_gives_up_a_commit_that_hangs():
    async def main():
        gate = Gate("commit")
        log = log_of(5)
        bench = Bench(log, source=MemorySource(log, before=gate), stop_timeout=0.05)
        running = asyncio.ensure_future(bench.consumer.run())
        await gate.reached.wait()
        assert not await bench.consumer.stop()
        await running
        assert bench.stored == list(range(5))
        assert log.committed == {P0: 0}

    run(main())


def test_a_call_that_hangs_is_tried_again_after_its_deadline():
    async def main():
        gate = Gate("append")
        bench = Bench(log_of(3), store=MemoryStore(before=gate), try_timeout=0.05)
        running = asyncio.ensure_future(bench.consumer.run())
        await eventually(lambda: bench.failures("store"))
        gate.open.set()
        await eventually(lambda: bench.log.done)
        await bench.consumer.stop()
        await running
        assert bench.stored == [0, 1, 2]

    run(main())


def test_failing_for_too_long_ends_the_consumer_with_nothing_committed():
    clock = ManualClock()

    async def fail(name):
        clock.advance(61)
        raise StoreError("down")

    bench = Bench(log_of(3), store=MemoryStore(before=fail), clock=clock, give_up_after=300)

    async def main():
        with pytest.raises(ConsumerStalled, match="store") as caught:
            await bench.consumer.run()
        assert isinstance(caught.value.__cause__, StoreError)
        assert await bench.consumer.stop()

    run(main())
    assert bench.failures("store") == 6
    assert not bench.consumer.health().flowing
    assert bench.consumer.health().failing_for == 305
    assert bench.log.committed == {P0: 0}


def test_stopping_finishes_the_batch_in_hand():
    async def main():
        gate = Gate("append")
        bench = Bench(log_of(25), store=MemoryStore(before=gate))
        running = asyncio.ensure_future(bench.consumer.run())
        await gate.reached.wait()
        stopping = asyncio.ensure_future(bench.consumer.stop())
        await asyncio.sleep(0)
        gate.open.set()
        assert await stopping
        await running
        assert bench.log.committed == {P0: 10}
        assert bench.stored == list(range(10))

    run(main())


def test_stopping_gives_up_a_batch_that_does_not_finish_in_time():
    async def main():
        gate = Gate("append")
        bench = Bench(log_of(25), store=MemoryStore(before=gate), stop_timeout=0.05)
        running = asyncio.ensure_future(bench.consumer.run())
        await gate.reached.wait()
        assert not await bench.consumer.stop()
        await running
        assert bench.log.committed == {P0: 0}

    run(main())


@pytest.mark.parametrize("name", ["fetch", "nothing"])
def test_stopping_does_not_wait_out_the_pause_of_a_failing_or_quiet_source(name):
    async def main():
        log = log_of(0)
        source = MemorySource(log, before=Flaky(name, 10**6, SourceUnavailable()))
        bench = Bench(log, source=source, first_pause=30, longest_pause=30)
        running = asyncio.ensure_future(bench.consumer.run())
        await eventually(lambda: name != "fetch" or bench.failures("source"))
        assert await bench.consumer.stop()
        await running
        assert bench.failures("abandoned") is None

    run(main())


def test_stopping_while_records_arrive_leaves_them_for_the_next():
    async def main():
        gate = Gate("fetch")
        log = log_of(5)
        bench = Bench(log, source=MemorySource(log, before=gate))
        running = asyncio.ensure_future(bench.consumer.run())
        await gate.reached.wait()
        stopping = asyncio.ensure_future(bench.consumer.stop())
        await asyncio.sleep(0)
        gate.open.set()
        assert await stopping
        await running
        assert bench.store.batches == []
        assert log.committed == {P0: 0}

    run(main())


def test_stopping_before_running_and_running_twice():
    async def main():
        bench = Bench(log_of(1))
        assert await bench.consumer.stop()
        await bench.consumer.run()
        assert bench.store.batches == []
        with pytest.raises(ConfigurationError, match="make another"):
            await bench.consumer.run()

    run(main())


def test_cancelling_the_caller_cancels_the_consumer():
    async def main():
        gate = Gate("append")
        bench = Bench(log_of(1), store=MemoryStore(before=gate))
        running = asyncio.ensure_future(bench.consumer.run())
        await gate.reached.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert bench.log.committed == {P0: 0}
        assert await bench.consumer.stop()

    run(main())


def test_a_rebalance_waits_for_the_batch_in_hand():
    async def main():
        gate = Gate("append")
        bench = Bench(log_of(5), store=MemoryStore(before=gate))
        running = asyncio.ensure_future(bench.consumer.run())
        await gate.reached.wait()
        moving = asyncio.ensure_future(bench.source.rebalance())
        await asyncio.sleep(0)
        assert not moving.done()
        gate.open.set()
        await moving
        # Settled: committed before the partitions went, and so not fetched again.
        assert bench.log.committed == {P0: 5}
        await bench.consumer.stop()
        await running
        assert len(bench.store.batches) == 1

    run(main())


def test_a_batch_that_a_rebalance_cannot_wait_for_is_given_up_and_comes_again():
    async def main():
        flaky = Flaky("append", 10**6, StoreError())
        bench = Bench(log_of(5), store=MemoryStore(before=flaky), settle_timeout=0.05, first_pause=30, longest_pause=30)
        running = asyncio.ensure_future(bench.consumer.run())
        await eventually(lambda: bench.failures("store"))
        flaky.times = 0
        await bench.source.rebalance()
        await eventually(lambda: bench.log.done)
        await bench.consumer.stop()
        await running
        assert bench.failures("abandoned") == 1
        assert bench.stored == list(range(5))

    run(main())


def test_what_follows_a_batch_that_was_given_up_is_not_committed_in_its_epoch():
    clock = ManualClock()
    log = log_of(20)

    async def main():
        flaky = Flaky("append", 10**6, StoreError())
        settle = None

        class Rude(MemorySource):
            """Lets the batch be given up, and then keeps its partitions."""

            def on_revoke(self, given):
                nonlocal settle
                settle = given

        bench = Bench(
            log,
            source=Rude(log),
            store=MemoryStore(before=flaky),
            settle_timeout=0.01,
            first_pause=0.05,
            longest_pause=0.05,
            clock=clock,
        )
        running = asyncio.ensure_future(bench.consumer.run())
        await eventually(lambda: bench.failures("store"))
        await settle()
        flaky.times = 0
        await eventually(lambda: bench.failures("source"))
        clock.advance(601)
        with pytest.raises(ConsumerStalled, match="source"):
            await running
        assert log.committed == {P0: 0}
        assert bench.stored == []

    run(main())


def test_a_batch_that_outlives_its_epoch_is_stored_but_not_committed():
    async def main():
        gate = Gate("append")
        bench = Bench(log_of(5), store=MemoryStore(before=gate), settle_timeout=0.05)
        running = asyncio.ensure_future(bench.consumer.run())
        await gate.reached.wait()
        await bench.source.rebalance()
        assert bench.source.commits == []
        gate.open.set()
        await eventually(lambda: bench.log.done)
        await bench.consumer.stop()
        await running
        assert bench.failures("partitions_moved") == 1
        assert bench.ingested("duplicate") == 5
        assert bench.stored == list(range(5))

    run(main())


@pytest.mark.parametrize("name", ["batch_size", "batch_bytes", "poll", "try_timeout", "give_up_after"])
def test_bounds_that_bound_nothing_are_refused_by_name(name):
    with pytest.raises(ConfigurationError, match=name):
        ConsumerOptions(**{name: 0})
    with pytest.raises(ConfigurationError, match="first_pause"):
        ConsumerOptions(first_pause=-1)
