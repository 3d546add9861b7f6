"""Searching, following and counting in PostgreSQL against the meaning of each filter in plain Python."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenaudit.audit import AuditQuery
from tenaudit.audit.event import SEVERITIES
from tenaudit.audit.follow import Follows, matches
from tenaudit.audit.stats import Counts
from tenaudit.backends.postgres import PostgresStore
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import START
from tests.unit.backends.postgres_databases import ROLES, migrated, user

pytestmark = pytest.mark.services

words = st.sampled_from(["a", "A", "ab", "a_b", "a%b", "é", "É", "'; --", "None", "x" * 600])
actions = st.sampled_from(["a", "a.b", "a.bc", "a.b.c", "ab.b", "a_b.c", "a0.b", "b"])
seconds = st.integers(0, 12)
fields = st.fixed_dictionaries(
    {
        "actor_id": st.none() | words,
        "action": actions,
        "resource_type": st.none() | words.filter(lambda word: len(word) < 128),
        "resource_id": st.none() | words,
        "outcome": st.sampled_from(["success", "denied", "failure"]),
        "severity": st.sampled_from(SEVERITIES),
        "service": words.filter(lambda word: len(word) < 128),
        "trace_id": st.none() | st.sampled_from(["a" * 32, "b" * 32]),
        "payload": st.dictionaries(words, words | st.integers(0, 9), max_size=2),
    }
)
moments = st.builds(lambda n, micro: START + timedelta(seconds=n, microseconds=micro), seconds, st.integers(-1, 1))
FILTERS = {
    "actor": words,
    "action": actions | st.sampled_from(["a.*", "a.b.*", "ab.*", "z.*"]),
    "resource_type": words,
    "resource_id": words,
    "severity": st.sampled_from(SEVERITIES),
    "min_severity": st.sampled_from(SEVERITIES),
    "outcome": st.sampled_from(["success", "denied"]),
    "trace_id": st.sampled_from(["a" * 32, "c" * 32]),
    "service": words,
    "from_": moments,
    "to": moments,
    "q": words,
}
# Mostly one filter at a time: all of them together find nothing, and nothing is easily right.
singles = st.one_of([st.fixed_dictionaries({name: values}) for name, values in FILTERS.items()])
filters = singles | st.tuples(singles, singles).map(lambda two: two[0] | two[1])


@pytest.fixture(scope="module")
def store(postgres_service):
    """A store and its loop; every example has a tenant of its own."""
    with migrated(postgres_service.dsn) as admin, user(admin, *ROLES) as dsn, asyncio.Runner() as runner:
        store = PostgresStore.connect(dsn, max_connections=1, deadline=20.0)
        yield runner, store
        runner.run(store.close())


async def pages(store, query, follow):
    """Walk the pages along *follow*, `next_cursor` or `prev_cursor`."""
    found = [await store.search(query)]
    while (cursor := getattr(found[-1], follow)) is not None:
        found.append(await store.search(query.at(cursor)))
        assert len(found) < 100
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(seconds, fields, max_size=12),
    st.lists(filters, min_size=1, max_size=6),
    st.integers(1, 4),
    st.sampled_from(["asc", "desc"]),
)
def test_every_filter_and_every_page_agrees_with_plain_python(store, stored, asked, limit, order):
    runner, there = store
    tenant = uuid4()
    events = [an_event(n, tenant_id=tenant, **values) for n, values in stored.items()]

    async def case():
        await there.append(events)
        for each in asked:
            query = AuditQuery(tenant, **each, limit=limit, order=order)
            fits = [event for event in events if matches(query, event)]
            wanted = sorted(fits, key=lambda event: event.event_id, reverse=order == "desc")
            forth = await pages(there, query, "next_cursor")
            assert [event for page in forth for event in page.events] == wanted
            assert forth[0].prev_cursor is None
            back = await pages(there, query.at(forth[-2].next_cursor) if len(forth) > 1 else query, "prev_cursor")
            assert [page.events for page in back[::-1]] == [page.events for page in forth]
            counted = await there.stats(query, max_events=100, seconds=10)
            assert (counted.events, counted.complete) == (len(fits), True)
            assert counted.actions == dict(Counter(event.action for event in fits))
            assert counted.outcomes == dict(Counter(event.outcome for event in fits))

    runner.run(case())


def test_the_order_of_arrival_is_followed(store):
    runner, there = store
    tenant = uuid4()
    events = [an_event(n, tenant_id=tenant) for n in (5, 1, 9, 3)]

    async def case():
        assert isinstance(there, Follows)
        assert await there.newest_position(tenant) == 0
        assert await there.follow(tenant, 0, 10) == []
        await there.append(events[:2])
        await there.append(events)
        assert await there.newest_position(tenant) == 4
        assert await there.follow(tenant, 0, 3) == [(n + 1, event) for n, event in enumerate(events[:3])]
        assert await there.follow(tenant, 3, 3) == [(4, events[3])]
        assert await there.follow(uuid4(), 0, 3) == []

    runner.run(case())


@pytest.mark.parametrize(("most", "counted", "complete"), [(3, 3, False), (7, 7, True), (8, 7, True)])
def test_a_count_ends_at_its_bound_and_says_so(store, most, counted, complete):
    runner, there = store
    tenant = uuid4()

    async def case():
        assert isinstance(there, Counts)
        await there.append([an_event(n, tenant_id=tenant) for n in range(7)])
        found = await there.stats(AuditQuery(tenant, order="asc", limit=1), max_events=most, seconds=10)
        assert (found.events, found.complete) == (counted, complete)
        assert found.oldest == f"2026-11-24T06:00:0{7 - counted}.000000Z"
        assert (await there.stats(AuditQuery(tenant), max_events=most, seconds=0)).events == 0

    runner.run(case())


def test_a_large_count_is_made_in_parts(store):
    runner, there = store
    tenant = uuid4()

    async def case():
        await there.append([an_event(n, tenant_id=tenant) for n in range(10_100)])
        for most, complete in ((10_000, False), (10_050, False), (10_100, True), (20_000, True)):
            found = await there.stats(AuditQuery(tenant), max_events=most, seconds=60)
            assert (found.events, found.complete) == (min(most, 10_100), complete)

    runner.run(case())
