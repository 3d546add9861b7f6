"""A member that hangs or fails slows nobody: deadlines, breakers, queues of their own, and an end that comes."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit import BreakerPolicy, FanOutMember, FanOutSink, SinkUnavailable
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance import an_event
from tenaudit.testing.scripted_sink import ScriptedSink

BATCH = [an_event(n) for n in range(6)]
# As long as a test would wait for what must not be waited for.
FOR_EVER = 600.0


class Pair:
    """A fan-out of a required `trail` and a `side`, whose settings are the test's."""

    def __init__(self, *, required=False, trail=None, remember=10_000, clock=None, **side):
        self.trail, self.side = ScriptedSink(), ScriptedSink()
        self.clock = clock or ManualClock()
        self.registry = CollectorRegistry()
        self.sink = FanOutSink(
            [
                FanOutMember(self.trail, "trail", **(trail or {})),
                FanOutMember(self.side, "side", required=required, **side),
            ],
            registry=self.registry,
            clock=self.clock,
            remember=remember,
        )

    def value(self, name, **labels):
        return self.registry.get_sample_value(f"audit_fanout_{name}", {"member": "side", **labels})

    def run(self, case, *, leaves=0):
        async def main():
            async with asyncio.timeout(30):
                await case()
                await self.sink.close()
            assert len(asyncio.all_tasks()) == 1 + leaves
            self.side.resume()

        asyncio.run(main())


def numbers(sink):
    return [event.payload["number"] for event in sink.events]


def test_a_required_member_that_hangs_fails_by_its_own_deadline():
    pair = Pair(required=True, timeout=0.05, trail={"timeout": FOR_EVER})
    pair.side.hang()

    async def case():
        with pytest.raises(SinkUnavailable, match=r"side \(timeout\)"):
            await pair.sink.write(BATCH)
        assert numbers(pair.trail) == [0, 1, 2, 3, 4, 5]
        pair.side.resume()
        await pair.sink.write(BATCH)

    pair.run(case)
    assert numbers(pair.trail) == numbers(pair.side) == [0, 1, 2, 3, 4, 5]
    assert pair.value("writes_total", outcome="timeout") == 1


def test_a_breaker_keeps_writes_away_and_lets_one_trial_through(caplog):
    pair = Pair(required=True, breaker=BreakerPolicy(2, 30.0))
    pair.side.down = True
    caplog.set_level(logging.INFO, "tenaudit.audit")

    async def fails(said):
        with pytest.raises(SinkUnavailable, match=said):
            await pair.sink.write(BATCH)

    async def case():
        await fails("unavailable")
        await fails("unavailable")
        assert pair.value("breaker_open") == 1
        await fails("open")
        pair.clock.advance(29.9)
        await fails("open")
        assert pair.side.attempts == 2
        pair.clock.advance(0.1)
        await fails("unavailable")
        await fails("open")
        pair.clock.advance(30.0)
        pair.side.down = False
        await pair.sink.write(BATCH)
        assert pair.value("breaker_open") == 0

    pair.run(case)
    assert pair.value("writes_total", outcome="open") == 3
    assert [record.action for record in caplog.records if record.levelno == logging.WARNING] == [
        "audit_fanout_breaker_open",
        "audit_fanout_breaker_open",
    ]
    assert caplog.records[-1].action == "audit_fanout_breaker_closed"


def test_a_trial_that_is_given_up_does_not_shut_the_breaker_for_ever():
    pair = Pair(required=True, breaker=BreakerPolicy(1, 30.0))
    pair.side.down = True

    async def case():
        with pytest.raises(SinkUnavailable):
            await pair.sink.write(BATCH)
        pair.clock.advance(30.0)
        pair.side.hang()
        trial = asyncio.ensure_future(pair.sink.write(BATCH))
        await pair.side.attempted(2)
        trial.cancel()
        await asyncio.wait({trial})
        pair.side.resume()
        pair.side.down = False
        await pair.sink.write(BATCH)

    pair.run(case)
    assert numbers(pair.side) == [0, 1, 2, 3, 4, 5]
    assert pair.value("writes_total", outcome="cancelled") == 1


def test_a_required_member_that_will_not_be_cancelled_is_busy_until_it_ends():
    pair = Pair(required=True, timeout=0.05)
    pair.side.hang()
    pair.side.stubborn = True

    async def case():
        with pytest.raises(SinkUnavailable, match="timeout"):
            await pair.sink.write(BATCH)
        with pytest.raises(SinkUnavailable, match="busy"):
            await pair.sink.write(BATCH)
        assert pair.side.attempts == 1
        pair.side.resume()
        # It took the batch late, and does not get it again.
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        await pair.sink.write(BATCH)

    pair.run(case)
    assert numbers(pair.side) == [0, 1, 2, 3, 4, 5]


def test_a_member_that_stays_stuck_is_left_alone_at_once():
    pair = Pair(required=True, timeout=0.05, breaker=BreakerPolicy(2, 30.0))
    pair.side.hang()
    pair.side.stubborn = True

    async def case():
        for outcome in ("timeout", "busy", "open", "open"):
            with pytest.raises(SinkUnavailable, match=outcome):
                await pair.sink.write(BATCH)
        pair.clock.advance(30.0)
        # The trial finds it busy still, and nobody waits for it again.
        for outcome in ("busy", "open"):
            with pytest.raises(SinkUnavailable, match=outcome):
                await pair.sink.write(BATCH)
        assert pair.side.attempts == 1

    pair.run(case, leaves=2)


