"""Row 20: no member of a fan-out answers: closed, open and over the spool, as documented, and the metrics are red."""

from __future__ import annotations

import asyncio
import random

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer, BreakerPolicy, DeliveryUnknown, FanOutMember, FanOutSink
from tenaudit.backends.spool import DiskSpool
from tenaudit.testing.ledger import Ledger
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.faults.tier import SEED, rounds
from tests.faults.traffic import Traffic, contexts
from tests.faults.virtual_time import LoopClock, run_virtual

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

MEMBERS = ("down", "hanging", "stubborn", "broken")
REST = 5.0
CAPACITY = 100
BATCH = 20
DEADLINE = 3.0


async def eventually(holds):
    """Look again and again, in simulated time, at a metric, which tells nobody when it moves."""
    async with asyncio.timeout(10 * REST):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.1)


class Dead:
    """A fan-out of which every member fails in its own way, and a producer over it."""

    def __init__(self, **options):
        self.registry = CollectorRegistry()
        self.ledger = Ledger()
        self.clock = LoopClock()
        self.sinks = {name: ScriptedSink() for name in MEMBERS}
        self.fall()
        self.producer = self.another(**options)
        self.traffic = Traffic(self.producer, self.ledger.note)

    def another(self, **options):
        members = [
            FanOutMember(sink, name, required=name != "broken", timeout=1.0, breaker=BreakerPolicy(3, REST))
            for name, sink in self.sinks.items()
        ]
        return AuditProducer(
            FanOutSink(members, registry=self.registry, clock=self.clock),
            service="orders",
            capacity=CAPACITY,
            batch_size=BATCH,
            registry=self.registry,
            clock=self.clock,
            **options,
        )

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        # Also when an assertion fails: a sink that will not be cancelled keeps its loop from closing.
        self.rise()

    def fall(self):
        self.sinks["down"].down = True
        self.sinks["hanging"].hang()
        self.sinks["stubborn"].stubborn = True
        self.sinks["stubborn"].hang()
        self.sinks["broken"].error = RuntimeError("defect")

    def rise(self):
        self.sinks["down"].down = False
        self.sinks["broken"].error = None
        for sink in self.sinks.values():
            sink.resume()

    def sample(self, name, **labels):
        return self.registry.get_sample_value(name, labels) or 0.0

    def breakers(self):
        return {name: self.sample("audit_fanout_breaker_open", member=name) for name in MEMBERS}

    async def is_red(self):
        """What an alert sees: failing writes, and every breaker open in the end."""
        await eventually(lambda: min(self.breakers().values()) == 1)
        assert self.sample("audit_emit_failures_total", sink="FanOutSink") >= 3
        assert not any(sink.events for sink in self.sinks.values())

    async def is_green(self):
        """After the fault: a fresh event reaches everybody who has to have it, and every breaker closes."""
        self.rise()
        assert await self.producer.flush(10 * REST)
        last = self.traffic.emit()
        assert await self.producer.flush(REST)
        for name in MEMBERS[:3]:
            assert self.sinks[name].events[-1].event_id == last
        assert self.sample("audit_queue_depth") == 0
        await eventually(lambda: not any(self.breakers().values()))

    def judged(self, name="down"):
        """The verdict on one member; one that was given up in the middle of a write may have got a batch twice."""
        return self.ledger.settle({event.event_id for event in self.sinks[name].events})


def test_closed_whoever_must_know_is_told_in_time_that_nobody_knows():
    random.seed(SEED)

    async def main():
        loop = asyncio.get_running_loop()
        (context,) = contexts(1)

        async def durable(case):
            began = loop.time()
            with pytest.raises(DeliveryUnknown) as told:
                await case.producer.emit_durable("order.created", context=context, deadline=DEADLINE)
            assert told.value.code == "delivery_unknown"
            assert loop.time() - began == pytest.approx(DEADLINE)

        count = rounds(20, CAPACITY)
        async with Dead() as case, case.producer:
            await asyncio.gather(*(durable(case) for _ in range(count)))
            await case.is_red()
            await case.is_green()
            result = await case.producer.emit_durable("order.created", context=context, deadline=DEADLINE)
            assert result.status == "accepted"
        # Unknown is not failed: all of it came in the end.
        arrived = [event.event_id for event in case.sinks["down"].events]
        assert len(set(arrived)) == len(arrived) == count + 2
        assert case.producer.stats() == (count + 2, count + 2, 0, 0, 0, 0)

    run_virtual(main())


