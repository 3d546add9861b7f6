"""Row 15: the wall clock jumps, and deadlines, the order of ids and what an event says of its time do not mind."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer, DeliveryUnknown
from tenaudit.backends.spool import DiskSpool
from tenaudit.testing.ledger import Ledger
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.faults.tier import SEED, rounds
from tests.faults.traffic import Traffic, contexts
from tests.faults.virtual_time import LoopClock, run_virtual

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

# 2016 ended with a leap second: POSIX time told 23:59:59 twice.
LEAP = datetime(2016, 12, 31, 23, 59, 58, tzinfo=UTC)
# In Berlin the clocks went from 03:00 back to 02:00.
WINTER = datetime(2026, 10, 25, 0, 59, 58, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = 3600.0
JUMPS = {
    "an hour on": (datetime(2026, 11, 24, tzinfo=UTC), [HOUR]),
    "an hour back": (datetime(2026, 11, 24, tzinfo=UTC), [-HOUR]),
    "to and fro": (datetime(2026, 11, 24, tzinfo=UTC), [HOUR, -HOUR, -HOUR, HOUR, -1.0, 0.001, -0.001]),
    "a leap second": (LEAP, [-1.0]),
    "the end of summer time": (WINTER, []),
}


@pytest.fixture
def berlin(monkeypatch):
    """The local time of a place that has summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def told_by(clock):
    return EPOCH + timedelta(microseconds=clock.time_ns() // 1000)


class Emitter(Traffic):
    """Keeps what the clock said at each call, and what was emitted in between."""

    def __init__(self, producer, note, clock):
        super().__init__(producer, note)
        self._clock = clock
        self.said = {}

    def emit(self, count=1):
        for _ in range(count):
            moment = told_by(self._clock)
            self.said[super().emit()] = moment


@pytest.mark.parametrize("outage", [False, True], ids=["well", "down"])
@pytest.mark.parametrize("name", JUMPS)
def test_a_clock_that_jumps_changes_no_order_and_no_deadline(name, outage, berlin, tmp_path):
    start, jumps = JUMPS[name]
    ledger = Ledger()
    chance = random.Random(f"{SEED} {name} {outage}")

    async def main():
        loop = asyncio.get_running_loop()
        clock = LoopClock(start.timestamp())
        sink = ScriptedSink()
        spool = DiskSpool(tmp_path / "spool", clock=clock)
        registry = CollectorRegistry()
        producer = AuditProducer(sink, service="orders", spool=spool, clock=clock, registry=registry)
        async with producer:
            emitter = Emitter(producer, ledger.note, clock)
            sink.down = outage
            await emitter.flow(3, 100)
            for jump in [*jumps, 0.0] * rounds(1, 20):
                await emitter.flow(chance.uniform(0.1, 3), 100)
                clock.jump_wall(jump)
                assert spool.stats().oldest_age >= 0
                assert registry.get_sample_value("audit_spool_oldest_age_seconds") >= 0
                await emitter.flow(chance.uniform(0.1, 3), 100)
            if outage:
                assert producer.stats().spooled > 0
                began = loop.time()
                assert await producer.flush(3) is False
                assert loop.time() - began == pytest.approx(3)
                sink.down = False
            assert await producer.flush(10)
            emitter.emit()
            began = loop.time()
            await producer.close()
            assert loop.time() - began <= 5
        return emitter.said, sink.events, producer.stats()

    said, events, stats = run_virtual(main())
    assert stats == (len(ledger), len(ledger), 0, 0, 0, 0)
    verdict = ledger.settle(event.event_id for event in events)
    assert verdict.holds, str(verdict)
    assert len(verdict.stored) == len(ledger)
    ids = [event.event_id for event in events]
    assert ids == sorted(set(ids))
    assert [event.seq for event in events] == list(range(len(events)))
    assert {event.event_id: event.occurred_at for event in events} == said


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_while_somebody_waits_ends_no_wait_sooner_or_later(jump):
    async def main():
        loop = asyncio.get_running_loop()
        clock = LoopClock()
        sink = ScriptedSink()
        (context,) = contexts(1)
        async with AuditProducer(sink, service="orders", clock=clock, registry=CollectorRegistry()) as producer:
            sink.hang()
            began = loop.time()
            waiting = asyncio.ensure_future(producer.emit_durable("order.created", context=context, deadline=4))
            flushing = asyncio.ensure_future(producer.flush(2))
            await sink.attempted(1)
            clock.jump_wall(jump)
            assert await flushing is False
            assert loop.time() - began == pytest.approx(2)
            with pytest.raises(DeliveryUnknown):
                await waiting
            assert loop.time() - began == pytest.approx(4)
            sink.resume()
            assert await producer.flush(10)
            result = await producer.emit_durable("order.created", context=context)
        assert result.status == "accepted"
        assert [event.event_id for event in sink.events][-1] == result.event_id
        assert len(sink.events) == 2

    run_virtual(main())


def test_a_loop_in_virtual_time_tells_a_hang_from_a_wait():
    async def main():
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(HOUR)
        assert await asyncio.to_thread(lambda: 7) == 7
        assert asyncio.get_running_loop().time() - began == HOUR
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="hangs"):
        run_virtual(main())
