"""The producer's account as a state machine: whatever the sink does, every event is somewhere, exactly once."""

from __future__ import annotations

import asyncio
import uuid

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))


class ProducerMachine(RuleBasedStateMachine):
    """Emits, flushes and closes while the sink fails, refuses, hangs and comes back."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.sink = self.await_(self._make_sink())
        self.producer = AuditProducer(
            self.sink, service="orders", capacity=20, max_bytes=12_000, batch_size=4, linger=0.0, write_timeout=0.02,
            close_timeout=0.1, registry=CollectorRegistry(),
        )  # fmt: skip
        self.accepted = []
        self.dropped = 0
        self.rejected = 0
        self.doomed = set()
        self.started = self.closed = False

    async def _make_sink(self):
        return ScriptedSink()

    def await_(self, coroutine):
        async def bounded():
            async with asyncio.timeout(30):
                return await coroutine

        return self.loop.run_until_complete(bounded())

    @precondition(lambda self: not self.started and not self.closed)
    @rule()
    def start(self):
        self.await_(self.producer.__aenter__())
        self.started = True

    @rule(count=st.integers(1, 12), size=st.sampled_from([1, 600]), doomed=st.booleans())
    def emit(self, count, size, doomed):
        for _ in range(count):
            result = self.producer.emit("order.created", payload={"t": "x" * size, "doomed": doomed}, context=CTX)
            if result.status == "accepted":
                self.accepted.append(result.event_id)
                if doomed:
                    self.doomed.add(result.event_id)
            else:
                assert result.reason == ("closed" if self.closed else "queue_full")
                self.dropped += 1

    @rule(wrong=st.sampled_from([{"action": "Wrong"}, {"payload": {"a": 2**53}}, {"context": None}]))
    def emit_what_breaks_a_limit(self, wrong):
        assert self.producer.emit(**{"action": "order.created", "context": CTX} | wrong).status == "rejected"
        self.rejected += 1

    @rule(down=st.booleans(), bug=st.booleans())
    def sicken(self, down, bug):
        self.sink.down = down
        self.sink.error = RuntimeError() if bug else None

    @rule()
    def hang(self):
        self.sink.hang()

    @rule(named=st.booleans())
    def refuse(self, named):
        self.sink.names_refused = named
        self.sink.refuses = lambda event: event.payload["doomed"]

    @rule()
    def heal(self):
        self.sink.down, self.sink.error = False, None
        self.sink.refuses = lambda event: False
        self.sink.resume()

    @precondition(lambda self: self.started and not self.closed)
    @rule(seconds=st.sampled_from([0.0, 0.005, 0.1]))
    def flush(self, seconds):
        before = len(self.accepted)
        if self.await_(self.producer.flush(seconds)):
            assert self.producer.stats().queued == 0
            assert len(self.sink.events) <= before

    @precondition(lambda self: self.started and not self.closed)
    @rule()
    def heal_and_flush_all(self):
        self.heal()
        assert self.await_(self.producer.flush(20))
        assert {event.event_id for event in self.sink.events} >= set(self.accepted) - self.doomed

    @rule()
    def let_it_run(self):
        self.await_(asyncio.sleep(0))

    @precondition(lambda self: not self.closed)
    @rule()
    def close(self):
        self.await_(self.producer.close())
        self.closed = True
        assert self.producer.stats().queued == 0
        assert self.sink.closed == 1

    @invariant()
    def every_event_is_somewhere(self):
        stats = self.producer.stats()
        assert stats.emitted == stats.delivered + stats.dropped + stats.spooled + stats.queued
        assert stats.emitted == len(self.accepted) + self.dropped
        assert stats.rejected == self.rejected
        assert stats.delivered == len(self.sink.events)

    @invariant()
    def what_arrived_arrived_once_and_in_order(self):
        ids = [event.event_id for event in self.sink.events]
        assert ids == sorted(set(ids))
        assert set(ids) <= set(self.accepted)
        seqs = [event.seq for event in self.sink.events]
        assert seqs == sorted(seqs)

    def teardown(self):
        self.sink.resume()
        self.await_(self.producer.close())
        tasks = asyncio.all_tasks(self.loop)
        self.loop.close()
        assert not tasks


TestProducer = ProducerMachine.TestCase
TestProducer.settings = settings(settings(), stateful_step_count=25)
