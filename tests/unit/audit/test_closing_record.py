"""The last record of a producer: its totals are exact, it comes last, and it is there only after a clean close."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import AuditEvent, AuditProducer, ProducerStats, SpoolFull, SpoolStats
from tenaudit.audit.closing import CLOSED, ClosingTotals, closing_totals
from tenaudit.backends.spool import DiskSpool
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))
PLATFORM = UUID(int=9)
START_MS = 1_700_000_000_000


def start(sink, **options):
    usual = {"linger": 0.0, "close_timeout": 0.4, "registry": CollectorRegistry(), "account_tenant": PLATFORM}
    return AuditProducer(sink, service="orders", **usual | options)


def emit(producer, count):
    for _ in range(count):
        producer.emit("order.created", context=CTX)


def run(main):
    async def bounded():
        async with asyncio.timeout(60):
            return await main()

    return asyncio.run(bounded())


def told(event):
    totals = ClosingTotals.of(event.payload)
    assert event.action == CLOSED
    assert (event.tenant_id, event.actor_type, event.outcome) == (PLATFORM, "system", "success")
    assert totals is not None
    assert event.seq == totals.emitted
    return totals


def lost(caplog):
    return [record for record in caplog.records if getattr(record, "action", "") == "audit_closing_record_lost"]


def test_the_record_comes_last_with_exact_totals(caplog):
    async def main():
        sink = ScriptedSink()
        sink.refuses = lambda event: event.payload.get("bad", False)
        async with start(sink, capacity=5, clock=ManualClock(START_MS / 1000), close_timeout=10.0) as producer:
            emit(producer, 7)
            await producer.flush()
            producer.emit("order.created", context=CTX, payload={"bad": True})
            producer.emit("No Action", context=CTX)
            producer.emit("order.created", context=CTX)
        *events, last = sink.events
        assert told(last) == ClosingTotals(9, 6, 3, 1, 0, 0, START_MS)
        assert producer.stats() == ProducerStats(9, 6, 3, 1, 0, 0)
        assert [event.seq for event in events] == [0, 1, 2, 3, 4, 8]
        assert last.event_id > max(event.event_id for event in events)
        assert last.producer_id == last.actor_id == producer.producer_id
        assert sink.closed == 1

    run(main)
    assert lost(caplog) == []


def test_without_a_tenant_there_is_no_record():
    async def main():
        sink = ScriptedSink()
        async with start(sink, account_tenant=None) as producer:
            emit(producer, 2)
        assert [event.action for event in sink.events] == ["order.created"] * 2

    run(main)


def test_a_tenant_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="account_tenant"):
        AuditProducer(None, service="orders", account_tenant="platform", registry=CollectorRegistry())


def test_a_producer_that_was_never_entered_sends_none():
    async def main():
        sink = ScriptedSink()
        producer = start(sink)
        emit(producer, 2)
        await producer.close()
        assert sink.events == []
        assert producer.stats() == ProducerStats(2, 0, 2, 0, 0, 0)

    run(main)


@pytest.mark.parametrize("ill", ["down", "hang"])
def test_a_record_that_nobody_takes_is_told_and_delays_nothing(ill, caplog):
    async def main():
        sink = ScriptedSink()
        async with start(sink) as producer:
            if ill == "down":
                sink.down = True
            else:
                sink.hang()
            emit(producer, 3)
            await sink.attempted(1)
            started = time.monotonic()
        assert time.monotonic() - started < 0.4 + 1.5
        assert sink.events == []
        assert producer.stats() == ProducerStats(3, 0, 3, 0, 0, 0)

    run(main)
    assert [record.error for record in lost(caplog)] == ["TimeoutError"]


def test_a_sink_that_will_not_be_cancelled_does_not_hold_up_the_close(caplog):
    async def main():
        sink = ScriptedSink()
        async with start(sink):
            sink.stubborn = True
            sink.hang()
            started = time.monotonic()
        assert time.monotonic() - started < 0.4 + 2.5
        sink.resume()
        await asyncio.sleep(0)

    run(main)
    assert [record.error for record in lost(caplog)] == ["TimeoutError"]


def test_a_sink_that_refuses_the_record_is_told(caplog):
    async def main():
        sink = ScriptedSink()
        sink.refuses = lambda event: event.action == CLOSED
        async with start(sink) as producer:
            emit(producer, 1)
            await producer.flush()
        assert [event.action for event in sink.events] == ["order.created"]

    run(main)
    assert [record.error for record in lost(caplog)] == ["SinkRejected"]


def test_a_sink_that_fails_before_it_can_be_awaited_is_closed_all_the_same(caplog):
    class Hasty(ScriptedSink):
        def write(self, batch):
            raise RuntimeError(len(batch))

    async def main():
        sink = Hasty()
        async with start(sink):
            pass
        assert sink.closed == 1

    run(main)
    assert [record.error for record in lost(caplog)] == ["RuntimeError"]


def test_the_record_is_nothing_that_an_application_emits():
    async def main():
        sink = ScriptedSink()
        async with start(sink) as producer:
            refused = producer.emit(CLOSED, context=CTX, payload=ClosingTotals(0, 0, 0, 0, 0, 0, 0).to_payload())
            assert (refused.status, refused.reason) == ("rejected", "invalid_action")
        (last,) = sink.events
        assert told(last) == ClosingTotals(0, 0, 0, 1, 0, 0, told(last).started_ms)

    run(main)


def test_a_clock_that_no_id_can_tell_gives_no_record(caplog):
    async def main():
        clock, sink = ManualClock(-5.0), ScriptedSink()
        async with start(sink, clock=clock) as producer:
            assert producer.emit("order.created", context=CTX).reason == "invalid_event"
        assert sink.events == []
        clock.advance(START_MS / 1000)
        async with start(sink, clock=clock):
            pass
        assert told(sink.events[0]).started_ms == START_MS - 5000

    run(main)
    assert [record.error for record in lost(caplog)] == ["ValueError"]


def test_with_the_sink_away_the_record_lies_in_the_spool_behind_the_rest(tmp_path):
    async def main():
        sink = ScriptedSink()
        sink.down = True
        async with start(sink, spool=DiskSpool(tmp_path), close_timeout=2.0) as producer:
            emit(producer, 3)
        assert producer.stats() == ProducerStats(3, 0, 0, 0, 3, 0)
        sink.down = False
        async with start(sink, spool=DiskSpool(tmp_path), account_tenant=None, close_timeout=10.0):
            pass
        *events, last = sink.events
        assert [event.seq for event in events] == [0, 1, 2]
        assert told(last).spooled == told(last).emitted == 3
        assert last.producer_id == producer.producer_id

    run(main)


def test_an_idle_producer_spools_its_record_when_the_sink_is_away(tmp_path, caplog):
    async def main():
        sink = ScriptedSink()
        sink.down = True
        async with start(sink, spool=DiskSpool(tmp_path)):
            pass
        async with DiskSpool(tmp_path) as spool:
            (event,) = (await spool.read(10)).events
        assert told(event).emitted == 0

    run(main)
    assert lost(caplog) == []


class FickleSpool:
    """A spool that has something in it, and takes nothing; it calls *then* when it is asked to take the record."""

    def __init__(self, then=lambda: None):
        self.asked = 0
        self._then = then

    async def append(self, events):
        self.asked += 1
        if events[0].action == CLOSED:
            self._then()
        raise SpoolFull("full")

    async def read(self, limit):
        raise SpoolFull("ill")

    async def ack(self, token):
        raise SpoolFull("ill")

    def stats(self):
        return SpoolStats(1, 1, 0.0, 0, 0)

    async def close(self):
        pass


def test_what_the_spool_does_not_take_goes_to_the_sink(caplog):
    async def main():
        sink, before = ScriptedSink(), []
        spool = FickleSpool(lambda: before.append(sink.events[-1].action))
        async with start(sink, spool=spool, close_timeout=2.0) as producer:
            emit(producer, 2)
            await producer.flush(1.0)
        # It was asked first: the record comes behind what is in it.
        assert before == ["order.created"]
        assert told(sink.events[-1]).delivered == 2

    run(main)
    assert lost(caplog) == []


def test_events_that_were_given_up_unheard_are_told_apart():
    async def main():
        sink = ScriptedSink()
        spool = FickleSpool(lambda: setattr(sink, "forgets_to_answer", False))
        sink.forgets_to_answer = True
        async with start(sink, spool=spool, close_timeout=1.0, batch_size=2) as producer:
            emit(producer, 3)
            await sink.attempted(1)
        assert spool.asked >= 2
        totals = told(sink.events[-1])
        assert (totals.emitted, totals.dropped, totals.unsettled) == (3, 3, 2)
        assert {event.seq for event in sink.events[:-1]} == {0, 1}

    run(main)


def test_threads_that_emit_while_it_closes_leave_no_number_open():
    async def main():
        sink = ScriptedSink()
        ended = threading.Event()
        producer = start(sink, close_timeout=10.0, capacity=50)

        def flood():
            while not ended.is_set():
                producer.emit("order.created", context=CTX)

        threads = [threading.Thread(target=flood) for _ in range(4)]
        async with producer:
            for thread in threads:
                thread.start()
            await sink.attempted(3)
        await asyncio.sleep(0)
        ended.set()
        for thread in threads:
            thread.join(30)
        *events, last = sink.events
        totals = told(last)
        assert totals.delivered == len(events)
        assert max(event.seq for event in events) < totals.emitted
        assert totals.emitted == totals.delivered + totals.dropped
        assert producer.stats().emitted >= totals.emitted

    run(main)


FORKED = """
import asyncio, os, sys, uuid
from prometheus_client import CollectorRegistry
from tenaudit.audit import AuditProducer
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.security import Actor, SecurityContext, TraceContext

