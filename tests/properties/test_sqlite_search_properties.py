"""Searching the embedded store against a filter in plain Python, and paging while events come in."""

from __future__ import annotations

import asyncio
import string
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tenaudit.audit import AuditQuery
from tenaudit.audit.event import SEVERITIES
from tenaudit.audit.integrity import canonical_json
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, START, TENANT

words = st.sampled_from(["a", "A", "ab", "a_b", "a%b", "é", "É", "'; --", "None"])
actions = st.sampled_from(["a", "a.b", "a.bc", "a.b.c", "ab.b", "a_b.c", "a0.b", "b"])
seconds = st.integers(0, 12)
events = st.builds(
    an_event,
    seconds,
    tenant_id=st.sampled_from([TENANT, TENANT, OTHER_TENANT]),
    actor_id=st.none() | words,
    action=actions,
    resource_type=st.none() | words,
    resource_id=st.none() | words,
    outcome=st.sampled_from(["success", "denied", "failure"]),
    severity=st.sampled_from(SEVERITIES),
    service=words,
    trace_id=st.none() | st.sampled_from(["a" * 32, "b" * 32]),
    payload=st.dictionaries(words, words | st.integers(0, 9), max_size=2),
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
queries = singles | st.tuples(singles, singles).map(lambda two: two[0] | two[1])
LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def fits(event, query):
    """The meaning of each filter, written once more."""
    asked = {
        "actor_id": query.actor,
        "resource_type": query.resource_type,
        "resource_id": query.resource_id,
        "severity": query.severity,
        "outcome": query.outcome,
        "trace_id": query.trace_id,
        "service": query.service,
    }
    text = canonical_json(event.payload).decode().translate(LOWER)
    return (
        event.tenant_id == query.tenant_id
        and all(value is None or getattr(event, field) == value for field, value in asked.items())
        and (query.action is None or event.action == query.action or _starts(event.action, query.action))
        and (query.min_severity is None or SEVERITIES.index(event.severity) >= SEVERITIES.index(query.min_severity))
        and (query.from_ is None or event.occurred_at >= query.from_)
        and (query.to is None or event.occurred_at < query.to)
        and (query.q is None or query.q.translate(LOWER) in text)
    )


def _starts(action, pattern):
    return pattern.endswith(".*") and action.startswith(pattern[:-1])


def run(folder, case):
    async def main():
        async with SqliteStore.open(folder / "audit.db") as store:
            await case(store)

    asyncio.run(main())


async def pages(store, query, follow):
    """Walk the pages along *follow*, `next_cursor` or `prev_cursor`."""
    found = [await store.search(query)]
    while (cursor := getattr(found[-1], follow)) is not None:
        found.append(await store.search(query.at(cursor)))
        assert len(found) < 100
    return found


@settings(max_examples=60)
@given(
    st.lists(events, max_size=12, unique_by=lambda one: (one.tenant_id, one.event_id)),
    st.lists(queries, min_size=1, max_size=6),
    st.integers(1, 4),
    st.sampled_from(["asc", "desc"]),
)
def test_every_filter_and_every_page_agrees_with_plain_python(tmp_path_factory, stored, filters, limit, order):
    async def case(store):
        await store.append(stored)
        for each in filters:
            query = AuditQuery(TENANT, **each, limit=limit, order=order)
            wanted = sorted((e for e in stored if fits(e, query)), key=lambda e: e.event_id, reverse=order == "desc")
            forth = await pages(store, query, "next_cursor")
            assert [event for page in forth for event in page.events] == wanted
            assert forth[0].prev_cursor is None
            back = await pages(store, query.at(forth[-2].next_cursor) if len(forth) > 1 else query, "prev_cursor")
            assert [page.events for page in back[::-1]] == [page.events for page in forth]

    run(tmp_path_factory.mktemp("search"), case)


@given(
    st.lists(seconds, unique=True, min_size=1, max_size=12),
    st.lists(seconds, unique=True, max_size=12),
    st.integers(1, 3),
    st.sampled_from(["asc", "desc"]),
)
def test_events_that_come_in_meanwhile_hide_and_repeat_nothing(tmp_path_factory, first, later, limit, order):
    async def case(store):
        await store.append([an_event(n) for n in first])
        arriving = [an_event(n) for n in later if n not in first]
        query = AuditQuery(TENANT, limit=limit, order=order)
        seen, page = [], None
        while page is None or page.next_cursor is not None:
            if page is not None and arriving:
                await store.append([arriving.pop()])
            page = await store.search(query if page is None else query.at(page.next_cursor))
            seen += page.events
        ids = [event.event_id for event in seen]
        assert ids == sorted(set(ids), reverse=order == "desc")
        assert {an_event(n).event_id for n in first} <= set(ids)
        if page.prev_cursor is None:
            return
        # And all the way back: everything that is there by now, up to the last page's end.
        there = [page]
        while there[-1].prev_cursor is not None:
            there.append(await store.search(query.at(there[-1].prev_cursor)))
        walked = [event.event_id for one in there[::-1] for event in one.events]
        everything = (await store.search(replace(query, limit=500))).events
        assert walked == [event.event_id for event in everything][: len(walked)]

    run(tmp_path_factory.mktemp("search"), case)
