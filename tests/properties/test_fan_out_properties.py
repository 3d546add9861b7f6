"""A fan-out under a producer that retries: nothing is lost, nothing is repeated that need not be."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit.audit import BreakerPolicy, FanOutMember, FanOutSink, SinkRejected, SinkUnavailable
from tenaudit.testing.conformance import an_event

EVENTS = [an_event(n) for n in range(8)]
NEVER = BreakerPolicy(10**6, 1.0)
MOODS = st.lists(st.sampled_from(["takes", "fails", "forgets"]), max_size=6)


class Moody:
    """Takes, fails, or takes and fails, as its moods say, then takes; refuses some events for ever."""

    def __init__(self, moods, refuses=(), names=True):
        self.moods = iter(moods)
        self.refuses = refuses
        self.names = names
        self.got = []
        self.forgot = 0

    async def write(self, batch):
        mood = next(self.moods, "takes")
        await asyncio.sleep(0)
        if mood == "fails":
            raise SinkUnavailable
        refused = [event.event_id for event in batch if event.payload["number"] in self.refuses]
        if refused:
            raise SinkRejected(refused if self.names else [], "moody")
        self.got += [event.payload["number"] for event in batch]
        if mood == "forgets":
            self.forgot += 1
            raise SinkUnavailable

    async def close(self):
        self.got = list(self.got)


async def produce(sink, batch):
    """Write until everything is taken or refused, as a producer does; return the numbers of what was refused."""
    left, portion, gone = list(batch), len(batch), []
    for _ in range(200):
        if not left:
            return gone
        part = left[:portion]
        try:
            await sink.write(part)
        except SinkUnavailable:
            continue
        except SinkRejected as refusal:
            named = [event for event in part if event.event_id in refusal.event_ids] or (part if len(part) == 1 else [])
            portion = portion if named else max(1, len(part) // 2)
            gone += [event.payload["number"] for event in named]
            left = [event for event in left if event not in named]
        else:
            left = left[len(part) :]
    raise AssertionError("it never comes to an end")


@given(
    moods=st.tuples(MOODS, MOODS, MOODS),
    refused=st.tuples(*[st.frozensets(st.integers(0, 7), max_size=3)] * 2),
    names=st.booleans(),
)
def test_every_required_member_has_what_is_not_refused_and_best_effort_has_it_once(moods, refused, names):
    a, b = (Moody(mood, refuses, names) for mood, refuses in zip(moods, refused, strict=False))
    side = Moody([mood for mood in moods[2] if mood != "fails"])

    async def main():
        async with asyncio.timeout(60):
            sink = FanOutSink(
                [
                    FanOutMember(a, "a", breaker=NEVER),
                    FanOutMember(b, "b", breaker=NEVER),
                    FanOutMember(side, "side", required=False, breaker=NEVER),
                ],
                registry=CollectorRegistry(),
            )
            gone = await produce(sink, EVENTS)
            await sink.close()
            return gone

    gone = asyncio.run(main())
    assert sorted(gone) == sorted(refused[0] | refused[1])
    everything = set(range(8))
    for member, refuses in ((a, refused[0]), (b, refused[1])):
        counts = Counter(member.got)
        assert everything - set(gone) <= set(counts) <= everything - refuses
        # Once, and once more for each answer that was lost.
        assert max(counts.values(), default=0) <= 1 + member.forgot
    counts = Counter(side.got)
    assert set(counts) == everything
    assert max(counts.values()) <= 1 + side.forgot
