"""The pure parts of the outbox: the event that is kept, the pace of the relay, and what it does with each answer."""

from __future__ import annotations

import asyncio
import os
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer, EmitRejected, SinkRejected, SinkUnavailable
from tenaudit.audit.outbox import (
    Backlog,
    Lease,
    LeaseLost,
    OutboxComposer,
    OutboxRelay,
    OutboxUnavailable,
    TakenEntry,
)
from tenaudit.audit.outbox.entry import SHARDS, entries_of, entry_of, event_of_text, shard_of
from tenaudit.audit.outbox.pace import Pace
from tenaudit.backends.memory import MemorySink
from tenaudit.errors import ConfigurationError
from tenaudit.security import Actor, SecurityContext, TraceContext, bind_context
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import an_event
from tenaudit.testing.scripted_sink import ScriptedSink

TENANT = UUID(int=7)
CONTEXT = SecurityContext(TENANT, Actor("u-1"), frozenset(), TraceContext("0" * 31 + "1", None, False))


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


def composer(**options):
    return OutboxComposer("orders", registry=CollectorRegistry(), **options)


# The event


def test_an_event_is_that_of_a_producer_but_for_its_place_in_an_account():
    clock = ManualClock()
    args = {"resource_type": "order", "resource_id": "o-1", "payload": {"n": 1}, "severity": "WARNING"}
    event = composer(clock=clock).compose("order.created", **args, context=CONTEXT)

    async def main():
        sink = MemorySink()
        async with AuditProducer(sink, service="orders", registry=CollectorRegistry(), clock=clock) as producer:
            producer.emit("order.created", **args, context=CONTEXT)
        return sink.events[0]

    other = run(main())
    differing = {"event_id", "producer_id", "seq"}
    assert event.model_dump(exclude=differing) == other.model_dump(exclude=differing)
    assert (event.producer_id, event.seq) == (None, None)


def test_tenant_actor_and_trace_come_from_the_bound_context():
    with bind_context(CONTEXT):
        event = composer().compose("order.created")
    assert (event.tenant_id, event.actor_id, event.trace_id) == (TENANT, "u-1", "0" * 31 + "1")


def test_the_payload_is_copied():
    payload = {"items": [1]}
    event = composer().compose("order.created", payload=payload, context=CONTEXT)
    payload["items"].append(2)
    assert event.payload == {"items": [1]}


REFUSED = [
    ("no_context", {"context": None}),
    ("invalid_context", {"context": "carol"}),
    ("invalid_context", {"context": SecurityContext(TENANT, Actor("a" * 2000), frozenset(), CONTEXT.trace)}),
    ("invalid_action", {"action": "Order Created"}),
    ("invalid_severity", {"severity": "loud"}),
    ("invalid_outcome", {"outcome": "maybe"}),
    ("invalid_resource", {"resource_id": 5}),
    ("resource_too_long", {"resource_id": "x" * 2000}),
    ("payload_not_json", {"payload": {"x": object()}}),
    ("invalid_text", {"payload": {"x": "\x00"}}),
    ("integer_out_of_range", {"payload": {"x": 2**53}}),
    ("event_too_large", {"payload": {"x": "y" * 70_000}}),
    ("invalid_event", {"severity": ["info"]}),
    ("invalid_event_id", {"event_id": UUID(int=1)}),
    ("invalid_event_id", {"event_id": "0190a5b2-7c00-7000-8000-000000000001"}),
]


