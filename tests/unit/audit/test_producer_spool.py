"""A producer with a spool: what the sink cannot take waits on disk, and comes in order, once it is back."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import (
    AuditProducer,
    DeliveryUnknown,
    EmitRejected,
    SinkRejected,
    SpoolBatch,
    SpoolError,
    SpoolFull,
    SpoolStats,
)
from tenaudit.backends.spool import DiskSpool
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.conformance import an_event
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))
USUAL = {"linger": 0.0, "close_timeout": 5.0, "spool_after": 0.1}


class MemorySpool:
    """A spool in memory that fails when it is told to."""

    def __init__(self):
        self.held = []
        self.error = None
        self.read_error = None
        self.closed = 0

    async def append(self, events):
        if self.error is not None:
            raise self.error
        self.held += events

    async def read(self, limit):

        if self.read_error is not None:
            raise self.read_error
        return SpoolBatch(tuple(self.held[:limit]), len(self.held[:limit]))

    async def ack(self, token):
        del self.held[:token]

    def stats(self):
        return SpoolStats(len(self.held), 100 * len(self.held), 7.0 if self.held else 0.0, 0, 0)

    async def close(self):
        self.closed += 1


def make(sink, spool, **options):
    return AuditProducer(sink, service="orders", spool=spool, **USUAL | {"registry": CollectorRegistry()} | options)


def emit(producer, count, start=0):
    return [producer.emit("order.created", payload={"n": start + n}, context=CTX).status for n in range(count)]


def numbers(sink):
    return [event.payload["n"] for event in sink.events]


def balanced(producer):
    stats = producer.stats()
    return stats.emitted == stats.delivered + stats.dropped + stats.spooled + stats.queued


async def until(condition):
    while not condition():  # noqa: ASYNC110 - most conditions here have no event that tells of them
        await asyncio.sleep(0.01)


def run(main):
    async def bounded():
        async with asyncio.timeout(60):
            await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(bounded())


def test_a_sink_that_is_away_for_long_leaves_everything_on_disk_and_gets_it_in_order(tmp_path):
    async def main():
        sink = ScriptedSink()
        async with make(sink, DiskSpool(tmp_path), batch_size=10) as producer:
            sink.down = True
            emit(producer, 25)
            await until(lambda: producer.stats().spooled == 25)
            assert producer.stats() == (25, 0, 0, 0, 25, 0)
            emit(producer, 25, 25)
            await until(lambda: producer.stats().spooled == 50)
            assert not await producer.flush(0.05)
            sink.down = False
            emit(producer, 10, 50)
            assert await producer.flush(30)
            assert numbers(sink) == list(range(60))
            assert producer.stats() == (60, 60, 0, 0, 0, 0)
            emit(producer, 5, 60)
            assert await producer.flush(30)
        assert numbers(sink) == list(range(65))
        assert producer.stats() == (65, 65, 0, 0, 0, 0)

    run(main)


def test_a_short_outage_needs_no_disk():
    async def main():
        sink, spool = ScriptedSink(), MemorySpool()
        spool.error = SpoolError("not to be used")
        async with make(sink, spool, spool_after=30.0) as producer:
            sink.down = True
            emit(producer, 5)
            await sink.attempted(3)
            sink.down = False
            assert await producer.flush(30)
        assert numbers(sink) == list(range(5))
        assert spool.closed == 1

    run(main)


def test_a_write_that_hangs_is_left_for_the_spool(tmp_path):
    async def main():
        sink = ScriptedSink()
        async with make(sink, DiskSpool(tmp_path), write_timeout=60.0) as producer:
            sink.hang()
            emit(producer, 5)
            await until(lambda: producer.stats().spooled == 5)
            emit(producer, 5, 5)
            await until(lambda: producer.stats().spooled == 10)
            sink.resume()
            assert await producer.flush(30)
            assert numbers(sink) == list(range(10))
            assert balanced(producer)

    run(main)


def test_emit_durable_returns_when_the_spool_has_it(tmp_path):
    async def main():
        sink = ScriptedSink()
        async with make(sink, DiskSpool(tmp_path), linger=30.0) as producer:
            first = await producer.emit_durable("order.created", context=CTX)
            assert first.status == "accepted"
            sink.hang()
            results = await asyncio.gather(
                *(producer.emit_durable("order.created", context=CTX, payload={"n": n}) for n in range(3))
            )
            assert [result.status for result in results] == ["spooled"] * 3
            last = await producer.emit_durable("order.created", context=CTX, payload={"n": 3})
            assert last.status == "spooled"
            assert last.event_id is not None
            assert producer.stats() == (5, 1, 0, 0, 4, 0)
            sink.resume()
            assert await producer.flush(30)
            assert producer.stats() == (5, 5, 0, 0, 0, 0)

    run(main)


@pytest.mark.parametrize("ill", ["down", "hang", "stubborn"])
def test_closing_spools_what_is_left_and_the_next_process_delivers_it(tmp_path, ill):
    async def main():
        sink = ScriptedSink()
        producer = make(sink, DiskSpool(tmp_path), batch_size=4, close_timeout=1.0, spool_after=30.0)
        async with producer:
            sink.down = ill == "down"
            sink.stubborn = ill == "stubborn"
            if ill != "down":
                sink.hang()
            emit(producer, 10)
            await sink.attempted(1)
            started = time.monotonic()
        assert time.monotonic() - started < 1.0 + 4.5
        assert producer.stats() == (10, 0, 0, 0, 10, 0)
        sink.resume()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()} or {asyncio.ensure_future(asyncio.sleep(0))})
        fresh = ScriptedSink()
        second = make(fresh, DiskSpool(tmp_path))
        async with second:
            await until(lambda: len(fresh.events) == 10)
            emit(second, 3, 10)
            assert await second.flush(30)
        assert numbers(fresh) == list(range(13))
        # What an earlier process left behind is not in the account of this one.
        assert second.stats() == (3, 3, 0, 0, 0, 0)

    run(main)


def test_closing_tells_whoever_flushes_that_the_sink_has_not_everything(tmp_path):
    async def main():
        sink = ScriptedSink()
        async with make(sink, DiskSpool(tmp_path)) as producer:
            sink.down = True
            emit(producer, 3)
            await until(lambda: producer.stats().spooled == 3)
            flushing = asyncio.ensure_future(producer.flush(50.0))
            await asyncio.sleep(0)
        assert await flushing is False

    run(main)


def test_closing_with_a_sink_that_is_well_drains_the_spool_too(tmp_path):
    async def main():
        sink = ScriptedSink()
        producer = make(sink, DiskSpool(tmp_path), batch_size=5)
        async with producer:
            sink.down = True
            emit(producer, 50)
            await until(lambda: producer.stats().spooled == 50)
            sink.down = False
        assert numbers(sink) == list(range(50))
        assert producer.stats() == (50, 50, 0, 0, 0, 0)

    run(main)


def test_closing_in_an_outage_that_goes_on_keeps_all_on_disk(tmp_path):
    async def main():
        sink = ScriptedSink()
        producer = make(sink, DiskSpool(tmp_path), batch_size=5)
        async with producer:
            sink.down = True
            emit(producer, 50)
            await until(lambda: producer.stats().spooled == 50)
            emit(producer, 7, 50)
            started = time.monotonic()
        assert time.monotonic() - started < 4
        assert producer.stats() == (57, 0, 0, 0, 57, 0)

    run(main)


def test_closing_ends_a_delivery_out_of_the_spool_that_hangs(tmp_path):
    async def main():
        sink = ScriptedSink()
        producer = make(sink, DiskSpool(tmp_path), batch_size=5, close_timeout=1.0, write_timeout=60.0)
        async with producer:
            sink.down = True
            emit(producer, 20)
            await until(lambda: producer.stats().spooled == 20)
            sink.hang()
            await sink.attempted(sink.attempts + 1)
            emit(producer, 5, 20)
            started = time.monotonic()
        assert time.monotonic() - started < 1.0 + 2
        assert producer.stats() == (25, 0, 0, 0, 25, 0)

    run(main)


def test_a_slow_sink_is_given_its_time_while_the_spool_takes_nothing():
    async def main():
        sink, spool = ScriptedSink(), MemorySpool()
        spool.error = SpoolFull()
        options = {"overflow": "spool", "capacity": 10, "spool_after": 60.0, "write_timeout": 60.0, "batch_size": 5}
        async with make(sink, spool, **options) as producer:
            sink.hang()
            emit(producer, 20)
            await sink.attempted(2)
            # The first write was cut off for the spool, which refused; this one must not be.
            await asyncio.sleep(0.2)
            assert sink.attempts == 2
            sink.resume()
            assert await producer.flush(30)
            assert numbers(sink) == list(range(20))

    run(main)


def test_a_queue_that_runs_full_is_emptied_to_disk_before_the_outage_is_long(tmp_path):
    async def main():
        sink = ScriptedSink()
        async with make(
            sink, DiskSpool(tmp_path), overflow="spool", capacity=100, batch_size=10, spool_after=60.0, write_timeout=60
        ) as producer:
            sink.hang()
            for start in range(0, 2000, 50):
                assert set(emit(producer, 50, start)) == {"accepted"}
                await until(lambda: producer.stats().queued <= 100)
            assert producer.stats().dropped == 0
            assert producer.stats().spooled > 1500
            # Up to twice the capacity may come before the disk has its turn; what comes on top is dropped and told.
            assert emit(producer, 400, 2000).count("dropped") in range(100, 301)
            sink.resume()
            assert await producer.flush(30)
            assert numbers(sink) == sorted(numbers(sink))
            assert balanced(producer)
            assert set(range(2000)) <= set(numbers(sink))

    run(main)


def test_a_burst_that_a_well_sink_takes_never_sees_the_disk():
    async def main():
        sink, spool = ScriptedSink(), MemorySpool()
        spool.error = SpoolError("not to be used")
        async with make(sink, spool, overflow="spool", capacity=100, spool_after=60.0) as producer:
            assert set(emit(producer, 200)) == {"accepted"}
            assert await producer.flush(30)
        assert numbers(sink) == list(range(200))

    run(main)


@pytest.mark.parametrize("error", [SpoolFull(), SpoolError("disk"), RuntimeError("bug")])
def test_a_spool_that_takes_nothing_leaves_events_in_memory_and_the_sink_gets_them(error):
    async def main():
        sink, spool = ScriptedSink(), MemorySpool()
        spool.error = error
        async with make(sink, spool, spool_after=0.05) as producer:
            sink.down = True
            emit(producer, 20)
            await sink.attempted(3)
            assert producer.stats() == (20, 0, 0, 0, 0, 20)
            sink.down = False
            assert await producer.flush(30)
        assert numbers(sink) == list(range(20))

    run(main)


def test_a_spool_that_runs_full_in_the_outage_keeps_order_and_counts_what_memory_drops():
    async def main():
        sink, spool = ScriptedSink(), MemorySpool()
        async with make(sink, spool, capacity=20, batch_size=5) as producer:
            sink.down = True
            emit(producer, 10)
            await until(lambda: producer.stats().spooled == 10)
            spool.error = SpoolFull()
            statuses = emit(producer, 40, 10)
            await sink.attempted(sink.attempts + 2)
            assert producer.stats().dropped == statuses.count("dropped") > 0
            assert balanced(producer)
            spool.error = None
            sink.down = False
            assert await producer.flush(30)
            assert numbers(sink) == sorted(numbers(sink))
            assert producer.stats().delivered == 50 - statuses.count("dropped")

    run(main)


def test_a_spool_that_has_room_again_is_found_though_memory_is_full_and_nobody_comes():
    async def main():
        sink, spool = ScriptedSink(), MemorySpool()
        sink.down = True
        async with make(sink, spool, overflow="spool", capacity=20, batch_size=5, spool_after=0.02) as producer:
            emit(producer, 10)
            await until(lambda: producer.stats().spooled == 10)
            spool.error = SpoolFull("full")
            await until(lambda: "dropped" in emit(producer, 1))
            spool.error = None
            await until(lambda: producer.stats().queued == 0)
            assert producer.stats().spooled == len(spool.held) > 10
            assert balanced(producer)
            sink.down = False
            assert await producer.flush(30)
            assert numbers(sink)[:10] == list(range(10))

    run(main)


def test_a_spool_that_cannot_be_read_stops_nothing_else():
    async def main():
        sink, spool = ScriptedSink(), MemorySpool()
        spool.read_error = SpoolError("disk")
        spool.held = []
        async with make(sink, spool) as producer:
            sink.down = True
            emit(producer, 5)
            await until(lambda: producer.stats().spooled == 5)
            sink.down = False
            emit(producer, 5, 5)
            spool.error = SpoolError("disk")
            emit(producer, 5, 10)
            await until(lambda: len(sink.events) >= 5)
            spool.read_error = spool.error = None
            assert await producer.flush(30)
            assert sorted(numbers(sink)) == list(range(15))
            assert producer.stats() == (15, 15, 0, 0, 0, 0)

    run(main)


@pytest.mark.parametrize("named", [True, False])
def test_a_refusal_out_of_the_spool_drops_only_whom_it_means(tmp_path, named):
    async def main():
        sink = ScriptedSink()
        async with make(sink, DiskSpool(tmp_path)) as producer:
            sink.down = True
            emit(producer, 40)
            await until(lambda: producer.stats().spooled == 40)
            sink.names_refused = named
            sink.refuses = lambda event: event.payload["n"] in (3, 17)
            sink.down = False
            assert await producer.flush(30)
            assert numbers(sink) == [n for n in range(40) if n not in (3, 17)]
            assert producer.stats() == (40, 38, 2, 0, 0, 0)

    run(main)


def test_a_sink_that_is_cancelled_inside_is_a_sink_that_is_down(tmp_path):
    async def main():
        sink = ScriptedSink()
        async with make(sink, DiskSpool(tmp_path)) as producer:
            sink.error = asyncio.CancelledError()
            emit(producer, 4)
            await until(lambda: producer.stats().spooled == 4)
            await sink.attempted(sink.attempts + 2)
            sink.error = None
            assert await producer.flush(30)
            assert numbers(sink) == list(range(4))

    run(main)


def test_events_that_damage_took_out_of_the_spool_are_counted_as_dropped():
    async def main():
        sink, spool = ScriptedSink(), MemorySpool()
        async with make(sink, spool, batch_size=2) as producer:
            sink.down = True
            emit(producer, 9)
            await until(lambda: producer.stats().spooled == 9)
            del spool.held[4:6]
            sink.down = False
            assert await producer.flush(30)
            await until(lambda: producer.stats().spooled == 0)
            assert producer.stats() == (9, 7, 2, 0, 0, 0)

    run(main)


def test_what_no_spool_can_hold_is_dropped_and_told(tmp_path):
    async def main():
        class Choosy(MemorySpool):
            async def append(self, events):
                bad = [event.event_id for event in events if event.payload.get("n") == 1]
                if bad:
                    raise SinkRejected(bad, "not_json")
                await super().append(events)

        sink = ScriptedSink()
        async with make(sink, Choosy()) as producer:
            sink.down = True
            emit(producer, 3)
            await until(lambda: producer.stats().spooled == 2)
            with pytest.raises(EmitRejected):
                await producer.emit_durable("order.created", payload={"n": 1}, context=CTX)
            assert producer.stats() == (4, 0, 2, 0, 2, 0)

    run(main)


def test_a_spool_that_hangs_at_closing_is_left_behind_and_counted():
    async def main():
        class Hanging(MemorySpool):
            async def append(self, events):
                await asyncio.Event().wait()

        sink = ScriptedSink()
        producer = make(sink, Hanging(), close_timeout=0.5, spool_after=30.0)
        async with producer:
            sink.down = True
            emit(producer, 3)
            waiting = asyncio.ensure_future(producer.emit_durable("order.created", context=CTX, deadline=60))
            await sink.attempted(1)
            started = time.monotonic()
        assert time.monotonic() - started < 5
        with pytest.raises(DeliveryUnknown):
            await waiting
        assert producer.stats() == (4, 0, 4, 0, 0, 0)

    run(main)


def test_a_folder_that_another_has_is_told_at_the_start(tmp_path):
    async def main():
        async with DiskSpool(tmp_path):
            with pytest.raises(ConfigurationError, match="in use"):
                await make(ScriptedSink(), DiskSpool(tmp_path)).__aenter__()

    run(main)


def test_a_spool_that_fails_at_the_start_is_no_reason_not_to_start(tmp_path):
    async def main():
        (tmp_path / "file").touch()
        sink = ScriptedSink()
        async with make(sink, DiskSpool(tmp_path / "file" / "spool")) as producer:
            emit(producer, 3)
            assert await producer.flush(30)
        assert numbers(sink) == [0, 1, 2]

    run(main)


def test_wrong_wiring_is_told_at_once():
    for options, said in (
        ({"overflow": "spool"}, "needs spool="),
        ({"spool": object()}, "must be a Spool"),
        ({"spool_after": 0}, "spool_after"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            AuditProducer(ScriptedSink.__new__(ScriptedSink), service="orders", registry=CollectorRegistry(), **options)


def test_the_gauges_show_the_spool():
    async def main():
        registry = CollectorRegistry()
        sink, spool, other = ScriptedSink(), MemorySpool(), MemorySpool()
        async with make(sink, spool, registry=registry) as producer, make(sink, other, registry=registry):
            assert registry.get_sample_value("audit_spool_bytes") == 0
            assert registry.get_sample_value("audit_spool_oldest_age_seconds") == 0
            sink.down = True
            emit(producer, 4)
            await until(lambda: producer.stats().spooled == 4)
            assert registry.get_sample_value("audit_spool_bytes") == 400
            assert registry.get_sample_value("audit_spool_oldest_age_seconds") == 7
            assert registry.get_sample_value("audit_events_emitted_total", {"outcome": "accepted"}) == 4
            sink.down = False

    run(main)


def test_several_processes_publish_the_gauges_after_each_batch(monkeypatch, tmp_path):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    async def main():
        registry = CollectorRegistry()
        sink, spool = ScriptedSink(), MemorySpool()
        async with make(sink, spool, registry=registry) as producer:
            sink.down = True
            emit(producer, 4)
            await until(lambda: producer.stats().spooled == 4)
            assert registry.get_sample_value("audit_spool_bytes") == 400
            assert registry.get_sample_value("audit_spool_oldest_age_seconds") == 7
            sink.down = False
            assert await producer.flush(30)
            assert registry.get_sample_value("audit_spool_bytes") == 0

    run(main)


class HoppingSpool(MemorySpool):
    """A spool on another thread: its answers are some passes of the event loop old."""

    def __init__(self, reading, writing):
        super().__init__()
        self._reading = reading
        self._writing = writing

    async def append(self, events):
        await super().append(events)
        await hop(self._writing)

    async def read(self, limit):
        batch = await super().read(limit)
        await hop(self._reading)
        return batch


async def hop(passes):
    for _ in range(passes):
        await asyncio.sleep(0)


@pytest.mark.parametrize("reading", range(4))
@pytest.mark.parametrize("writing", range(4))
def test_what_comes_while_the_last_of_the_spool_is_carried_overtakes_nothing(reading, writing):
    async def main():
        sink, spool = ScriptedSink(), HoppingSpool(reading, writing)
        async with make(sink, spool, batch_size=10) as producer:
            sink.down = True
            emit(producer, 15)
            await until(lambda: producer.stats().spooled == 15)
            sink.down = False
            while not sink.events:  # noqa: ASYNC110 - the very next pass is meant
                await asyncio.sleep(0)
            for number in range(15, 215):
                emit(producer, 1, number)
                await asyncio.sleep(0)
            assert await producer.flush(30)
        assert numbers(sink) == list(range(215))

    run(main)


def left_behind(spool, count=3):
    """Let a spool that fails hold what an earlier process left."""
    spool.held = [an_event(n, payload={"n": n - count}) for n in range(count)]
    spool.read_error = spool.error = SpoolError("disk")
    return spool


def test_a_spool_that_can_be_read_again_lets_nothing_overtake():
    async def main():
        sink, spool = ScriptedSink(), left_behind(HoppingSpool(0, 0))
        async with make(sink, spool, batch_size=10) as producer:
            emit(producer, 1)
            await until(lambda: sink.events)
            spool.read_error = spool.error = None
            while len(sink.events) < 4:  # noqa: ASYNC110 - the very next pass is meant
                await asyncio.sleep(0)
            for number in range(1, 201):
                emit(producer, 1, number)
                await asyncio.sleep(0)
            assert await producer.flush(30)
        assert numbers(sink) == [0, -3, -2, -1, *range(1, 201)]

    run(main)


def test_a_sink_that_is_well_is_not_starved_beside_a_spool_that_is_not():
    async def main():
        sink, spool = ScriptedSink(), left_behind(MemorySpool())
        async with make(sink, spool, batch_size=10, capacity=1000) as producer:
            emit(producer, 500)
            # Fifty batches, in the time of a few rests of the spool.
            async with asyncio.timeout(10):
                await until(lambda: producer.stats().delivered == 500)
            spool.read_error = spool.error = None
            await until(lambda: len(sink.events) == 503)
        assert numbers(sink) == [*range(500), -3, -2, -1]

    run(main)


def test_a_sink_that_fails_at_the_end_is_not_asked_over_and_over():
    async def main():
        sink, spool = ScriptedSink(), MemorySpool()
        async with make(sink, spool, batch_size=10, close_timeout=2.0) as producer:
            sink.down = True
            emit(producer, 10)
            await until(lambda: producer.stats().spooled == 10)
            emit(producer, 10, 10)
            tries = sink.attempts
        assert sink.attempts - tries < 20
        assert numbers(sink) == []
        assert [event.payload["n"] for event in spool.held] == list(range(20))

    run(main)


class LateSpool(MemorySpool):
    """A spool that shows events before it says that it took them."""

    def __init__(self):
        super().__init__()
        self.answers = asyncio.Event()
        self.answers.set()

    async def append(self, events):
        await super().append(events)
        await self.answers.wait()


def test_a_spool_that_shows_events_before_it_answers_makes_no_account_negative():
    async def main():
        sink, spool = ScriptedSink(), LateSpool()
        async with make(sink, spool, batch_size=10) as producer:
            sink.down = True
            emit(producer, 5)
            await until(lambda: producer.stats().spooled == 5)
            spool.answers.clear()
            emit(producer, 10, 5)
            await until(lambda: len(spool.held) == 15)
            sink.down = False
            await until(lambda: len(sink.events) == 15 and not spool.held)
            spool.answers.set()
            async with asyncio.timeout(10):
                await until(lambda: producer.stats() == (15, 15, 0, 0, 0, 0))

    run(main)
