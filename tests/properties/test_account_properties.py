"""Real producers with a sick sink and a spool, accounted for: whoever closed balances, and nobody's gap is made up."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.audit.closing import CLOSED
from tenaudit.audit.held import HeldEvents
from tenaudit.audit.producer_rows import AccountWindow, ProducerRows
from tenaudit.audit.reckoning import Elsewhere, reckon
from tenaudit.backends.spool import DiskSpool
from tenaudit.backends.spool.snapshot import spooled_events
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.faults.tier import rounds

pytestmark = pytest.mark.faults

CTX = SecurityContext(UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))
PLATFORM = UUID(int=9)
CAPACITY = 20

moods = st.fixed_dictionaries(
    {"down": st.booleans(), "forgets": st.booleans(), "hangs": st.sampled_from([False, False, True])}
)
lives = st.tuples(
    st.lists(st.tuples(st.integers(0, 30), moods), max_size=4), moods, st.booleans(), st.sampled_from(["drop", "spool"])
)


def put(sink, mood):
    sink.down, sink.forgets_to_answer = mood["down"], mood["forgets"]
    if mood["hangs"]:
        sink.hang()
    else:
        sink.resume()


async def lived(sink, folder, life):
    """Let one producer live, and return it."""
    turns, end, has_spool, overflow = life
    spool = DiskSpool(folder, segment_bytes=65536, max_bytes=2**18, reserve_bytes=0) if has_spool else None
    producer = AuditProducer(
        sink, service="orders", capacity=CAPACITY, batch_size=4, linger=0.0, write_timeout=0.02, close_timeout=0.3,
        registry=CollectorRegistry(), spool=spool, spool_after=0.01, account_tenant=PLATFORM,
        overflow=overflow if has_spool else "drop",
    )  # fmt: skip
    async with producer:
        for count, mood in turns:
            put(sink, mood)
            for number in range(count):
                producer.emit("order.created", context=CTX, payload={"bad": number % 7 == 6})
            await producer.flush(0.03)
        put(sink, end)
    put(sink, {"down": False, "forgets": False, "hangs": False})
    return producer


@settings(max_examples=rounds(15, 200))
@given(st.lists(lives, min_size=1, max_size=2))
def test_every_producer_that_closed_balances(told):
    async def main():
        sink = ScriptedSink()
        sink.refuses = lambda event: event.payload.get("bad", False)
        producers = [await lived(sink, folder, life) for life in told]
        return producers, sink.events, [event async for event in spooled_events(folder)]

    async def bounded():
        async with asyncio.timeout(60):
            return await main()

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        producers, arrived, waiting = asyncio.run(bounded())
    stored = {event.event_id: event for event in arrived}
    rows, spooled = ProducerRows(), HeldEvents(AccountWindow())
    for event in stored.values():
        rows.add(event.producer_id, event.service, 1, event.seq, event.seq)
        if event.action == CLOSED:
            rows.close(event.producer_id, event.seq, json.dumps(event.payload))
    for event in waiting:
        spooled.add(event)
    held = spooled.by_producer(frozenset((event.tenant_id, event.event_id) for event in arrived))
    judged = {row.producer_id: row for row in reckon(rows.finish(), AccountWindow(), Elsewhere(spooled=held)).rows}
    for producer in producers:
        known = {event.seq for event in [*stored.values(), *waiting] if event.producer_id == producer.producer_id}
        row, stats = judged.get(producer.producer_id), producer.stats()
        if row is None:
            assert known == set()
        elif row.closed:
            # What the sink refuses of the spool when the next process carries it is counted by that one alone.
            refused_later = 0 if producer is producers[-1] else stats.spooled
            assert row.missing <= refused_later
            assert (row.emitted, row.rejected) == (stats.emitted, stats.rejected)
            assert row.dropped == stats.dropped
            # Only what was given up without an answer leaves anything open.
            assert row.balanced or 0 < row.at_most <= stats.dropped + refused_later
            assert known <= set(range(stats.emitted + 1))
        else:
            assert row.missing == max(known) + 1 - len(known)
