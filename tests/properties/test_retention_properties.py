"""Retention as a machine: whatever is appended, held, purged, killed and replayed, the log verifies."""

from __future__ import annotations

import asyncio
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tenaudit.audit import AuditQuery
from tenaudit.audit.retention.moments import wall_time
from tenaudit.audit.retention.ranges import ranges_of, rows_of, slices
from tenaudit.audit.retention.terms import cutoff
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tenaudit.testing.conformance.retention_suite import NOW, aged
from tests.unit.backends.retention_story import DEATHS, Died, purge_and_die

DAY = 86_400
tenants = st.sampled_from([TENANT, OTHER_TENANT])
days = st.integers(1, 60)


@given(st.sets(st.integers(0, 300)), st.integers(1, 5))
def test_ranges_are_the_places_they_are_made_of(places, most):
    ranges = ranges_of(sorted(places))
    assert [place for first, last in ranges for place in range(first, last + 1)] == sorted(places)
    assert rows_of(ranges) == len(places)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(ranges))
    parts = [*slices(ranges, most)]
    assert [one for part in parts for one in part] == [*ranges]
    assert all(0 < len(part) <= most for part in parts)


class Tenant:
    """What is expected of one tenant."""

    def __init__(self):
        self.days = None
        self.held = False
        self.watermark = None
        self.there = {}
        self.gone = {}


class Retention(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.archive = Path(self.folder.name) / "archive"
        self.archive.mkdir()
        self.clock = ManualClock(NOW.timestamp())
        self.tenants = {TENANT: Tenant(), OTHER_TENANT: Tenant()}
        self.default = 30
        self.number = 0
        self.store = None

    def do(self, call):
        return self.runner.run(asyncio.wait_for(call, 30))

    @initialize()
    def begin(self):
        """Begin where something went already: most of what can go wrong comes after that."""
        self.open()
        for tenant in self.tenants:
            self.append_of(tenant, [31, 40, 55, 1])
        self.purge_all(3, archive=None)

    def open(self):
        self.store = self.do(self._opened())

    async def _opened(self):
        return await SqliteStore.open(Path(self.folder.name) / "audit.db", clock=self.clock)

    def before(self, tenant):
        return cutoff(wall_time(self.clock), self.tenants[tenant].days or self.default)

    @rule(tenant=tenants, ages=st.lists(st.floats(0, 80), min_size=1, max_size=6))
    def append(self, tenant, ages):
        self.append_of(tenant, ages)

    def append_of(self, tenant, ages):
        past = (self.clock.time_ns() / 1e9 - NOW.timestamp()) / DAY
        events = [
            # The leaf of an event with an actor has a salt, which goes with the event.
            aged(number, age - past, tenant_id=tenant, actor_id="u-1" if number % 2 else None)
            for number, age in enumerate(ages, self.number)
        ]
        self.number += len(ages)
        self.arrive(tenant, events)

    @rule(tenant=tenants)
    def replay(self, tenant):
        known = self.tenants[tenant]
        self.arrive(tenant, [*known.there.values(), *known.gone.values()])

    def arrive(self, tenant, events):
        known, expected = self.tenants[tenant], {"stored": 0, "duplicates": 0, "expired": 0}
        for event in events:
            key, moment = event.event_id, event.occurred_at
            old = known.watermark is not None and moment < known.watermark and moment < self.before(tenant)
            if key in known.there:
                expected["duplicates"] += 1
            elif old and not known.held:
                expected["expired"] += 1
            elif key in known.gone:
                expected["expired" if event.actor_id else "duplicates"] += 1
            else:
                expected["stored"] += 1
                known.there[key] = event
        result = self.do(self.store.append(events))
        assert result._asdict() == {**expected, "conflicts": 0}

    @rule(tenant=tenants, period=st.none() | days)
    def set_period(self, tenant, period):
        self.do(self.store.set_retention(period, tenant_id=tenant))
        self.tenants[tenant].days = period

    @rule(period=days)
    def set_default(self, period):
        self.do(self.store.set_retention(period))
        self.default = period

    @rule(tenant=tenants)
    def turn_hold(self, tenant):
        known = self.tenants[tenant]
        turn = self.store.release if known.held else self.store.hold
        self.do(turn(tenant, reason="case", by="legal"))
        known.held = not known.held

    @rule(passed=st.floats(0.01, 20))
    def wait(self, passed):
        self.clock.advance(passed * DAY)

    @rule()
    def seal(self):
        self.do(self.store.seal())

    @rule(batch=st.integers(1, 6), archived=st.booleans())
    def purge(self, batch, archived):
        self.purge_all(batch, archive=self.archive if archived else None)

    def purge_all(self, batch, archive):
        report = self.do(self.store.purge(batch=batch, archive=archive))
        assert report.complete
        for tenant in self.tenants:
            self.went(tenant, wholly=True)

    @rule(death=st.sampled_from(DEATHS), number=st.integers(0, 3), batch=st.integers(1, 3))
    def purge_and_die(self, death, number, batch):
        try:
            self.do(purge_and_die(self.store, *death, number, batch=batch, archive=self.archive))
        except Died:
            self.do(self.store.close())
            self.open()
        for tenant in self.tenants:
            self.went(tenant, wholly=False)

    @rule()
    def reopen(self):
        self.do(self.store.close())
        self.open()

    def went(self, tenant, *, wholly):
        """See that what went may go, and that all of it went if the purge came to its end."""
        known, before = self.tenants[tenant], self.before(tenant)
        kept = {event.event_id for event in self.stored(tenant)}
        for key in [key for key in known.there if key not in kept]:
            known.gone[key] = known.there.pop(key)
            assert not known.held
            assert known.gone[key].occurred_at < before
        if wholly and not known.held:
            assert all(event.occurred_at >= before for event in known.there.values())
        (terms,) = [one for one in self.do(self.store.retention()).tenants if one.tenant_id == tenant] or [None]
        if terms is not None and terms.purged_before != known.watermark:
            assert terms.purged_before == before
            known.watermark = before

    def stored(self, tenant):
        query = AuditQuery(tenant, limit=500)
        page = self.do(self.store.search(query))
        assert page.next_cursor is None
        return page.events

    @invariant()
    def all_is_there_and_the_log_verifies(self):
        if self.store is None:
            return
        report = self.do(self.store.verify())
        assert report.verified, report.problems[:3]
        for tenant, known in self.tenants.items():
            there = {one.event_id: one for one in self.stored(tenant) if not one.action.startswith("audit.")}
            assert there == known.there

    def teardown(self):
        if self.store is not None:
            self.do(self.store.close())
        self.runner.close()
        self.folder.cleanup()


TestRetention = pytest.mark.timeout(300)(Retention.TestCase)
TestRetention.settings = settings(stateful_step_count=25, max_examples=25)
