"""The spool as a state machine: restarts, kills and damage, and every record given back or counted as lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tenaudit.audit import AuditEvent, SpoolFull
from tenaudit.backends.spool import DiskSpool
from tests.unit.backends.spool_events import drained, event, events

OPTIONS = {"segment_bytes": 64 * 1024, "max_bytes": 512 * 1024, "reserve_bytes": 0}
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class SpoolMachine(RuleBasedStateMachine):
    """Appends, reads and acknowledges; now and then the process is killed or a file is damaged."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = tempfile.TemporaryDirectory(dir=FAST)
        self.lives = 0
        self.appended = self.settled = 0
        self.seen_lost = 0
        self.damaged = False
        self.read_up_to = None
        self.start(self.folder)

    @property
    def folder(self):
        return Path(self.root.name) / str(self.lives)

    def await_(self, coroutine):
        async def bounded():
            async with asyncio.timeout(30):
                return await coroutine

        return self.loop.run_until_complete(bounded())

    def start(self, folder):
        self.spool = self.await_(DiskSpool(folder, **OPTIONS).__aenter__())
        self.batch = None

    @rule(count=st.integers(1, 60), size=st.sampled_from([1, 300, 3000, 20_000]))
    def append(self, count, size):
        try:
            self.await_(self.spool.append(events(self.appended, self.appended + count, "x" * size)))
        except SpoolFull:
            return
        self.appended += count

    @rule(counts=st.lists(st.integers(1, 9), min_size=2, max_size=9))
    def append_at_once(self, counts):
        async def many():
            start = self.appended
            calls = []
            for count in counts:
                calls.append(self.spool.append(events(start, start + count)))
                start += count
            return await asyncio.gather(*calls, return_exceptions=True)

        outcomes = self.await_(many())
        if set(map(type, outcomes)) == {type(None)}:
            self.appended += sum(counts)
        else:
            # Some fitted: start anew rather than model the gaps.
            assert {type(outcome) for outcome in outcomes} <= {type(None), SpoolFull}
            self.forget_everything()

    def forget_everything(self):
        self.await_(drained(self.spool))
        self.await_(self.spool.close())
        self.lives += 1
        self.appended = self.settled = self.seen_lost = 0
        self.damaged = False
        self.start(self.folder)

    @rule(limit=st.integers(1, 80))
    def read(self, limit):
        self.batch = self.await_(self.spool.read(limit))
        numbers = [one.payload["n"] for one in self.batch.events]
        assert numbers == sorted(set(numbers))
        assert len(numbers) <= limit
        if not self.damaged:
            assert numbers == list(range(self.settled, self.settled + len(numbers)))
            assert numbers or self.settled == self.appended

    @rule()
    def ack(self):
        if self.batch:
            before = self.spool.stats().lost
            self.await_(self.spool.ack(self.batch.token))
            assert self.spool.stats().lost == before
            self.settled += len(self.batch.events)
            self.batch = None

    @rule()
    def restart(self):
        self.await_(self.spool.close())
        self.start(self.folder)

    @rule()
    def kill(self):
        before, self.lives = self.folder, self.lives + 1
        shutil.copytree(before, self.folder)
        self.await_(self.spool.close())
        shutil.rmtree(before)
        self.start(self.folder)

    @rule(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans(), killed=st.booleans())
    def damage(self, where, bit, cut, killed):
        if killed:
            self.kill()
        self.await_(self.spool.close())
        files = sorted(path for path in self.folder.iterdir() if ".db" in path.name and "damaged" not in path.name)
        total = sum(path.stat().st_size for path in files)
        place = int(where * total)
        for path in files:
            size = path.stat().st_size
            if place < size:
                self.damaged = True
                if cut:
                    os.truncate(path, place)
                else:
                    data = bytearray(path.read_bytes())
                    data[place] ^= 1 << bit
                    path.write_bytes(data)
                break
            place -= size
        self.start(self.folder)

    @rule()
    def drain(self):
        self.settled += len(self.await_(drained(self.spool)))
        stats = self.spool.stats()
        assert stats.records == 0
        assert self.settled + stats.lost == self.appended
        self.batch = None

    @invariant()
    def nothing_is_uncounted(self):
        stats = self.spool.stats()
        assert self.settled + stats.records + stats.lost == self.appended
        assert self.damaged or stats.lost == 0
        assert stats.quarantined <= 2
        files = sum(path.stat().st_size for path in self.folder.iterdir() if ".db" in path.name)
        assert files == stats.bytes <= OPTIONS["max_bytes"]

    def teardown(self):
        self.drain()
        self.await_(self.spool.close())
        self.loop.close()
        self.root.cleanup()


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(settings(), stateful_step_count=20)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    payloads=st.lists(
        st.dictionaries(st.text(st.characters(codec="ascii", exclude_characters="\x00")), _JSON), max_size=5
    )
)
def test_every_event_comes_back_equal(payloads):
    sent = [
        AuditEvent.model_validate(event(number).record() | {"payload": payload, "redactions": ["payload.a"]})
        for number, payload in enumerate(payloads)
    ]

    async def main():
        with tempfile.TemporaryDirectory(dir=FAST) as folder:
            async with DiskSpool(folder, **OPTIONS) as spool:
                await spool.append(sent)
                assert list((await spool.read(10)).events) == sent

    asyncio.run(main())
