"""Properties of the outbox: what is committed arrives, texts are faithful, the same id makes the same event."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit.audit.outbox import OutboxComposer
from tenaudit.audit.outbox.entry import SHARDS, entry_of, event_of_text, shard_of
from tenaudit.audit.outbox.pace import Pace
from tenaudit.backends.sqlite.outbox import SqliteOutbox, create_outbox
from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource
from tenaudit.testing.clock import ManualClock
from tests.unit.backends.outbox_parts import context_of
from tests.unit.backends.outbox_story import EVERY_DEATH, Play, stories

ONE = context_of(1)
LEASE = 30.0

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
integers = st.integers(-(2**53) + 1, 2**53 - 1)
values = st.recursive(
    st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


class SqlitePlay(Play):
    """One connection at a time, since SQLite has one writer: while it writes, a relay would only wait."""

    def __init__(self, connection, path):
        self.clock = ManualClock()
        self.connection = connection
        self.outbox = SqliteOutbox("orders", registry=CollectorRegistry(), clock=self.clock)
        self.sources = [SqliteOutboxSource(path, lease=LEASE, clock=self.clock) for _ in range(2)]
        super().__init__(self.sources)

    async def emit(self, which, tenant):
        if not self.connection.in_transaction:
            self.connection.execute("BEGIN")
        payload = {"n": self.ledger.emit(which, tenant)}
        self.outbox.emit_nowait(self.connection, "order.created", payload=payload, context=context_of(tenant))

    async def end(self, which, *, committed):
        if self.connection.in_transaction:
            self.connection.execute("COMMIT" if committed else "ROLLBACK")
            self.ledger.end(which, committed=committed)

    async def commit_all(self):
        await self.commit(0)

    async def relay(self, which, place, happening):
        if not self.connection.in_transaction:
            await super().relay(which, place, happening)

    async def expire(self):
        self.clock.advance(LEASE)

    async def close(self):
        for source in self.sources:
            await source.close()


async def perform(path, story):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        play = SqlitePlay(connection, path)
        await play.perform(story)
        await play.close()
        for table in ("tenaudit_outbox", "tenaudit_outbox_dead"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_relay_may_die_or_be_overtaken_at_every_await():
    for story in EVERY_DEATH:
        judge(story)


@given(story=stories(1))
def test_what_is_committed_arrives_and_nothing_else_whatever_happens_to_the_relays(story):
    judge(story)


def judge(story):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            create_outbox(connection)
        asyncio.run(asyncio.wait_for(perform(path, story), 60))


@given(payload=st.dictionaries(text, values, max_size=6), resource_id=text, actor=text)
def test_an_event_comes_back_from_its_text_as_it_was(payload, resource_id, actor):
    composer = OutboxComposer("orders", registry=CollectorRegistry())
    event = composer.compose("order.created", payload=payload, resource_id=resource_id, context=ONE)
    back = event_of_text(entry_of(event).text)
    assert back == event
    assert json.dumps(back.record()) == json.dumps(event.record())


@given(payload=st.dictionaries(text, values, max_size=3), seconds=st.floats(0, 10**6), elsewhere=st.booleans())
def test_the_same_id_and_arguments_make_the_same_event(payload, seconds, elsewhere):
    clock = ManualClock()
    first = OutboxComposer("orders", registry=CollectorRegistry(), clock=clock)
    event_id = first.compose("order.created", context=ONE).event_id
    once = first.compose("order.created", payload=payload, context=ONE, event_id=event_id)
    clock.advance(seconds)
    second = OutboxComposer("orders", registry=CollectorRegistry(), clock=clock) if elsewhere else first
    assert second.compose("order.created", payload=payload, context=ONE, event_id=event_id) == once


@given(tenant=st.uuids())
def test_a_tenant_has_one_shard(tenant):
    assert shard_of(tenant) == shard_of(UUID(str(tenant)))
    assert 0 <= shard_of(tenant) < SHARDS


@given(
    shortest=st.floats(0.001, 1),
    times=st.floats(1, 100),
    back_off=st.floats(0.01, 10),
    steps=st.lists(st.sampled_from(["work", "nothing", "failure"]), max_size=30),
    fraction=st.floats(0, 1),
)
def test_every_wait_is_bounded(shortest, times, back_off, steps, fraction):
    pace = Pace(shortest, shortest * times, back_off)
    for step in steps:
        match step:
            case "work":
                assert pace.after_work() == 0
            case "nothing":
                assert shortest <= pace.after_nothing() <= shortest * times
            case "failure":
                assert 0 < pace.after_failure(fraction) <= back_off
