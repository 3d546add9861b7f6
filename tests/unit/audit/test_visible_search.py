"""What a reader may find: pages and counts of what they see, in both directions and within bounds."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit import AuditQuery, ConfigurationError
from tenaudit.audit import InvalidCursor, Page, RedactionPolicy, RedactionRule, Redactor
from tenaudit.audit.visible import VisibleQuery
from tenaudit.audit.visible_search import WalkBounds, count_visible, search_visible
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

CARD = "4242424242424242"
REDACTOR = Redactor(["payload.card", "actor_id"])


def stored(path, events, ask):
    async def main():
        async with SqliteStore.open(path / "audit.db") as store:
            await store.append(events)
            return await ask(store)

    return asyncio.run(asyncio.wait_for(main(), 60))


def numbers(events):
    return [event.payload["number"] for event in events]


def numbered(flags):
    """An event for each flag; the note of those that are wanted says so."""
    return [
        an_event(number, payload={"number": number, "note": "yes" if flag else "no", "card": CARD})
        for number, flag in enumerate(flags)
    ]


async def walk(store, asked, bounds, way):
    """Follow the cursors one way to the end; return the pages and the last page's cursor back."""
    pages, back = [], asked.query.cursor
    while True:
        page = await search_visible(store.search, asked, bounds)
        pages.append(page)
        cursor, back = page.next_cursor, page.prev_cursor or back
        if way == "prev":
            cursor, back = page.prev_cursor, page.next_cursor or back
        if cursor is None:
            return pages, back
        asked = VisibleQuery(asked.query.at(cursor), asked.redactor)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flags=st.lists(st.booleans(), max_size=24),
    limit=st.integers(1, 6),
    size=st.integers(1, 7),
    most=st.integers(1, 30),
    order=st.sampled_from(["asc", "desc"]),
)
def test_pages_give_each_event_once_there_and_back(tmp_path_factory, flags, limit, size, most, order):
    wanted = [number for number, flag in enumerate(flags) if flag]
    wanted = wanted if order == "asc" else wanted[::-1]
    bounds = WalkBounds(events=most, seconds=60, page=size)

    async def ask(store):
        asked = VisibleQuery(AuditQuery(TENANT, q="yes", limit=limit, order=order), REDACTOR)
        pages, _ = await walk(store, asked, bounds, "next")
        assert all(len(page.events) <= limit for page in pages)
        if most > len(flags):
            assert all(len(page.events) == limit for page in pages[:-1])
        assert [n for page in pages for n in numbers(page.events)] == wanted
        # From every page whose place can be named, the way back gives all that came before it.
        come = 0
        for page in pages:
            if page.prev_cursor is not None:
                before = VisibleQuery(asked.query.at(page.prev_cursor), REDACTOR)
                back, _ = await walk(store, before, bounds, "prev")
                assert [n for one in reversed(back) for n in numbers(one.events)] == wanted[:come]
            come += len(page.events)

    stored(tmp_path_factory.mktemp("walk"), numbered(flags), ask)


def test_a_walk_ends_after_so_many_events_and_goes_on_from_there(tmp_path):
    asked = VisibleQuery(AuditQuery(TENANT, q="yes", order="asc"), REDACTOR)

    async def ask(store):
        return (await walk(store, asked, WalkBounds(events=10, page=5), "next"))[0]

    pages = stored(tmp_path, numbered([False] * 25 + [True]), ask)
    assert [numbers(page.events) for page in pages] == [[], [], [25]]


def test_a_walk_ends_after_so_many_seconds(tmp_path):
    clock = ManualClock()
    asked = VisibleQuery(AuditQuery(TENANT, q="yes", order="asc"), REDACTOR)

    async def ask(store):
        async def slow(query):
            clock.advance(1)
            return await store.search(query)

        page = await search_visible(slow, asked, WalkBounds(seconds=3, page=5), clock=clock)
        counted = await count_visible(slow, asked, WalkBounds(seconds=3, page=5), clock=clock)
        return page, counted, clock.monotonic()

    page, counted, spent = stored(tmp_path, numbered([False] * 25 + [True]), ask)
    assert (page.events, page.next_cursor is None, spent) == ((), False, 6.0)
    # From the newest on: the one that fits is the first.
    assert (counted.events, counted.complete) == (1, False)


