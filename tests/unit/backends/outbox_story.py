"""Stories of transactions and relays that die or are overtaken, and the oracle that judges what the sink saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit.audit import SinkUnavailable
from tenaudit.audit.outbox import LeaseLost, OutboxRelay
from tenaudit.testing.scripted_sink import ScriptedSink
from tests.unit.backends.outbox_parts import firsts

__all__ = ["EVERY_DEATH", "Play", "stories"]

TENANTS = 2


HAPPENINGS = ["die", "die_after", "overtaken", "commits", "none"]
# Two batches of one tenant: claim, read, write, settle, read, write, settle, read, release.
EVERY_DEATH = [
    [*(("emit", 0, 1),) * 4, ("commit", 0), *forgets, ("relay", 0, place, happening)]
    for happening in ("die", "die_after", "overtaken")
    for place in range(9)
    for forgets in ([], [("forgets",)])
]


class Killed(BaseException):
    """The process of a relay ended here."""


def stories(connections: int):
    """Steps: emit, commit or roll back on a connection; a turn of a relay to which something happens; time passes."""
    turn = st.tuples(st.just("relay"), st.integers(0, 1), st.integers(0, 6), st.sampled_from(HAPPENINGS))
    emit = st.tuples(st.just("emit"), st.integers(0, connections - 1), st.integers(1, TENANTS))
    end = st.tuples(st.sampled_from(["commit", "commit", "rollback"]), st.integers(0, connections - 1))
    sick = st.tuples(st.sampled_from(["forgets", "expire"]))
    return st.lists(st.one_of(emit, emit, end, turn, sick), min_size=4, max_size=40)


@dataclass
class Told:
    tenant: int
    transaction: int
    emitted_at: int
    committed_at: int | None = None


@dataclass
class Ledger:
    """What was promised: every number that was committed, and which came before which."""

    told: dict[int, Told] = field(default_factory=dict)
    time: int = 0
    open: dict[int, int] = field(default_factory=dict)

    def emit(self, connection: int, tenant: int) -> int:
        self.time += 1
        transaction = self.open.setdefault(connection, self.time)
        number = len(self.told)
        self.told[number] = Told(tenant, transaction, self.time)
        return number

    def end(self, connection: int, *, committed: bool) -> None:
        self.time += 1
        transaction = self.open.pop(connection)
        for one in self.told.values():
            if committed and one.transaction == transaction:
                one.committed_at = self.time

    def judge(self, events) -> None:
        arrived = [event.payload["n"] for event in firsts(events)]
        committed = {number for number, one in self.told.items() if one.committed_at is not None}
        assert set(arrived) == committed
        for event in events:
            assert event.tenant_id == UUID(int=self.told[event.payload["n"]].tenant)
        for place, later in enumerate(arrived):
            for earlier in arrived[place + 1 :]:
                assert not self._before(self.told[earlier], self.told[later]), (earlier, later)

    def _before(self, one: Told, other: Told) -> bool:
        """Tell whether the order is promised: in one transaction, or begun after the other was committed."""
        if one.tenant != other.tenant:
            return False
        if one.transaction == other.transaction:
            return one.emitted_at < other.emitted_at
        return one.committed_at < other.emitted_at


class Awaits:
    """Counts what a relay awaits and lets something happen at one of these places."""

    def __init__(self, place, happening, overtake, commit_all):
        self.left = place
        self.happening = happening
        self.overtake = overtake
        self.commit_all = commit_all

    async def run(self, call):
        here = self.left == 0
        self.left -= 1
        if here and self.happening == "die":
            raise Killed
        result = await call()
        if here and self.happening == "die_after":
            raise Killed
        if here and self.happening == "overtaken":
            await self.overtake()
        if here and self.happening == "commits":
            await self.commit_all()
        return result


class Watched:
    """A source or a sink each of whose calls is one of the places."""

    def __init__(self, inner, awaits):
        self._inner = inner
        self._awaits = awaits

    @property
    def lease_seconds(self):
        return self._inner.lease_seconds

    async def claim(self):
        return await self._awaits.run(self._inner.claim)

    async def read(self, *args):
        return await self._awaits.run(lambda: self._inner.read(*args))

    async def settle(self, *args):
        return await self._awaits.run(lambda: self._inner.settle(*args))

    async def release(self, *args):
        return await self._awaits.run(lambda: self._inner.release(*args))

    async def write(self, *args):
        return await self._awaits.run(lambda: self._inner.write(*args))


class Relays:
    """Two relays of one outbox into one sink; *expire* ends every lease, *commit_all* every open transaction."""

    def __init__(self, sources, expire, commit_all):
        self.sink = ScriptedSink()
        self._commit_all = commit_all
        self._sources = sources
        self._expire = expire

    async def turn(self, which, place, happening):
        async def overtake():
            await self._expire()
            await self._once(self._sources[1 - which], self.sink)

        awaits = Awaits(place, happening, overtake, self._commit_all)
        try:
            await self._once(Watched(self._sources[which], awaits), Watched(self.sink, awaits))
        except Killed:
            return
        finally:
            self.sink.forgets_to_answer = False

    async def _once(self, source, sink):
        # Small batches, so that a shard takes several.
        relay = OutboxRelay(source, sink, batch_size=2, registry=CollectorRegistry())
        try:
            await relay.relay_once()
        except (SinkUnavailable, LeaseLost):
            return

    async def finish(self):
        await self._expire()
        await OutboxRelay(self._sources[0], self.sink, registry=CollectorRegistry()).drain()
        return self.sink.events


class Play:
    """Performs a story, step by step, and judges it; a subclass knows the database."""

    def __init__(self, sources):
        self.ledger = Ledger()
        self.relays = Relays(sources, self.expire, self.commit_all)

    async def perform(self, story):
        for word, *about in story:
            await getattr(self, word)(*about)
        await self.commit_all()
        self.relays.sink.forgets_to_answer = False
        self.ledger.judge(await self.relays.finish())

    async def relay(self, which, place, happening):
        await self.relays.turn(which, place, happening)

    async def forgets(self):
        self.relays.sink.forgets_to_answer = True

    async def commit(self, which):
        await self.end(which, committed=True)

    async def rollback(self, which):
        await self.end(which, committed=False)

    async def emit(self, which, tenant):
        raise NotImplementedError

    async def end(self, which, *, committed):
        raise NotImplementedError

    async def commit_all(self):
        raise NotImplementedError

    async def expire(self):
        raise NotImplementedError
