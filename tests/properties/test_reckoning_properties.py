"""The loss account against an oracle: histories of producers that close or are killed, with events anywhere."""

from __future__ import annotations

import json
from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tenaudit._kernel.ids import uuid7_int
from tenaudit.audit import AuditEvent
from tenaudit.audit.closing import CLOSED, ClosingTotals
from tenaudit.audit.held import HeldEvents
from tenaudit.audit.producer_rows import AccountWindow, ProducerRows
from tenaudit.audit.reckoning import Elsewhere, reckon

START_MS = 1_700_000_000_000
CAPACITY = 100
TENANTS = (UUID(int=1), UUID(int=2))
# Where one event can end; "late" was dropped when the producer closed, and the sink took it all the same.
FATES = ("stored", "stored", "stored", "letter", "spooled", "both", "dropped", "unheard", "late", "flying", "purged")


class History:
    """What became of each event of one producer, by its number."""

    def __init__(self, number, fates, lost, closed, offset):
        self.number = number
        self.producer_id = f"orders-{number}"
        self.start_ms = START_MS + offset
        self.closed = closed
        self.fates = ["lost" if place in lost else fate for place, fate in enumerate(fates)]

    def count(self, *fates, since=0):
        return sum(fate in fates for fate in self.fates[since:])

    def event(self, seq, payload=None, action="order.created"):
        return AuditEvent(
            event_id=UUID(int=uuid7_int(self.start_ms + seq, self.number)),
            tenant_id=TENANTS[seq % 2],
            occurred_at="2024-07-12T00:00:00Z",
            action=action,
            service="orders",
            producer_id=self.producer_id,
            seq=seq,
            payload=payload or {},
        )

    def record(self):
        dropped, spooled = self.count("dropped", "unheard", "late"), self.count("spooled", "both")
        emitted = len(self.fates)
        unsettled = self.count("unheard", "late")
        totals = ClosingTotals(emitted, emitted - dropped - spooled, dropped, 0, spooled, unsettled, self.start_ms)
        return self.event(emitted, totals.to_payload(), CLOSED)

    def stored(self):
        events = [self.event(seq) for seq, fate in enumerate(self.fates) if fate in ("stored", "both", "late")]
        return [*events, self.record()] if self.closed else events

    def first_in(self, window):
        """Return the lowest number whose id is in the window."""
        return max(0, window.since_ms - self.start_ms)


histories = st.builds(
    lambda fates, lost, closed, offset: (fates, lost, closed, offset),
    st.lists(st.sampled_from(FATES), max_size=30),
    st.one_of(st.just(frozenset()), st.frozensets(st.integers(0, 29), max_size=4)),
    st.booleans(),
    st.integers(0, 40),
)


def account(everyone, window, *, spools="read", unread=0):
    """Return the rows by producer, found the way that a store and the places beside it find them."""
    rows, letters, spooled = ProducerRows(), HeldEvents(window), HeldEvents(window)
    also_stored = set()
    for history in everyone:
        for event in history.stored():
            if window.holds(event.event_id):
                rows.add(event.producer_id, event.service, 1, event.seq, event.seq)
                also_stored.add((event.tenant_id, event.event_id))
                if event.action == CLOSED:
                    rows.close(event.producer_id, event.seq, json.dumps(event.payload))
        for seq, fate in enumerate(history.fates):
            if fate == "letter":
                letters.add(history.event(seq))
            elif fate in ("spooled", "both"):
                spooled.add(history.event(seq))
    counted = {
        fate: Counter({one.producer_id: one.count(fate, since=one.first_in(window)) for one in everyone})
        for fate in ("flying", "purged")
    }
    elsewhere = Elsewhere(
        dead_letters=letters.by_producer(frozenset(also_stored)),
        spooled=spooled.by_producer(frozenset(also_stored)),
        spools=spools,
        unread_letters=unread,
        in_flight=counted["flying"],
        purged=counted["purged"],
    )
    reckoning = reckon(rows.finish(), window, elsewhere, capacity=CAPACITY)
    return reckoning, {row.producer_id: row for row in reckoning.rows}


def made(told):
    return [History(number, *one) for number, one in enumerate(told)]