def test_others_have_their_turn_between_two_events():
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def at_once(_query):
        return Page(tuple(numbered([True] * 20)), None, None)

    async def main():
        running = asyncio.create_task(others())
        asked = VisibleQuery(AuditQuery(TENANT, q="no such text"), REDACTOR)
        await search_visible(at_once, asked, WalkBounds())
        after_search = turns
        await count_visible(at_once, asked, WalkBounds())
        running.cancel()
        return after_search, turns - after_search

    assert all(had >= 20 for had in asyncio.run(main()))


def test_a_query_without_a_hidden_filter_is_the_stores_own(tmp_path):
    asked = VisibleQuery(AuditQuery(TENANT, resource_type="order", limit=2), REDACTOR)
    assert (asked.hidden, asked.stored, asked.store_may_count) == ((), asked.query, True)

    async def ask(store):
        return await search_visible(store.search, asked, WalkBounds()), await store.search(asked.query)

    ours, own = stored(tmp_path, numbered([True] * 5), ask)
    assert ours == own
    assert own.next_cursor is not None


def test_a_cursor_is_good_for_its_own_hidden_filters_alone(tmp_path):
    asked = VisibleQuery(AuditQuery(TENANT, q="yes", limit=1), REDACTOR)

    async def ask(store):
        ours = (await search_visible(store.search, asked, WalkBounds())).next_cursor
        own = (await store.search(asked.stored)).next_cursor
        for query in (asked.query.at(own), replace(asked.query, q="no").at(ours), asked.query.at(f"last.{ours[5:]}")):
            with pytest.raises(InvalidCursor):
                await search_visible(store.search, VisibleQuery(query, REDACTOR), WalkBounds())
        for cursor in ("", ".", "next", "next.", ours[:22], f"{ours[:22]}AAAA"):
            with pytest.raises(InvalidCursor):
                await search_visible(store.search, VisibleQuery(asked.query.at(cursor), REDACTOR), WalkBounds())
        # What may be seen by whoever asks next has another form, and is refused by the store.
        with pytest.raises(InvalidCursor):
            await search_visible(store.search, VisibleQuery(asked.query.at(ours), None), WalkBounds())

    stored(tmp_path, numbered([True] * 3), ask)


@pytest.mark.parametrize(
    ("filters", "redactor", "hidden"),
    [
        ({"actor": "u-1", "resource_id": "o-1"}, REDACTOR, ("actor",)),
        ({"q": "u-1"}, Redactor(["payload.**.x"]), ("q",)),
        ({"q": "u-1", "actor": "u-1"}, Redactor(["**.x"]), ("q",)),
        ({"q": "u-1", "actor": "u-1", "trace_id": "a" * 32}, Redactor(["*"]), ("actor", "trace_id", "q")),
        ({"severity": "warn", "min_severity": "info"}, Redactor(["severity"]), ("severity", "min_severity")),
        ({"actor": "u-1", "q": "x", "service": "s"}, lambda event: (dict(event), ()), ("actor", "service", "q")),
        ({"actor": "u-1", "q": "x"}, None, ()),
    ],
)
def test_what_a_rule_reaches_is_not_for_the_store_to_decide(filters, redactor, hidden):
    assert VisibleQuery(AuditQuery(TENANT, **filters), redactor).hidden == hidden


