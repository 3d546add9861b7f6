"""Following: what a search would find is what a follower is shown, and each arrival is shown once over any cuts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit import AuditQuery
from tenaudit.audit.event import SEVERITIES
from tenaudit.audit.follow import matches
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import OTHER_TENANT, START, TENANT, an_event

words = st.sampled_from(["a", "A", "ä", "Ä", "ß", "a.b", "%", "_", '"', "1"])
events = st.builds(
    an_event,
    st.integers(0, 3),
    tenant_id=st.sampled_from([TENANT, OTHER_TENANT]),
    actor_id=st.none() | words,
    action=st.sampled_from(["pay", "pay.a", "pay.b", "pay_x.a", "payment.a"]),
    resource_type=st.none() | words,
    service=words,
    severity=st.sampled_from(SEVERITIES),
    outcome=st.sampled_from(["success", "denied"]),
    trace_id=st.sampled_from([None, "a" * 32]),
    payload=st.dictionaries(words, words | st.integers(-9, 9) | st.lists(words, max_size=2), max_size=2),
)
moments = st.none() | st.integers(-1, 4).map(lambda seconds: START + timedelta(seconds=seconds))
queries = st.builds(
    AuditQuery,
    tenant_id=st.just(TENANT),
    actor=st.none() | words,
    action=st.sampled_from([None, "pay", "pay.*", "pay.a", "payment.*"]),
    resource_type=st.none() | words,
    severity=st.none() | st.sampled_from(SEVERITIES),
    min_severity=st.none() | st.sampled_from(SEVERITIES),
    outcome=st.sampled_from([None, "denied"]),
    trace_id=st.sampled_from([None, "a" * 32]),
    service=st.none() | words,
    from_=moments,
    to=moments,
    q=st.none() | words | st.text('aÄä":,1', min_size=1, max_size=2),
)
few = st.lists(
    st.sampled_from(
        ["actor", "action", "resource_type", "severity", "min_severity", "outcome", "trace_id", "service", "from_",
         "to", "q"]
    ),
    max_size=3,
)  # fmt: skip


@given(st.lists(events, max_size=6, unique_by=lambda event: (event.tenant_id, event.event_id)), queries, few)
def test_a_follower_is_shown_and_a_count_counts_what_a_search_finds(stored, query, kept):
    # With every filter at once hardly anything fits.
    query = AuditQuery(TENANT, **{name: getattr(query, name) for name in kept})

    async def main():
        with TemporaryDirectory() as folder:
            async with SqliteStore.open(Path(folder) / "audit.db") as store:
                await store.append(stored)
                found = (await store.search(replace(query, order="asc"))).events
                return found, await store.stats(query, max_events=100, seconds=30)

    found, counted = asyncio.run(main())
    assert counted.events == len(found)
    assert sum(counted.actions.values()) == sum(counted.days.values()) == len(found)
    assert {event.event_id for event in found} == {event.event_id for event in stored if matches(query, event)}


@given(st.permutations(range(9)), st.lists(st.integers(1, 3), max_size=12), st.integers(1, 3))
def test_each_arrival_is_followed_once_in_its_order(order, steps, limit):
    async def main():
        with TemporaryDirectory() as folder:
            async with SqliteStore.open(Path(folder) / "audit.db") as store:
                shown, position, left = [], 0, list(order)
                for step in [*steps, 9]:
                    batch, left = left[:step], left[step:]
                    # Again with what is there already, as a redelivery brings it.
                    await store.append([an_event(number) for number in [*batch, *order[:1]]])
                    for place, event in await store.follow(TENANT, position, limit):
                        position = place
                        shown.append(event.seq)
                while found := await store.follow(TENANT, position, limit):
                    position = found[-1][0]
                    shown += [event.seq for _, event in found]
                return shown, position, await store.newest_position(TENANT)

    shown, position, newest = asyncio.run(main())
    assert sorted(shown) == list(range(9))
    assert position == newest == 9
