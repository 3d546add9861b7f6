"""The loss account by example: what excuses a number, what is proven, and which bounds hold."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import pytest

from tenaudit.audit import StoreError
from tenaudit.audit.closing import CLOSED, ClosingTotals
from tenaudit.audit.consumer import DeadLetter, Partition, SourceRecord, encode_event
from tenaudit.audit.held import Held, HeldEvents, hold_letters
from tenaudit.audit.producer_rows import MAX_PRODUCERS, AccountWindow, ProducerRow, ProducerRows, interior_gaps
from tenaudit.audit.reckoning import Elsewhere, reckon
from tenaudit.errors import ConfigurationError
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import START, TENANT

NOW_MS = 1_800_000_000_000
# Ten events, of which the sink has 6, 3 were given up, 1 is in the spool; of the 3 one may have arrived.
TOTALS = ClosingTotals(10, 6, 3, 2, 1, 1, NOW_MS)


def row(stored, *, lowest=0, closing=TOTALS):
    return ProducerRow("orders-1", "orders", stored, lowest, 10, closing)


def judged(*rows, window=None, capacity=50, **elsewhere):
    (one,) = reckon(rows, window or AccountWindow(), Elsewhere(**elsewhere), capacity=capacity).rows
    return one


def held(*seqs, closing=None):
    return {"orders-1": Held("orders", frozenset(seqs), closing)}


def test_what_may_be_somewhere_is_neither_missing_nor_balanced():
    one = judged(row(7), spools="unnamed")
    # The seven are six events and the record; one is in the spool, and one of the given up may have arrived.
    assert (one.missing, one.at_most, one.balanced, one.spooled) == (0, 2, False, None)
    one = judged(row(7), spooled=held(9))
    assert (one.missing, one.at_most, one.balanced, one.spooled) == (0, 1, False, 1)
    one = judged(row(8), spooled=held(9))
    assert (one.missing, one.at_most, one.balanced, one.stored) == (0, 0, True, 7)
    one = judged(row(6), spooled=held(9))
    assert (one.missing, one.at_most) == (1, 2)
    one = judged(row(5), spooled=held(9), unread_letters=1)
    assert (one.missing, one.at_most) == (1, 3)


def test_what_counts_twice_balances_nothing():
    one = judged(row(9), spooled=held(9), in_flight={"orders-1": 1})
    assert (one.missing, one.at_most, one.balanced) == (0, 0, False)


def test_what_is_in_flight_or_purged_is_not_missing():
    one = judged(row(4), spooled=held(9), in_flight={"orders-1": 1}, purged={"orders-1": 3})
    assert (one.in_flight, one.purged, one.missing, one.at_most, one.balanced) == (1, 3, 0, 0, True)


def test_a_record_that_something_follows_is_none():
    after = ProducerRow("orders-1", "orders", 12, 0, 11, TOTALS)
    assert (judged(after).closed, judged(after).missing, judged(after).at_most) == (False, 0, 50)
    beyond = judged(row(11), dead_letters=held(12))
    assert (beyond.closed, beyond.missing, beyond.at_most) == (False, 1, 51)


def test_a_record_on_its_way_closes_the_account():
    stored = ProducerRow("orders-1", "orders", 6, 0, 5)
    one = judged(stored, spooled=held(6, 10, closing=TOTALS))
    assert (one.closed, one.emitted, one.stored, one.spooled, one.missing, one.at_most) == (True, 10, 6, 1, 0, 1)
    one = judged(dead_letters=held(10, closing=TOTALS), spooled=held(6, 10))
    assert (one.closed, one.service, one.dead_letters, one.spooled, one.missing) == (True, "orders", 0, 1, 6)


def test_what_is_in_a_spool_and_among_the_dead_letters_counts_once():
    one = judged(row(6), spooled=held(8, 9), dead_letters=held(7, 8), in_flight={"orders-1": 0})
    assert (one.dead_letters, one.spooled, one.missing, one.balanced) == (2, 1, 0, True)


def test_a_producer_of_which_only_a_spool_tells_is_there():
    one = judged(spooled=held(2, 3))
    assert (one.producer_id, one.service, one.closed, one.missing, one.at_most) == ("orders-1", "orders", False, 2, 52)


def test_a_gap_of_a_killed_one_is_not_proven_while_a_spool_is_in_use():
    gap = ProducerRow("orders-1", "orders", 2, 0, 4)
    assert (judged(gap).missing, judged(gap, spools="unnamed").missing) == (3, 3)
    one = judged(gap, spools="in_use")
    assert (one.missing, one.at_most, one.balanced, one.spooled) == (0, 53, False, None)


def test_one_that_began_before_the_window_is_judged_from_its_first_number_on():
    window = AccountWindow(NOW_MS + 1)
    one = judged(row(4, lowest=7), window=window)
    assert (one.emitted, one.dropped, one.rejected, one.balanced) == (None, None, None, True)
    # Nobody knows when it gave up three.
    one = judged(row(3, lowest=5), window=window)
    assert (one.missing, one.at_most, one.balanced) == (0, 3, False)
    one = judged(row(2, lowest=5), window=window)
    assert (one.missing, one.at_most) == (1, 4)
    whole = judged(row(4, lowest=7), window=AccountWindow(NOW_MS), spooled=held(9))
    assert (whole.emitted, whole.missing, whole.at_most) == (10, 3, 4)
    killed = ProducerRow("orders-1", "orders", 3, 7, 10)
    assert (judged(killed, window=window).missing, judged(killed).missing) == (1, 8)


def test_totals_are_sums_of_what_is_known():
    told = reckon([row(8), ProducerRow("orders-2", "orders", 2, 0, 4)], AccountWindow(), Elsewhere(spooled=held(9)))
    assert told.to_json()["totals"] == {
        "producers": 2, "closed": 1, "emitted": 10, "stored": 9, "dead_letters": 0, "dropped": 3, "rejected": 2,
        "spooled": 1, "in_flight": 0, "purged": 0, "missing": 3, "at_most": 10_003,
    }  # fmt: skip
    assert json.loads(json.dumps(told.to_json()))["balanced"] is False


@pytest.mark.parametrize("bounds", [(-1, 5), (5, 5), (6, 5), (0, 2**48 + 1)])
def test_a_window_without_room_is_refused(bounds):
    with pytest.raises(ConfigurationError, match="begin before it ends"):
        AccountWindow(*bounds)


@pytest.mark.parametrize("payload", ["{", "[]", "[" * 100_000, '{"emitted": 1}', json.dumps(TOTALS.to_payload())])
def test_a_record_that_was_tampered_with_is_none(payload):
    rows = ProducerRows()
    rows.add("orders-1", "orders", 1, 9, 9)
    rows.close("orders-1", 9, payload)
    assert rows.finish()[0].closing is None


@pytest.mark.parametrize("numbers", [(9, 4), (4, 9)])
def test_of_two_records_the_later_number_counts_whichever_is_read_first(numbers):
    """An earlier one is an event like others, so that a stray one cannot open the account again."""
    rows, some = ProducerRows(), HeldEvents(AccountWindow())
    rows.add("orders-1", "orders", 10, 0, 9)
    for number in numbers:
        totals = ClosingTotals(number, number, 0, 0, 0, 0, 0)
        rows.close("orders-1", number, json.dumps(totals.to_payload()))
        some.add(an_event(number, action=CLOSED, payload=totals.to_payload()))
    assert rows.finish()[0].closing.emitted == 9
    assert some.by_producer(frozenset())["orders-1"].closing.emitted == 9


def test_there_are_bounds_to_what_memory_holds():
    rows = ProducerRows()
    for number in range(MAX_PRODUCERS):
        rows.add(f"orders-{number}", "orders", 1, 0, 0)
    rows.add("orders-1", "orders", 1, 1, 1)
    with pytest.raises(StoreError, match="producers; narrow"):
        rows.add("one more", "orders", 1, 0, 0)
    some = HeldEvents(AccountWindow(), most=1)
    some.add(an_event(0))
    with pytest.raises(StoreError, match="wait outside"):
        some.add(an_event(1))


def test_gaps_lie_between_the_numbers_that_are_there():
    rows = [ProducerRow("a", "a", 2, 5, 9), ProducerRow("b", "b", 3, 1, 3), ProducerRow("c", "c", 4, 1, 3)]
    assert interior_gaps(rows) == 3


class Letters:
    """Dead letters: each a value, and when it came last in Unix seconds."""

    def __init__(self, *kept):
        self._kept = kept

    async def page(self, *, limit=100, after=0):
        told = enumerate(self._kept[after : after + limit], after + 1)
        return tuple(
            DeadLetter(number, Partition("t", 0), number, "why", 1, True, seen, seen, 1, 0)
            for number, (_, seen) in told
        )

    async def record(self, letter_id):
        value, _ = self._kept[letter_id - 1]
        return None if value is None else SourceRecord(Partition("t", 0), letter_id, value)


def test_letters_are_read_page_by_page_and_old_or_vanished_ones_pass():
    window = AccountWindow(round(START.timestamp() * 1000) + 1000)
    late, early = START.timestamp() + 600, START.timestamp()
    kept = [(encode_event(an_event(number)), late) for number in range(1200)]
    some = HeldEvents(window)
    letters = Letters((b"{", early), (b"{", late), (None, late), *kept, (b"\xff", late))
    assert asyncio.run(hold_letters(letters, some, window)) == 2
    assert some.by_producer(frozenset())["orders-1"].seqs == frozenset(range(1, 1200))


def test_an_event_that_the_store_has_too_is_held_nowhere():
    some = HeldEvents(AccountWindow())
    record = an_event(2, action=CLOSED, payload=ClosingTotals(2, 2, 0, 0, 0, 0, 0).to_payload())
    for event in (an_event(0), an_event(0), an_event(1), record):
        some.add(event)
    assert set(some.ids()) == {TENANT}
    assert len(some.ids()[TENANT]) == 3
    everything = some.by_producer(frozenset())["orders-1"]
    assert (everything.seqs, everything.closing.emitted) == ({0, 1, 2}, 2)
    rest = some.by_producer(frozenset({(TENANT, record.event_id), (UUID(int=3), an_event(1).event_id)}))["orders-1"]
    assert (rest.seqs, rest.closing) == ({0, 1}, None)
