"""Row 8: the broker is away for long; emit stays fast, memory bounded, closing in its grace, and all of it arrives."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.audit.consumer import decode_event
from tenaudit.backends.kafka import KafkaSink
from tenaudit.backends.spool import DiskSpool
from tenaudit.testing.ledger import Ledger
from tests.faults.arrivals import resident_bytes, trimmed_bytes
from tests.faults.figures import show
from tests.faults.tier import DEEP, SEED, rounds
from tests.faults.traffic import Traffic
from tests.unit.backends.kafka_parts import DetouringLoop, detour, new_topic, records_on, timed

pytestmark = [
    pytest.mark.faults,
    pytest.mark.services,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc"),
]

RATE = 1000
SECONDS = int(os.environ.get("TENAUDIT_OUTAGE_SECONDS", "0")) or rounds(20, 60)
SIMULATED_SECONDS = int(os.environ.get("TENAUDIT_SIMULATED_SECONDS", "0")) or 600
CLOSE_TIMEOUT = 3.0
# A second for the sink, one for the spool, whatever is left of the deadline by then; the rest is two busy cores.
GRACE = 3.0
MOST_GROWTH = 64 * 2**20
SLOWEST_P99 = 2000.0
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def run(main):
    async def bounded():
        async with asyncio.timeout(SECONDS + 300):
            return await main

    with asyncio.Runner(loop_factory=DetouringLoop) as runner:
        return runner.run(bounded())


def take_away(proxy, fault):
    if fault == "gone":
        proxy.refuse()
        proxy.cut()
    else:
        proxy.half_open()


def bring_back(proxy):
    proxy.heal()
    proxy.cut()


def producer_of(service, topic, folder):
    registry = CollectorRegistry()
    return AuditProducer(
        KafkaSink(service.bootstrap_servers, topic, registry=registry, delivery_timeout=2.0, close_timeout=1.0),
        service="orders",
        overflow="spool",
        spool=DiskSpool(folder),
        close_timeout=CLOSE_TIMEOUT,
        registry=registry,
    )


async def through_the_outage(producer, traffic, proxy, fault):
    """Emit a second before, all through and a second after the outage; return bytes of growth, seconds of draining."""
    await traffic.flow(1, RATE)
    assert await producer.flush(30)
    before = highest = trimmed_bytes()

    def look():
        nonlocal highest
        highest = max(highest, resident_bytes())
        assert producer.stats().queued <= 2 * producer.capacity + 500

    take_away(proxy, fault)
    await traffic.flow(SECONDS, RATE, look)
    assert producer.stats().spooled > 0
    bring_back(proxy)
    await traffic.flow(1, RATE, look)
    seconds, settled = await timed(producer.flush(120))
    assert settled is True
    return highest - before, seconds


def judged(ledger, records):
    """The verdict on what is on the topic, where an event may stand twice, and its firsts for each tenant."""
    events = [decode_event(record.value, record.headers) for record in records]
    firsts = {}
    for event in events:
        firsts.setdefault(event.tenant_id, {}).setdefault(event.event_id)
    return ledger.settle({event.event_id for event in events}), [list(one) for one in firsts.values()]


@pytest.mark.parametrize("fault", ["gone", "silent"] if DEEP else ["gone"])
def test_a_broker_that_is_down_costs_neither_time_nor_memory_nor_events(kafka_service, fault, tmp_path, capsys):
    ledger = Ledger()

    async def main():
        topic = await new_topic(kafka_service, partitions=4)
        async with detour(kafka_service) as proxy:
            producer = producer_of(kafka_service, topic, tmp_path / "spool")
            async with producer:
                traffic = Traffic(producer, ledger.note)
                grown, draining = await through_the_outage(producer, traffic, proxy, fault)
                assert producer.stats() == (len(ledger), len(ledger), 0, 0, 0, 0)
                # Down once more, and this time the process has to end meanwhile.
                take_away(proxy, fault)
                await traffic.flow(1, RATE)
                seconds, _ = await timed(producer.close())
            stats = producer.stats()
            assert stats.emitted == len(ledger) == stats.delivered + stats.spooled, stats
            assert seconds <= CLOSE_TIMEOUT + GRACE
            bring_back(proxy)
            async with producer_of(kafka_service, topic, tmp_path / "spool") as following:
                Traffic(following, ledger.note).emit(4)
                assert await following.flush(60)
        return traffic, grown, draining, seconds, await records_on(kafka_service, topic)

    traffic, grown, draining, closing, records = run(main())
    half, most, longest = traffic.microseconds()
    show(
        capsys,
        f"outage of {SECONDS} s at {RATE}/s: emit p50 {half:.0f} us, p99 {most:.0f} us, longest {longest:.0f} us",
        f"memory grew by {grown / 2**20:.1f} MiB, draining took {draining:.1f} s, closing {closing:.2f} s",
    )
    verdict, orders = judged(ledger, records)
    assert verdict.holds, str(verdict)
    assert len(verdict.stored) == len(ledger) >= RATE * (SECONDS + 3)
    assert len(orders) == 4
    assert all(order == sorted(order) for order in orders)
    assert grown <= MOST_GROWTH
    # A loaded machine says nothing about the code, so the short tier only shows the figure.
    assert most <= SLOWEST_P99 or not DEEP


def test_ten_simulated_minutes_without_a_sink_stay_on_disk_and_come_out_in_order(capsys):
    words = (SIMULATED_SECONDS, RATE, SEED)
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.simulated_outage", folder, *map(str, words)],
            capture_output=True,
            cwd=Path(__file__).parents[2],
            timeout=500,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    half, most, longest = found["emit_microseconds"]
    show(
        capsys,
        f"{SIMULATED_SECONDS} simulated seconds in {found['real_seconds']:.0f} s: emit p50 {half:.0f} us, "
        f"p99 {most:.0f} us, longest {longest:.0f} us; memory grew by {found['grown'] / 2**20:.1f} MiB",
    )
    emitted = RATE * (SIMULATED_SECONDS + 1) + 1
    assert found["settled"] == [True, True, True]
    assert found["told"] == {"accepted": emitted, "dropped": 0}
    assert found["stats"] == [emitted, emitted, 0, 0, 0, 0]
    # A sink that says no before it takes anything sees each event once.
    assert (found["arrived"], found["more_than_once"], found["out_of_order"]) == (emitted, 0, 0)
    assert found["spooled"] > 0.9 * RATE * SIMULATED_SECONDS
    # It goes on trying, and not in a frenzy.
    assert SIMULATED_SECONDS / 3 < found["attempts"] < 3 * SIMULATED_SECONDS
    assert found["deepest"] <= 10_000
    assert found["grown"] <= MOST_GROWTH
    assert most <= SLOWEST_P99 or not DEEP
