"""Minutes without a sink in simulated time, in a process of its own: its memory is that of nothing else.

`python -m tests.faults.simulated_outage FOLDER SECONDS RATE SEED` prints what came of it as one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time

from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.backends.spool import DiskSpool
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.faults.arrivals import Arrivals, resident_bytes, trimmed_bytes
from tests.faults.traffic import Traffic
from tests.faults.virtual_time import run_virtual

__all__ = ["main", "simulated"]

_TICKS_A_LOOK = 500


async def simulated(folder, seconds, rate):
    """Emit a second with the sink, *seconds* without it, then let it come back; return what happened."""
    sink = ScriptedSink()
    sink.events = arrivals = Arrivals()
    producer = AuditProducer(
        sink,
        service="orders",
        overflow="spool",
        spool=DiskSpool(folder, max_bytes=2**30),
        linger=0.5,
        registry=CollectorRegistry(),
    )
    async with producer:
        traffic = Traffic(producer, lambda event_id, told: None)
        await traffic.flow(1, rate)
        well = await producer.flush(10)
        before = highest = trimmed_bytes()
        deepest = ticks = 0

        def look():
            nonlocal deepest, highest, ticks
            ticks += 1
            deepest = max(deepest, producer.stats().queued)
            if ticks % _TICKS_A_LOOK == 0:
                highest = max(highest, resident_bytes())

        sink.down, attempts = True, sink.attempts
        await traffic.flow(seconds, rate, look)
        attempts, spooled = sink.attempts - attempts, producer.stats().spooled
        sink.down = False
        drained = await producer.flush(60)
        highest = max(highest, resident_bytes())
        traffic.emit()
        fresh = await producer.flush(5)
    return {
        "settled": [well, drained, fresh],
        "told": traffic.told,
        "stats": list(producer.stats()),
        "arrived": len(arrivals),
        "more_than_once": sum(count > 1 for count in arrivals.times),
        "out_of_order": len(arrivals.disorder),
        "attempts": attempts,
        "spooled": spooled,
        "deepest": deepest,
        "grown": highest - before,
        "emit_microseconds": traffic.microseconds(),
    }


def main():
    folder, seconds, rate, seed = sys.argv[1], *map(int, sys.argv[2:])
    random.seed(seed)
    start = time.monotonic()
    found = run_virtual(simulated(folder, seconds, rate))
    os.write(1, json.dumps(found | {"real_seconds": time.monotonic() - start}).encode())


if __name__ == "__main__":
    main()