@pytest.mark.parametrize(("reason", "wrong"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_producer_refuses_is_refused_with_the_same_reason_and_counted(reason, wrong):
    registry = CollectorRegistry()
    args = {"action": "order.created", "context": CONTEXT} | wrong
    with pytest.raises(EmitRejected) as caught:
        OutboxComposer("orders", registry=registry).compose(**args)
    assert caught.value.reason == reason
    assert registry.get_sample_value("audit_events_rejected_total", {"reason": reason}) == 1
    if "event_id" not in wrong and not (reason == "invalid_context" and isinstance(args["context"], SecurityContext)):
        producer = AuditProducer(MemorySink(), service="orders", registry=CollectorRegistry())
        assert producer.emit(**args).reason == reason


def test_an_event_that_is_repeated_with_its_id_is_the_same_event():
    clock = ManualClock()
    making = composer(clock=clock)
    first = making.compose("order.created", payload={"n": 1}, context=CONTEXT)
    clock.advance(60)
    event_id = composer(clock=clock).compose("order.created", context=CONTEXT).event_id
    once = making.compose("order.created", payload={"n": 1}, context=CONTEXT, event_id=event_id)
    clock.advance(60)
    again = making.compose("order.created", payload={"n": 1}, context=CONTEXT, event_id=event_id)
    assert once == again
    assert once.event_id == event_id != first.event_id
    assert round(once.occurred_at.timestamp()) == round(clock.time_ns() / 1e9) - 60


def test_an_id_from_over_a_day_ahead_is_refused():
    clock = ManualClock()
    event_id = composer(clock=clock).compose("order.created", context=CONTEXT).event_id
    late = ManualClock(start=clock.time_ns() / 1e9 - 86_400)
    assert composer(clock=late).compose("order.created", context=CONTEXT, event_id=event_id)
    late.advance(-1)
    with pytest.raises(EmitRejected, match="day ahead"):
        composer(clock=late).compose("order.created", context=CONTEXT, event_id=event_id)


@pytest.mark.parametrize("service", ["", "x" * 129, "a\x00b"])
def test_a_service_that_no_event_can_name_is_refused(service):
    with pytest.raises(ConfigurationError, match="service"):
        OutboxComposer(service)


def test_a_forked_child_shares_no_sequence_of_ids():
    making = composer(clock=ManualClock())
    making.compose("order.created", context=CONTEXT)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, making.compose("order.created", context=CONTEXT).event_id.bytes)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    child = UUID(bytes=os.read(reading, 16))
    os.close(reading)
    os.close(writing)
    assert making.compose("order.created", context=CONTEXT).event_id != child


def test_the_text_of_an_entry_is_the_event():
    event = an_event(3, payload={"é\U0001f600": [1.5, None, {"x": True}], "n": 2**53 - 1})
    entry = entry_of(event)
    assert event_of_text(entry.text) == event
    assert entry[:3] == (shard_of(event.tenant_id), event.event_id, event.tenant_id)


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"event_id": 1}', b"\xff"])
def test_a_text_that_is_no_event_is_none(text):
    assert event_of_text(text) is None


def test_every_event_of_a_batch_that_is_no_json_is_named():
    bad = an_event(1).model_copy(update={"payload": {"x": float("nan")}})
    worse = an_event(2).model_copy(update={"payload": {"x": "\ud800"}})
    with pytest.raises(SinkRejected) as caught:
        entries_of([an_event(0), bad, worse])
    assert (caught.value.event_ids, caught.value.reason) == ({bad.event_id, worse.event_id}, "not_json")


def test_tenants_are_spread_over_all_shards():
    assert {shard_of(UUID(int=number)) for number in range(2_000)} == set(range(SHARDS))


# The pace


def test_the_pace_grows_without_work_and_starts_anew_after_it():
    pace = Pace(1.0, 4.0, 2.0)
    assert [pace.after_nothing() for _ in range(4)] == [1.0, 2.0, 4.0, 4.0]
    assert pace.after_work() == 0.0
    assert pace.after_nothing() == 1.0


def test_the_back_off_is_bounded_and_jittered():
    pace = Pace(1.0, 4.0, 0.4)
    assert [pace.after_failure(0.0) for _ in range(5)] == [0.05, 0.1, 0.2, 0.4, 0.4]
    assert pace.after_failure(1.0) == 0.2
    pace.after_nothing()
    assert pace.after_failure(0.0) == 0.05


@pytest.mark.parametrize(
    "bounds", [(0.0, 1.0, 1.0), (2.0, 1.0, 1.0), (1.0, 1.0, 0.0), (float("nan"), 1.0, 1.0), (1.0, 1.0, float("nan"))]
)
def test_a_pace_without_sense_is_refused(bounds):
    with pytest.raises(ConfigurationError):
        Pace(*bounds)


# The relay over a source in memory