context = SecurityContext(uuid.UUID(int=1), Actor("u"), frozenset(), TraceContext("a" * 32, None, False))
sink = JsonlSink(sys.argv[1])
producer = AuditProducer(sink, service="orders", registry=CollectorRegistry(), account_tenant=uuid.UUID(int=9))

async def life(count):
    async with producer:
        for _ in range(count):
            producer.emit("order.created", context=context)

pid = os.fork()
asyncio.run(life(2 if pid == 0 else 5))
if pid:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_record_of_its_own(tmp_path):
    path = tmp_path / "audit.jsonl"
    subprocess.run([sys.executable, "-W", "error", "-c", FORKED, str(path)], timeout=60, check=True)
    events = [AuditEvent.model_validate_json(line) for line in path.read_text().splitlines()]
    records = [event for event in events if event.action == CLOSED]
    assert sorted(told(record).delivered for record in records) == [2, 5]
    assert len({record.producer_id for record in records}) == 2


@pytest.mark.parametrize(
    ("emitted", "stats", "unsettled", "expected"),
    [
        (5, ProducerStats(5, 3, 1, 0, 1, 0), 1, (5, 3, 1, 0, 1, 1)),
        # A thread has its number and did not come to count the drop.
        (6, ProducerStats(6, 3, 1, 2, 1, 0), 0, (6, 3, 2, 2, 1, 0)),
        # An append to the spool that was cancelled and had written all the same.
        (4, ProducerStats(4, 8, 0, 0, -4, 0), 0, (4, 4, 0, 0, 0, 0)),
        (2, ProducerStats(2, 9, 0, 0, 9, 0), 3, (2, 0, 0, 0, 2, 0)),
    ],
)
def test_totals_always_add_up(emitted, stats, unsettled, expected):
    totals = closing_totals(emitted, stats, unsettled, 7)
    assert totals == ClosingTotals(*expected, started_ms=7)
    assert ClosingTotals.of(totals.to_payload()) == totals


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"emitted": 1},
        {**closing_totals(1, ProducerStats(1, 1, 0, 0, 0, 0), 0, 0).to_payload(), "emitted": 2},
        {**closing_totals(1, ProducerStats(1, 1, 0, 0, 0, 0), 0, 0).to_payload(), "emitted": True},
        {**closing_totals(1, ProducerStats(1, 1, 0, 0, 0, 0), 0, 0).to_payload(), "rejected": -1},
        {**closing_totals(1, ProducerStats(1, 1, 0, 0, 0, 0), 0, 0).to_payload(), "unsettled": 1},
        {**closing_totals(1, ProducerStats(1, 1, 0, 0, 0, 0), 0, 0).to_payload(), "rejected": 2**53},
    ],
)
def test_what_does_not_add_up_is_no_record(payload):
    assert ClosingTotals.of(payload) is None