def test_writes_that_wait_for_their_turn_can_be_cancelled():
    pair = Pair(required=True, timeout=FOR_EVER)
    pair.side.hang()

    async def case():
        writes = [asyncio.ensure_future(pair.sink.write([event])) for event in BATCH[:3]]
        await pair.side.attempted(1)
        writes[1].cancel()
        await asyncio.wait({writes[1]})
        pair.side.resume()
        await asyncio.gather(writes[0], writes[2])

    pair.run(case)
    assert numbers(pair.side) == [0, 2]
    assert pair.value("writes_total", outcome="cancelled") == 1


def test_a_best_effort_member_that_hangs_slows_nothing(caplog):
    pair = Pair(timeout=0.05, trail={"timeout": FOR_EVER}, capacity=4)
    pair.side.hang()
    pair.side.stubborn = True

    async def case():
        for event in BATCH:
            await pair.sink.write([event])
        assert numbers(pair.trail) == [0, 1, 2, 3, 4, 5]
        assert pair.value("dropped_total") == 2

    # What it will not let go of is all that is left.
    pair.run(case, leaves=2)
    assert pair.value("dropped_total") == 6
    assert pair.trail.closed == 1
    # One line when it begins, and one with the rest: not one a batch.
    assert [record.events for record in caplog.records if record.action == "audit_fanout_dropped"] == [1, 5]


def test_its_queue_is_bounded_in_bytes(caplog):
    pair = Pair(max_bytes=3_000, capacity=100)
    pair.side.hang()
    large = [an_event(n, payload={"number": n, "text": "x" * 1_000}) for n in range(3)]

    async def case():
        await pair.sink.write(large)
        await pair.side.attempted(1)
        await pair.sink.write(BATCH[3:4])
        pair.side.resume()

    pair.run(case)
    assert numbers(pair.side) == [0, 3]
    assert pair.value("dropped_total") == 2
    (record,) = caplog.records
    assert (record.action, record.member, record.reason, record.events) == (
        "audit_fanout_dropped",
        "side",
        "queue_full",
        2,
    )


def test_an_event_that_is_no_json_counts_as_the_largest():
    pair = Pair(max_bytes=64 * 1024 - 1)
    odd = an_event(0).model_copy(update={"payload": {"text": "\ud800"}})

    async def case():
        await pair.sink.write([odd])

    pair.run(case)
    assert pair.value("dropped_total") == 1


def test_what_waits_already_is_not_taken_twice():
    pair = Pair(remember=1)
    pair.side.hang()

    async def case():
        await pair.sink.write(BATCH)
        await pair.sink.write(BATCH)
        pair.side.resume()

    pair.run(case)
    assert numbers(pair.side) == [0, 1, 2, 3, 4, 5]
    assert pair.value("dropped_total") == 0


def test_a_best_effort_member_that_comes_back_gets_what_waited():
    pair = Pair()
    pair.side.down = True

    async def case():
        await pair.sink.write(BATCH[:3])
        await pair.side.attempted(3)
        pair.side.down = False
        await pair.sink.write(BATCH[3:])
        await pair.side.attempted(4)

    pair.run(case)
    assert numbers(pair.side) == [0, 1, 2, 3, 4, 5]
    assert pair.value("dropped_total") == 0


@pytest.mark.parametrize("names_refused", [True, False])
def test_what_a_best_effort_member_refuses_is_dropped_alone(names_refused):
    pair = Pair()
    pair.side.names_refused = names_refused
    pair.side.refuses = lambda event: event.payload["number"] in {1, 4}

    async def case():
        await pair.sink.write(BATCH)

    pair.run(case)
    assert numbers(pair.side) == [0, 2, 3, 5]
    assert pair.value("dropped_total") == 2


def test_closing_delivers_what_a_slow_member_still_lacks():
    pair = Pair()
    pair.side.down = True

    async def case():
        await pair.sink.write(BATCH)
        await pair.side.attempted(1)
        closing = asyncio.ensure_future(pair.sink.close())
        await pair.side.attempted(2)
        pair.side.down = False
        await closing

    pair.run(case)
    assert numbers(pair.side) == [0, 1, 2, 3, 4, 5]
    assert pair.side.closed == 1


def test_closing_does_not_wait_for_a_member_that_is_left_alone():
    pair = Pair(timeout=FOR_EVER, breaker=BreakerPolicy(1, FOR_EVER))
    pair.side.down = True

    async def case():
        await pair.sink.write(BATCH)
        await pair.side.attempted(1)

    pair.run(case)
    assert pair.value("dropped_total") == 6
    assert pair.side.closed == 1


def test_closing_ends_though_a_required_member_will_not(caplog):
    pair = Pair(required=True, timeout=0.05)

    async def case():
        await pair.sink.write(BATCH)
        pair.side.hang()
        pair.side.stubborn = True

    pair.run(case, leaves=1)
    assert [(record.action, record.member, record.error) for record in caplog.records] == [
        ("audit_fanout_close_failed", "side", "TimeoutError")
    ]


def test_a_member_that_fails_to_close_is_told_of_and_no_more(caplog):
    pair = Pair(required=True)

    class Broken(ScriptedSink):
        async def close(self):
            raise OSError("secret")

    registry = CollectorRegistry()
    broken = FanOutSink([FanOutMember(Broken(), "broken")], registry=registry)

    async def case():
        await broken.close()

    pair.run(case)
    (record,) = caplog.records
    assert (record.member, record.error) == ("broken", "OSError")
    assert "secret" not in caplog.text


def test_closing_that_is_given_up_leaves_no_task_and_counts_what_is_lost():
    pair = Pair(timeout=FOR_EVER)
    pair.side.hang()

    async def case():
        await pair.sink.write(BATCH)
        await pair.side.attempted(1)
        closing = asyncio.ensure_future(pair.sink.close())
        # It would go on for ever.
        assert await asyncio.wait({closing}, timeout=0.05) == (set(), {closing})
        closing.cancel()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})

    pair.run(case)
    assert pair.value("dropped_total") == 6