class Shelf:
    """An outbox of one shard in memory; `fails` says which call raises what, once."""

    lease_seconds = 30.0

    def __init__(self, *events):
        self.entries = [
            TakenEntry(place, event if hasattr(event, "event_id") else None) for place, event in enumerate(events)
        ]
        self.dead = {}
        self.fails = {}
        self.calls = []

    def note(self, call):
        self.calls.append(call)
        error = self.fails.pop(call, None)
        if error is not None:
            raise error

    async def claim(self):
        self.note("claim")
        return Lease(0, 1) if self.entries else None

    async def read(self, lease, limit, max_bytes):
        self.note("read")
        return self.entries[:limit]

    async def settle(self, lease, delivered, dead):
        self.note("settle")
        self.dead |= dead
        gone = {*delivered, *dead}
        self.entries = [entry for entry in self.entries if entry.position not in gone]

    async def release(self, lease):
        self.note("release")

    async def backlog(self):
        self.note("backlog")
        return Backlog(len(self.entries), 2.5 if self.entries else 0.0)

    async def close(self):
        self.note("close")


def relayed(registry, outcome):
    return registry.get_sample_value("audit_outbox_relayed_total", {"outcome": outcome})


def test_a_drain_delivers_everything_in_order_and_counts_it():
    async def main():
        events = [an_event(n) for n in range(7)]
        shelf, sink, registry = Shelf(*events), ScriptedSink(), CollectorRegistry()
        relay = OutboxRelay(shelf, sink, batch_size=3, registry=registry)
        assert await relay.drain() == 7
        assert sink.events == events
        assert shelf.entries == []
        assert relayed(registry, "delivered") == 7
        assert registry.get_sample_value("audit_outbox_backlog") == 0
        assert await relay.drain() == 0

    run(main())


def test_a_turn_at_one_shard_is_bounded():
    async def main():
        shelf, sink = Shelf(*[an_event(n) for n in range(25)]), ScriptedSink()
        relay = OutboxRelay(shelf, sink, batch_size=1, registry=CollectorRegistry())
        assert await relay.relay_once()
        assert len(sink.events) == 20
        assert await relay.drain() == 5

    run(main())


@pytest.mark.parametrize("names", [True, False])
def test_what_the_sink_refuses_becomes_a_dead_letter_and_the_rest_arrives_in_order(names):
    async def main():
        events = [an_event(n) for n in range(9)]
        shelf, sink, registry = Shelf(*events), ScriptedSink(), CollectorRegistry()
        wrong = {events[2].event_id, events[3].event_id, events[8].event_id}
        sink.refuses = lambda event: event.event_id in wrong
        sink.names_refused = names
        await OutboxRelay(shelf, sink, registry=registry).drain()
        assert sink.events == [event for event in events if event.event_id not in wrong]
        assert shelf.dead == {2: "scripted", 3: "scripted", 8: "scripted"}
        assert (relayed(registry, "delivered"), relayed(registry, "dead")) == (6, 3)

    run(main())


def test_an_entry_that_is_no_event_becomes_a_dead_letter():
    async def main():
        shelf, sink = Shelf(an_event(0), "?", an_event(1)), ScriptedSink()
        await OutboxRelay(shelf, sink, registry=CollectorRegistry()).drain()
        assert shelf.dead == {1: "unreadable"}
        assert sink.events == [an_event(0), an_event(1)]

    run(main())


@pytest.mark.parametrize("error", [SinkUnavailable(), RuntimeError("broken"), asyncio.CancelledError()])
def test_whatever_else_the_sink_raises_leaves_the_events_and_gives_the_shard_back(error):
    async def main():
        shelf, sink, registry = Shelf(an_event(0)), ScriptedSink(), CollectorRegistry()
        sink.error = error
        relay = OutboxRelay(shelf, sink, registry=registry)
        with pytest.raises(SinkUnavailable):
            await relay.relay_once()
        assert shelf.calls == ["claim", "read", "release"]
        assert len(shelf.entries) == 1
        assert relayed(registry, "failed") == 1
        sink.error = None
        assert await relay.drain() == 1

    run(main())


def test_a_sink_that_hangs_is_given_up_at_the_deadline():
    async def main():
        shelf, sink = Shelf(an_event(0)), ScriptedSink()
        sink.hang()
        with pytest.raises(SinkUnavailable):
            await OutboxRelay(shelf, sink, write_timeout=0.02, registry=CollectorRegistry()).relay_once()
        assert len(shelf.entries) == 1

    run(main())


