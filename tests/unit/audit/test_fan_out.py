"""Several sinks as one: who decides, who gets what on a retry, and the whole of it behind a producer."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ConfigurationError
from tenaudit.audit import (
    AuditProducer,
    BreakerPolicy,
    FanOutMember,
    FanOutSink,
    SinkRejected,
    SinkUnavailable,
)
from tenaudit.audit.fan_out.waiting import WaitingEvents, event_bytes
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance import an_event
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))
BATCH = [an_event(n) for n in range(6)]


class FanOut:
    """A fan-out over scripted members `a` and `b`, which are required, and `c`, which is not."""

    def __init__(self, **options):
        self.a, self.b, self.c = ScriptedSink(), ScriptedSink(), ScriptedSink()
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.sink = FanOutSink(
            [
                FanOutMember(self.a, "a", breaker=BreakerPolicy(2, 30.0)),
                FanOutMember(self.b, "b", breaker=BreakerPolicy(2, 30.0)),
                FanOutMember(self.c, "c", required=False),
            ],
            registry=self.registry,
            clock=self.clock,
            **options,
        )

    def value(self, name, **labels):
        return self.registry.get_sample_value(f"audit_fanout_{name}", labels)

    def run(self, case):
        """Run a case, close, and leave no task behind."""

        async def main():
            async with asyncio.timeout(30):
                await case()
                await self.sink.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())


def numbers(sink):
    return [event.payload["number"] for event in sink.events]


def test_every_member_gets_the_batch_in_order():
    fan = FanOut()

    async def case():
        await fan.sink.write(BATCH[:3])
        await fan.sink.write(BATCH[3:])
        await fan.sink.write([])

    fan.run(case)
    assert numbers(fan.a) == numbers(fan.b) == numbers(fan.c) == [0, 1, 2, 3, 4, 5]
    assert (fan.a.closed, fan.b.closed, fan.c.closed) == (1, 1, 1)
    assert fan.value("writes_total", member="a", outcome="ok") == 2
    assert fan.value("dropped_total", member="c") == 0
    assert fan.value("breaker_open", member="a") == 0


def test_a_retry_goes_only_to_the_member_that_lacks_the_batch():
    fan = FanOut()
    fan.b.down = True

    async def case():
        with pytest.raises(SinkUnavailable, match=r"b \(unavailable\)"):
            await fan.sink.write(BATCH)
        fan.b.down = False
        # As the producer does after a refusal: a part of the batch first.
        await fan.sink.write(BATCH[:2])
        await fan.sink.write(BATCH[2:])

    fan.run(case)
    assert numbers(fan.a) == numbers(fan.b) == numbers(fan.c) == [0, 1, 2, 3, 4, 5]
    assert fan.a.attempts == 1


def test_what_was_answered_for_is_forgotten():
    fan = FanOut()

    async def case():
        await fan.sink.write(BATCH[:1])
        await fan.sink.write(BATCH[:1])

    fan.run(case)
    assert numbers(fan.a) == [0, 0]


def test_past_its_memory_a_member_gets_an_event_again():
    fan = FanOut(remember=4)
    fan.b.down = True

    async def case():
        for batch in (BATCH[:2], BATCH[2:]):
            with pytest.raises(SinkUnavailable):
                await fan.sink.write(batch)
        fan.b.down = False
        fan.clock.advance(30.0)
        await fan.sink.write(BATCH[:2])

    fan.run(case)
    assert numbers(fan.a) == [0, 1, 2, 3, 4, 5, 0, 1]
    assert numbers(fan.b) == [0, 1]


def test_refusals_are_the_union_and_the_rest_is_written_once():
    fan = FanOut()
    fan.a.refuses = lambda event: event.payload["number"] == 1
    fan.b.refuses = lambda event: event.payload["number"] in {2, 3}

    async def case():
        with pytest.raises(SinkRejected) as caught:
            await fan.sink.write(BATCH)
        assert caught.value.event_ids == {event.event_id for event in BATCH[1:4]}
        assert caught.value.reason == "scripted"
        await fan.sink.write([BATCH[0], *BATCH[4:]])

    fan.run(case)
    assert numbers(fan.a) == [0, 2, 3, 4, 5]
    assert numbers(fan.b) == [0, 1, 4, 5]
    assert numbers(fan.c) == [0, 1, 2, 3, 4, 5]


def test_a_refusal_waits_until_the_others_have_answered():
    fan = FanOut()
    fan.a.refuses = lambda event: event.payload["number"] == 0
    fan.b.down = True

    async def case():
        with pytest.raises(SinkUnavailable):
            await fan.sink.write(BATCH[:2])
        # The one that it refuses does not keep the rest from it.
        assert numbers(fan.a) == [1]
        fan.b.down = False
        with pytest.raises(SinkRejected) as caught:
            await fan.sink.write(BATCH[:2])
        assert caught.value.event_ids == {BATCH[0].event_id}

    fan.run(case)
    assert numbers(fan.b) == [0, 1]


@pytest.mark.parametrize("names_refused", [True, False])
def test_a_producer_drops_what_a_required_member_refuses(names_refused):
    fan = FanOut()
    fan.a.names_refused = names_refused
    fan.a.refuses = lambda event: event.payload["number"] == 5

    async def case():
        async with AuditProducer(fan.sink, service="orders", linger=0.0, registry=fan.registry) as producer:
            for number in range(20):
                producer.emit("order.created", payload={"number": number}, context=CTX)
            assert await producer.flush(10)
            assert producer.stats().delivered == 19
            assert producer.stats().dropped == 1

    fan.run(case)
    assert sorted(numbers(fan.a)) == [n for n in range(20) if n != 5]
    assert sorted(numbers(fan.b)) == numbers(fan.c) == list(range(20))


def test_one_refused_event_without_a_name_is_that_event():
    fan = FanOut()
    fan.a.names_refused = False
    fan.a.refuses = lambda _: True

    async def case():
        with pytest.raises(SinkRejected) as caught:
            await fan.sink.write(BATCH[:1])
        assert caught.value.event_ids == {BATCH[0].event_id}
        with pytest.raises(SinkRejected) as caught:
            await fan.sink.write(BATCH)
        assert caught.value.event_ids == frozenset()

    fan.run(case)


def test_a_refusal_without_a_reason_is_one_all_the_same():
    fan = FanOut()
    fan.a.error = SinkRejected([BATCH[0].event_id], "")

    async def case():
        with pytest.raises(SinkRejected, match="rejected"):
            await fan.sink.write(BATCH[:1])

    fan.run(case)


@pytest.mark.parametrize("error", [OSError("secret"), asyncio.CancelledError(), ZeroDivisionError()])
def test_whatever_a_member_raises_it_is_unavailable(error):
    fan = FanOut()
    fan.a.error = error

    async def case():
        with pytest.raises(SinkUnavailable, match=r"a \(unavailable\)") as caught:
            await fan.sink.write(BATCH)
        assert "secret" not in str(caught.value)

    fan.run(case)


def test_a_queue_counts_what_waits_and_nothing_else():
    size = event_bytes(BATCH[0])
    waiting = WaitingEvents(100, 3 * size)
    for _ in range(5):
        assert waiting.offer(BATCH[:3]) == 0
        # Again, while it waits: one event, one place.
        assert waiting.offer(BATCH[:3]) == 0
        assert waiting.offer(BATCH[3:4]) == 1
        assert waiting.first(2) == BATCH[:2]
        assert waiting.remove([*BATCH[1:3], BATCH[5]]) == 2
        assert waiting.offer(BATCH[3:5]) == 0
        assert (len(waiting), waiting.clear(), len(waiting)) == (3, 3, 0)


def test_a_closed_fan_out_takes_nothing():
    fan = FanOut()

    async def case():
        await fan.sink.close()
        with pytest.raises(SinkUnavailable, match="closed"):
            await fan.sink.write(BATCH)

    fan.run(case)
    assert fan.a.closed == 1


def test_a_forked_child_starts_with_nothing_that_waits():
    fan = FanOut()
    fan.b.down = fan.c.down = True

    async def case():
        with pytest.raises(SinkUnavailable):
            await fan.sink.write(BATCH)
        await fan.c.attempted(1)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        fan.sink.after_fork()
        fan.b.down = fan.c.down = False
        await fan.sink.write(BATCH[:1])
        await fan.sink.close()
        # The parent's, which only here share a process with the child's.
        for task in left:
            task.cancel()
        await asyncio.wait(left)

    fan.run(case)
    assert numbers(fan.a) == [0, 1, 2, 3, 4, 5, 0]
    assert numbers(fan.b) == numbers(fan.c) == [0]


def test_bad_settings_are_refused_by_name():
    sink = ScriptedSink()
    for broken, said in (
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a", "timeout": 0}, "timeout of the member a"),
        ({"name": "a", "timeout": float("nan")}, "timeout"),
        ({"name": "a", "capacity": 0}, "capacity"),
        ({"name": "a", "max_bytes": -1}, "max_bytes"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            FanOutMember(sink, **broken)
    for broken, said in (({"failures": 0}, "failures"), ({"rest": 0.0}, "rest")):
        with pytest.raises(ConfigurationError, match=said):
            BreakerPolicy(**broken)
    registry = CollectorRegistry()
    for members, options, said in (
        ([], {}, "required"),
        ([FanOutMember(sink, "a", required=False)], {}, "required"),
        ([FanOutMember(sink, "a"), FanOutMember(sink, "a")], {}, "name of its own"),
        ([FanOutMember(sink, "a")], {"remember": 0}, "remember"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            FanOutSink(members, registry=registry, **options)