@pytest.mark.parametrize(
    ("options", "tenant", "hidden"),
    [
        ({"rules": ["actor_id"]}, TENANT, ("actor",)),
        ({"rules": ["actor_id"], "mode": "log"}, TENANT, ()),
        ({"rules": ["actor_id"], "mode": "off"}, TENANT, ()),
        ({"detect": ["card"]}, TENANT, ("q",)),
        ({"detect": ["card"], "mode": "log"}, TENANT, ()),
        ({"tenants": {TENANT: ["payload.x"]}}, TENANT, ("q",)),
        ({"tenants": {TENANT: ["payload.x"]}}, OTHER_TENANT, ()),
        ({"rules": ["*"]}, TENANT, ("actor", "resource_id", "q")),
    ],
)
def test_a_policy_hides_the_filters_of_its_tenant_and_mode(options, tenant, hidden):
    policy = RedactionPolicy(**options, registry=CollectorRegistry())
    query = AuditQuery(tenant, actor="u", resource_id="o", q="x", service="s", outcome="denied")
    assert VisibleQuery(query, policy).hidden == hidden


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"actor": "alice@example.com"}, False),
        ({"actor": "****.com"}, True),
        ({"q": CARD}, False),
        ({"q": CARD[:6]}, False),
        ({"q": "****4242"}, True),
        ({"q": "secret"}, False),
        ({"resource_id": "o-7"}, False),
        ({"q": "PLAIN"}, True),
        ({"q": "null"}, False),
    ],
)
def test_a_filter_sees_what_the_reader_sees(filters, found):
    rules = ["payload.card", "actor_id", RedactionRule("resource_id", "remove"), RedactionRule("payload.pin", "remove")]
    event = an_event(
        0, actor_id="alice@example.com", resource_id="o-7", payload={"card": CARD, "pin": "secret", "note": "plain"}
    )
    for redactor in (Redactor(rules), RedactionPolicy(rules, registry=CollectorRegistry())):
        asked = VisibleQuery(AuditQuery(TENANT, **filters), redactor)
        assert asked.finds(event) is found
        assert VisibleQuery(replace(asked.query, service="other"), redactor).finds(event) is False


@pytest.mark.parametrize(
    "filters", [{"from_": an_event(0).occurred_at}, {"to": an_event(9).occurred_at}, {"min_severity": "info"}]
)
def test_a_time_or_severity_that_is_hidden_fits_no_bound(filters):
    asked = VisibleQuery(AuditQuery(TENANT, **filters), Redactor(["occurred_at", "severity"]))
    assert asked.finds(an_event(1)) is False
    assert VisibleQuery(asked.query, lambda event: (dict(event), ())).finds(an_event(1)) is True


def test_a_payload_that_is_gone_or_no_json_holds_no_text():
    for payload in (None, float("nan")):
        asked = VisibleQuery(AuditQuery(TENANT, q="n"), lambda event, shown=payload: ({**event, "payload": shown}, ()))
        assert asked.finds(an_event(1)) is False


def test_counts_are_of_what_is_seen(tmp_path):
    async def ask(store):
        by_card = VisibleQuery(AuditQuery(TENANT, q=CARD), REDACTOR)
        by_note = VisibleQuery(AuditQuery(TENANT, q="yes"), REDACTOR)
        bounds = WalkBounds(page=4)
        return [await count_visible(store.search, asked, bounds) for asked in (by_card, by_note)]

    by_card, by_note = stored(tmp_path, numbered([True, False, True] * 4), ask)
    assert (by_card.events, by_card.complete) == (0, True)
    assert (by_note.events, by_note.complete, by_note.oldest) == (8, True, "2026-11-24T06:00:00.000000Z")


def test_a_kind_that_is_hidden_is_not_counted_by_its_name(tmp_path):
    redactor = Redactor([RedactionRule("action", "remove"), "severity"])
    asked = VisibleQuery(AuditQuery(TENANT), redactor)
    assert (asked.hidden, asked.store_may_count) == ((), False)
    counted = stored(tmp_path, numbered([True] * 3), lambda store: count_visible(store.search, asked, WalkBounds()))
    assert (counted.events, counted.actions, counted.severities) == (3, {"****": 3}, {"_overflow": 3})


def test_a_look_is_no_redaction_that_is_counted():
    registry = CollectorRegistry()
    policy = RedactionPolicy(["payload.card"], registry=registry)
    event = an_event(0, payload={"card": CARD})
    assert VisibleQuery(AuditQuery(TENANT, q=CARD), policy).finds(event) is False
    assert Counter(sample.name for family in registry.collect() for sample in family.samples if sample.value) == {}
    assert policy(event.record())[1] == policy.peek(event.record())[1] == ("payload.card:mask",)


@pytest.mark.parametrize("bounds", [{"events": 0}, {"seconds": 0}, {"page": 0}, {"page": 501}])
def test_a_bound_that_bounds_nothing_is_refused(bounds):
    with pytest.raises(ConfigurationError):
        WalkBounds(**bounds)
