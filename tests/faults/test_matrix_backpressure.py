"""Row 16: a sink ten times slower than the requests: the queue keeps its bounds, each policy does what it says."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.backends.spool import DiskSpool
from tenaudit.testing.ledger import Ledger
from tests.faults.slow_sink import SlowSink
from tests.faults.tier import SEED, rounds
from tests.faults.traffic import Traffic, contexts
from tests.faults.virtual_time import run_virtual

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

RATE = 1000
SECONDS = rounds(5, 120)
CAPACITY = 300
BATCH = 50
TEXT = 1000
UNBOUNDED = 10**9


def dropped(registry, reason):
    return registry.get_sample_value("audit_events_dropped_total", {"reason": reason}) or 0.0


class Case:
    """A producer over a sink ten times too slow, its account and the bounds that it is held to."""

    def __init__(self, *, capacity=CAPACITY, max_bytes=16 * 2**20, room=1, rate=RATE / 10, **options):
        self.registry = CollectorRegistry()
        self.ledger = Ledger()
        self.sink = SlowSink(rate)
        self.capacity, self.max_bytes, self.room = capacity, max_bytes, room
        self.deepest = 0
        usual = {"batch_size": BATCH, "service": "orders", "registry": self.registry}
        self.producer = AuditProducer(self.sink, capacity=capacity, max_bytes=max_bytes, **usual | options)
        self.traffic = Traffic(self.producer, self.ledger.note, payload={"text": "x" * TEXT})

    def look(self):
        """Hold the queue to its bounds; an event counts as more than its text."""
        depth = self.registry.get_sample_value("audit_queue_depth")
        self.deepest = max(self.deepest, depth)
        assert depth <= self.room * self.capacity
        assert depth * TEXT <= self.max_bytes
        assert self.producer.stats().queued <= self.room * self.capacity + BATCH

    async def recover(self):
        """Let the sink be fast again, and one more event through."""
        self.sink.rate = UNBOUNDED
        assert await self.producer.flush(30)
        last = self.traffic.emit()
        assert await self.producer.flush(30)
        assert self.sink.events[-1].event_id == last

    def judge(self):
        """Compare the ledger with what came, and with every counter."""
        self.look()
        verdict = self.ledger.settle(event.event_id for event in self.sink.events)
        assert verdict.holds, str(verdict)
        told, stats = self.traffic.told, self.producer.stats()
        assert len(verdict.stored) == told["accepted"]
        assert stats == (len(self.ledger), told["accepted"], told["dropped"], 0, 0, 0)
        assert dropped(self.registry, "queue_full") == told["dropped"]
        assert self.registry.get_sample_value("audit_queue_high_water") <= self.room * self.capacity
        for outcome, count in told.items():
            labels = {"outcome": outcome}
            assert (self.registry.get_sample_value("audit_events_emitted_total", labels) or 0) == count
        orders = {}
        for event in self.sink.events:
            orders.setdefault(event.tenant_id, []).append(event.seq)
        assert len(orders) == 4
        assert all(order == sorted(order) for order in orders.values())


@pytest.mark.parametrize("bound", ["count", "bytes"])
def test_drop_keeps_the_queue_bounded_and_counts_every_drop(bound):
    random.seed(SEED)

    async def main():
        case = Case() if bound == "count" else Case(max_bytes=CAPACITY * TEXT // 3)
        async with case.producer:
            await case.traffic.flow(SECONDS, RATE, case.look)
            # What came in beyond the queue is what the sink could take meanwhile, and no more.
            kept = case.traffic.told["accepted"]
            assert kept <= CAPACITY + 2 * BATCH + SECONDS * RATE / 10
            assert case.traffic.told["dropped"] > 0.5 * SECONDS * RATE
            await case.recover()
        case.judge()
        assert case.deepest == CAPACITY if bound == "count" else case.deepest < CAPACITY

    run_virtual(main())


def test_spool_takes_what_the_sink_cannot_and_drops_nothing(tmp_path):
    random.seed(SEED)

    async def main():
        case = Case(room=2, overflow="spool", spool=DiskSpool(tmp_path / "spool"))
        async with case.producer:
            await case.traffic.flow(SECONDS, RATE, case.look)
            assert case.producer.stats().spooled > 0.5 * SECONDS * RATE
            assert case.traffic.told["dropped"] == 0
            await case.recover()
        case.judge()

    run_virtual(main())


def test_a_spool_that_is_full_too_leaves_drops_that_are_counted(tmp_path):
    random.seed(SEED)

    async def main():
        spool = DiskSpool(tmp_path / "spool", max_bytes=2**20, segment_bytes=2**18, reserve_bytes=0)
        case = Case(room=2, overflow="spool", spool=spool)
        async with case.producer:
            await case.traffic.flow(SECONDS, RATE, case.look)
            assert spool.stats().bytes <= 2**20
            assert case.traffic.told["dropped"] > 0
            await case.recover()
        case.judge()

    run_virtual(main())


def emitting(case, count):
    """Emit on a thread of its own; what was told is noted where nobody else notes."""
    (context,) = contexts(1)
    payload = {"text": "x" * TEXT}
    return [case.producer.emit("order.created", payload=payload, context=context) for _ in range(count)]


def test_block_slows_the_threads_down_and_drops_nothing():
    async def main():
        count, pace = rounds(400, 4000), 2000
        case = Case(capacity=100, overflow="block", block_timeout=30, rate=pace, linger=0)
        done = asyncio.Event()

        async def watch():
            while not done.is_set():
                case.look()
                await asyncio.sleep(0.005)

        async with case.producer:
            watching = asyncio.ensure_future(watch())
            start = time.monotonic()
            told = await asyncio.gather(*(asyncio.to_thread(emitting, case, count) for _ in range(4)))
            took = time.monotonic() - start
            done.set()
            await watching
            assert took >= (4 * count - 100 - 2 * BATCH) / pace
            case.sink.rate = UNBOUNDED
            assert await case.producer.flush(30)
        results = [result for answers in told for result in answers]
        assert {result.status for result in results} == {"accepted"}
        for result in results:
            case.ledger.note(result.event_id, "ok")
        assert case.ledger.settle(event.event_id for event in case.sink.events).holds
        assert case.producer.stats() == (4 * count, 4 * count, 0, 0, 0, 0)

    asyncio.run(main())


def test_block_waits_its_time_and_not_longer_and_on_the_delivering_loop_not_at_all():
    async def main():
        wait, extra = 0.2, 5
        case = Case(capacity=100, overflow="block", block_timeout=wait, rate=UNBOUNDED, linger=0)
        async with case.producer:
            case.sink.hang()
            case.traffic.emit()
            await case.sink.attempted(1)
            case.traffic.emit(100)
            assert case.traffic.told == {"accepted": 101, "dropped": 0}
            start = time.monotonic()
            results = await asyncio.to_thread(emitting, case, extra)
            took = time.monotonic() - start
            assert extra * wait <= took < extra * wait + 5
            for result in results:
                assert (result.status, result.reason) == ("dropped", "queue_full")
                case.ledger.note(result.event_id, "fail")
                case.traffic.told["dropped"] += 1
            case.traffic.emit(extra)
            assert case.traffic.told["dropped"] == 2 * extra
            assert sum(case.traffic.took[-extra:]) / 1e9 < extra * wait / 2
            case.look()
            case.sink.resume()
            assert await case.producer.flush(30)
            case.traffic.emit()
            assert await case.producer.flush(30)
        case.judge()

    asyncio.run(main())