def test_open_requests_go_on_and_what_they_lose_is_counted():
    random.seed(SEED)

    async def main():
        async with Dead() as case, case.producer:
            await case.traffic.flow(10, 100)
            assert max(case.traffic.took) < 10**9
            assert case.traffic.told["accepted"] == case.producer.stats().queued <= CAPACITY + BATCH
            assert case.sample("audit_queue_depth") == CAPACITY
            await case.is_red()
            await case.is_green()
        for name in MEMBERS[:3]:
            verdict = case.judged(name)
            assert verdict.holds, f"{name}: {verdict}"
            assert len(verdict.stored) == case.traffic.told["accepted"]
        assert case.producer.stats().dropped == case.traffic.told["dropped"]
        assert case.sample("audit_events_dropped_total", reason="queue_full") == case.traffic.told["dropped"]
        best_effort = case.judged("broken")
        assert not best_effort.unexpected
        assert len(best_effort.lost) == case.sample("audit_fanout_dropped_total", member="broken")

    run_virtual(main())


def test_closing_with_everybody_dead_ends_in_time_and_counts_the_rest():
    random.seed(SEED)

    async def main():
        loop = asyncio.get_running_loop()
        async with Dead(close_timeout=2.0) as case, case.producer:
            case.traffic.emit(CAPACITY + 50)
            began = loop.time()
            await case.producer.close()
            # Two seconds more with a sink that will not be cancelled.
            assert loop.time() - began <= 4.0
        verdict = case.judged()
        assert not verdict.unexpected
        assert len(verdict.lost) == CAPACITY == case.traffic.told["accepted"]
        assert case.sample("audit_events_dropped_total", reason="not_delivered_at_close") == CAPACITY
        assert case.producer.stats() == (CAPACITY + 50, 0, CAPACITY + 50, 0, 0, 0)

    run_virtual(main())


@pytest.mark.parametrize("closed", [False, True], ids=["while it runs", "over a restart"])
def test_spool_keeps_everything_until_somebody_answers(closed, tmp_path):
    random.seed(SEED)

    async def main():
        def on_disk():
            return {"overflow": "spool", "spool": DiskSpool(tmp_path / "spool", clock=case_clock)}

        case_clock = LoopClock()
        async with Dead(**on_disk()) as case, case.producer:
            await case.traffic.flow(20, 100)
            assert case.traffic.told == {"accepted": 2000, "dropped": 0}
            await case.is_red()
            await eventually(lambda: case.producer.stats().queued == 0)
            assert case.producer.stats().spooled == 2000
            assert case.sample("audit_spool_bytes") > 0
            assert case.sample("audit_spool_oldest_age_seconds") >= 19
            if not closed:
                await case.is_green()
                assert case.sample("audit_spool_oldest_age_seconds") == 0
        if closed:
            assert case.producer.stats() == (2000, 0, 0, 0, 2000, 0)
            case.producer = case.another(**on_disk())
            case.traffic = Traffic(case.producer, case.ledger.note)
            async with case.producer:
                await case.is_green()
        for name in MEMBERS[:3]:
            verdict = case.judged(name)
            assert verdict.holds, f"{name}: {verdict}"
            assert len(verdict.stored) == 2001
        firsts = list(dict.fromkeys(event.event_id for event in case.sinks["hanging"].events))
        assert firsts == sorted(firsts)

    run_virtual(main())