@given(st.lists(histories, max_size=4))
def test_a_producer_that_closed_balances_exactly_when_nothing_is_lost(told):
    everyone = made(told)
    _, rows = account(everyone, AccountWindow())
    for history in everyone:
        if not history.closed:
            continue
        row, lost = rows[history.producer_id], history.count("lost")
        assert row.closed
        assert row.missing <= lost <= row.at_most
        if not history.count("unheard"):
            # What was given up unheard and stored later balances too: where it is, is known.
            assert row.balanced == (lost == 0)
            assert row.at_most == lost
        assert row.balanced is False or lost == 0
        if not history.count("unheard", "late"):
            assert row.missing == lost
            parts = (row.stored, row.dead_letters, row.dropped, row.spooled, row.in_flight, row.purged, row.missing)
            assert row.emitted == len(history.fates) == sum(parts)


@given(st.lists(histories, max_size=4), st.integers(0, CAPACITY))
def test_the_gap_of_a_killed_producer_is_that_of_the_oracle(told, in_memory):
    everyone = [History(number, one[0], one[1], False, one[3]) for number, one in enumerate(told)]
    # Nothing is counted for the dead, so what is on its way or was purged is left out here.
    for history in everyone:
        history.fates = ["stored" if fate in ("flying", "purged") else fate for fate in history.fates]
    _, rows = account(everyone, AccountWindow())
    for history in everyone:
        there = [seq for seq, fate in enumerate(history.fates) if fate not in ("lost", "dropped", "unheard")]
        if not there:
            assert history.producer_id not in rows
            continue
        row = rows[history.producer_id]
        gap = max(there) + 1 - len(there)
        assert (row.closed, row.missing, row.balanced) == (False, gap, gap == 0)
        assert row.at_most == gap + CAPACITY
        after = len(history.fates) - max(there) - 1
        assert gap + min(after, in_memory) <= row.at_most
        assert row.emitted is row.dropped is None


@given(
    st.lists(histories, max_size=4),
    st.sampled_from(["read", "unnamed", "in_use"]),
    st.integers(0, 2),
    st.integers(START_MS - 1, START_MS + 80),
)
def test_nothing_that_is_not_proven_is_claimed(told, spools, unread, since_ms):
    everyone, window = made(told), AccountWindow(since_ms)
    reckoning, rows = account(everyone, window, spools=spools, unread=unread)
    for history in everyone:
        row = rows.get(history.producer_id)
        if row is None or not row.closed:
            continue
        first = history.first_in(window)
        known = [
            seq
            for seq, fate in enumerate(history.fates)
            if seq >= first and fate in ("stored", "both", "late", "letter", "spooled")
        ]
        began = 0 if history.start_ms >= since_ms or 0 in known else min([*known, len(history.fates)])
        flying = history.count("flying", "purged", since=first) - history.count("flying", "purged", since=began)
        lost = history.count("lost", since=began)
        assert row.missing <= lost
        assert lost <= row.at_most + flying
        assert not (row.balanced and lost) or flying
    assert reckoning.balanced == all(row.balanced for row in rows.values())


@given(st.lists(histories, max_size=4), st.data())
def test_a_spool_that_was_not_read_hides_no_loss_and_makes_none(told, data):
    everyone = [one for one in made(told) if one.closed]
    for history in everyone:
        history.fates = [fate for fate in history.fates if fate in ("stored", "spooled", "lost")]
    window = AccountWindow()
    rows = ProducerRows()
    for history in everyone:
        for event in history.stored():
            rows.add(event.producer_id, event.service, 1, event.seq, event.seq)
            if event.action == CLOSED:
                rows.close(event.producer_id, event.seq, json.dumps(event.payload))
    spools = data.draw(st.sampled_from(["unnamed", "in_use"]))
    for row in reckon(rows.finish(), window, Elsewhere(spools=spools)).rows:
        (history,) = [one for one in everyone if one.producer_id == row.producer_id]
        lost, spooled = history.count("lost"), history.count("spooled")
        assert (row.missing, row.at_most) == (lost, lost + spooled)
        assert row.balanced == (lost + spooled == 0)
        assert row.spooled == (None if spooled else 0)
