"""The account of a producer with a spool, as a state machine: whatever sink and spool do, every event is somewhere."""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from prometheus_client import CollectorRegistry

from tenaudit.audit import AuditProducer
from tenaudit.backends.spool import DiskSpool
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.scripted_sink import ScriptedSink

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class SpoolingProducerMachine(RuleBasedStateMachine):
    """Emits, flushes and closes, one process after the other, while the sink fails and the spool runs full."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(dir=FAST)
        self.sink = self.await_(self._make_sink())
        self.kept = []
        self.doomed = set()
        self.start()

    async def _make_sink(self):
        return ScriptedSink()

    def await_(self, coroutine):
        async def bounded():
            async with asyncio.timeout(30):
                return await coroutine

        return self.loop.run_until_complete(bounded())

    def start(self):
        spool = DiskSpool(self.folder.name, segment_bytes=65536, max_bytes=2**19, reserve_bytes=0)
        self.producer = AuditProducer(
            self.sink, service="orders", capacity=20, max_bytes=24_000, batch_size=4, linger=0.0, write_timeout=0.02,
            close_timeout=1.0, registry=CollectorRegistry(), spool=spool, spool_after=0.01, overflow="spool",
        )  # fmt: skip
        self.accepted = []
        self.dropped = 0
        self.await_(self.producer.__aenter__())

    @rule(count=st.integers(1, 50), size=st.sampled_from([1, 600, 8000]), doomed=st.booleans())
    def emit(self, count, size, doomed):
        for _ in range(count):
            result = self.producer.emit("order.created", payload={"t": "x" * size, "doomed": doomed}, context=CTX)
            if result.status == "accepted":
                self.accepted.append(result.event_id)
                if doomed:
                    self.doomed.add(result.event_id)
            else:
                assert result.reason == "queue_full"
                self.dropped += 1

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

    @rule(seconds=st.sampled_from([0.0, 0.005, 0.1]))
    def flush(self, seconds):
        if self.await_(self.producer.flush(seconds)):
            assert self.producer.stats()[4:] == (0, 0)

    @rule()
    def heal_and_flush_all(self):
        self.heal()
        # A flush waits for this producer's own events: a fresh one arrives behind all that an earlier process left.
        self.emit(1, 1, doomed=False)
        assert self.await_(self.producer.flush(20))
        everything = {*self.kept, *self.accepted}
        assert {event.event_id for event in self.sink.events} >= everything - self.doomed

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.1]))
    def let_it_run(self, seconds):
        self.await_(asyncio.sleep(seconds))

    @rule()
    def close_and_start_another(self):
        self.await_(self.producer.close())
        stats = self.producer.stats()
        assert stats.queued == 0
        if stats.dropped == self.dropped:
            # Neither refused nor too much for the spool: what is not delivered is on disk.
            self.kept += self.accepted
        self.start()

    @invariant()
    def every_event_is_somewhere(self):
        stats = self.producer.stats()
        assert stats.emitted == stats.delivered + stats.dropped + stats.spooled + stats.queued
        assert stats.emitted == len(self.accepted) + self.dropped
        assert min(stats) >= 0

    @invariant()
    def first_arrivals_are_in_order_and_nothing_is_made_up(self):
        first = list(dict.fromkeys(event.event_id for event in self.sink.events))
        own = [one for one in first if one in set(self.accepted)]
        assert own == sorted(own)

    def teardown(self):
        self.heal()
        self.await_(self.producer.close())
        tasks = asyncio.all_tasks(self.loop)
        self.loop.close()
        self.folder.cleanup()
        assert not tasks


TestSpoolingProducer = SpoolingProducerMachine.TestCase
# Its steps wait for a real disk and a real clock: few and short runs, else a busy machine takes minutes.
TestSpoolingProducer.settings = settings(
    settings(), max_examples=max(20, settings().max_examples // 4), stateful_step_count=15
)
