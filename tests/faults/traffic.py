"""Requests that emit: at a rate, for some tenants, each answer noted and each call timed."""

from __future__ import annotations

import asyncio
import time
from array import array
from uuid import UUID

from tenaudit.security import Actor, SecurityContext, TraceContext

__all__ = ["Traffic", "contexts"]

_TICK = 0.01


def contexts(count):
    """One context for each of *count* tenants."""
    trace = TraceContext("a" * 32, None, sampled=False)
    return [SecurityContext(UUID(int=n), Actor("u-1"), frozenset(), trace) for n in range(1, count + 1)]


class Traffic:
    """Emits to *producer* and tells *note* of each event and what the producer said of it.

    Attributes:
        took: nanoseconds of each call, in the order of the calls.
        told: how many calls got which status.
    """

    def __init__(self, producer, note, tenants=4, payload=None):
        self._producer = producer
        self._note = note
        self._contexts = contexts(tenants)
        self._payload = payload or {"amount": 100, "currency": "EUR", "text": "x" * 100}
        self._count = 0
        self.took = array("Q")
        self.told = {"accepted": 0, "dropped": 0}

    def emit(self, count=1):
        """Emit *count* events, the tenants in turn; return the id of the last."""
        for _ in range(count):
            context = self._contexts[self._count % len(self._contexts)]
            start = time.perf_counter_ns()
            result = self._producer.emit(
                "order.created", resource_type="order", resource_id="o-1", payload=self._payload, context=context
            )
            self.took.append(time.perf_counter_ns() - start)
            self._count += 1
            self.told[result.status] += 1
            self._note(result.event_id, "ok" if result.status == "accepted" else "fail")
        return result.event_id

    async def flow(self, seconds, rate, each_tick=lambda: None):
        """Emit *rate* events a second for *seconds* of the loop's time; a late tick catches up."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        sent = 0
        while sent < round(seconds * rate):
            due = min(round((loop.time() - start) * rate) + 1, round(seconds * rate))
            self.emit(due - sent)
            sent = max(sent, due)
            each_tick()
            await asyncio.sleep(_TICK)

    def microseconds(self):
        """The median, the 99th percentile and the longest call."""
        ordered = sorted(self.took)
        return tuple(ordered[int(part * (len(ordered) - 1))] / 1000 for part in (0.5, 0.99, 1.0))