def test_a_failure_of_the_outbox_after_the_write_repeats_the_same_events():
    async def main():
        events = [an_event(0), an_event(1)]
        shelf, sink = Shelf(*events), ScriptedSink()
        relay = OutboxRelay(shelf, sink, registry=CollectorRegistry())
        shelf.fails = {"settle": OutboxUnavailable(), "release": OutboxUnavailable()}
        with pytest.raises(OutboxUnavailable):
            await relay.relay_once()
        await relay.drain()
        assert sink.events == [*events, *events]

    run(main())


def test_a_running_relay_outlives_every_failure(caplog):
    async def main():
        events = [an_event(n) for n in range(3)]
        shelf, sink = Shelf(*events), ScriptedSink()
        shelf.fails = {
            "claim": OutboxUnavailable(),
            "read": ZeroDivisionError(),
            "settle": LeaseLost(),
            "backlog": OutboxUnavailable(),
        }
        async with OutboxRelay(shelf, sink, min_poll=0.001, max_back_off=0.001, registry=CollectorRegistry()) as relay:
            await sink.attempted(2)
            while relay.settled < 3:  # noqa: ASYNC110 - the relay tells nobody when it has settled
                await asyncio.sleep(0)
        assert sink.events == [*events, *events]
        assert shelf.entries == []

    run(main())
    assert {record.action for record in caplog.records} == {"audit_outbox_relay_failed"}
    assert {"OutboxUnavailable"} <= {record.error for record in caplog.records}


def test_the_gauges_show_what_waits():
    async def main():
        shelf, sink, registry = Shelf(an_event(0)), ScriptedSink(), CollectorRegistry()
        sink.down = True
        async with OutboxRelay(shelf, sink, max_back_off=0.001, registry=registry):
            await sink.attempted(2)
        assert registry.get_sample_value("audit_outbox_backlog") == 1
        assert registry.get_sample_value("audit_outbox_oldest_age_seconds") == 2.5

    run(main())


def test_stopping_ends_an_idle_relay_at_once_and_twice_is_once():
    async def main():
        shelf = Shelf()
        relay = OutboxRelay(shelf, ScriptedSink(), min_poll=20.0, max_poll=20.0, registry=CollectorRegistry())
        await relay.stop()
        with pytest.raises(ConfigurationError, match="stopped"):
            await relay.__aenter__()
        other = OutboxRelay(shelf, ScriptedSink(), min_poll=20.0, max_poll=20.0, registry=CollectorRegistry())
        async with other:
            with pytest.raises(ConfigurationError, match="started"):
                await other.__aenter__()
            await asyncio.sleep(0)
        await other.stop()
        assert await other.drain() == 0

    run(main())


def test_stopping_lets_the_batch_in_flight_end_and_takes_no_other():
    async def main():
        shelf, sink = Shelf(*[an_event(n) for n in range(4)]), ScriptedSink()
        sink.hang()
        async with OutboxRelay(shelf, sink, batch_size=2, registry=CollectorRegistry()) as relay:
            await sink.attempted(1)
            stopping = asyncio.create_task(relay.stop())
            await asyncio.sleep(0)
            sink.resume()
            await stopping
        assert sink.events == [an_event(0), an_event(1)]
        assert len(shelf.entries) == 2
        assert shelf.calls[-2:] == ["release", "backlog"]

    run(main())


@pytest.mark.parametrize("stubborn", [False, True])
def test_stopping_leaves_a_sink_that_hangs_behind_within_its_time(stubborn):
    async def main():
        shelf, sink = Shelf(an_event(0)), ScriptedSink()
        sink.hang()
        sink.stubborn = stubborn
        relay = OutboxRelay(shelf, sink, stop_timeout=0.05, registry=CollectorRegistry())
        loop = asyncio.get_running_loop()
        async with relay:
            await sink.attempted(1)
            began = loop.time()
            await relay.stop()
            assert loop.time() - began < 2.0
        assert len(shelf.entries) == 1
        sink.resume()

    run(main())


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"max_bytes": 0},
        {"write_timeout": 0.0},
        {"write_timeout": 30.0},
        {"stop_timeout": float("inf")},
        {"min_poll": 0.0},
        {"max_poll": 0.001},
        {"max_back_off": 0.0},
    ],
)
def test_a_relay_without_sense_is_refused_by_name(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        OutboxRelay(Shelf(), ScriptedSink(), **options)
