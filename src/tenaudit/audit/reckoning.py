"""The loss account: for each producer, whether everything that it emitted is somewhere.

Rules of this file
1. Pure. What a store has, and what dead letters and spools hold beside it, are arguments.
2. A producer whose closing record is there must balance: emitted = stored + dead letters + dropped + spooled +
   in flight + purged. What is left over is missing.
3. Of any other the counters died with the process. Known are the numbers that arrived: one below the highest of them
   that is nowhere is missing, or was dropped; and as many as the queue holds may have come after it.
4. `missing` is what is proven, `at_most` what cannot be ruled out. Nothing balances while the two ends are apart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tenaudit.audit.held import Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tenaudit.audit.closing import ClosingTotals
    from tenaudit.audit.producer_rows import AccountWindow, ProducerRow

__all__ = ["DEFAULT_CAPACITY", "SUMMED", "Elsewhere", "Reckoning", "ReckoningRow", "SpoolsSeen", "reckon"]

DEFAULT_CAPACITY = 10_000
"""What the queue of a producer holds unless it is told otherwise."""

SpoolsSeen = Literal["read", "unnamed", "in_use"]
"""Whether all spools were read, none was named, or some of them are in use."""

_NOTHING = Held()
SUMMED = (
    "emitted",
    "stored",
    "dead_letters",
    "dropped",
    "rejected",
    "spooled",
    "in_flight",
    "purged",
    "missing",
    "at_most",
)
"""The numbers of a row, in the order of its sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Where events are that the store does not have, by producer.

    Args:
        dead_letters: numbers among the dead letters.
        spooled: numbers in the spools that were read.
        spools: whether these are all.
        unread_letters: dead letters that do not tell whose they are; each may be any missing event.
        in_flight: how many are on their way.
        purged: how many were taken out of the store on purpose.

    Example:
        >>> Elsewhere(in_flight={"orders-1": 2}).spools
        'read'
    """

    dead_letters: Mapping[str, Held] = field(default_factory=dict)
    spooled: Mapping[str, Held] = field(default_factory=dict)
    spools: SpoolsSeen = "read"
    unread_letters: int = 0
    in_flight: Mapping[str, int] = field(default_factory=dict)
    purged: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReckoningRow:
    """The account of one producer.

    Args:
        producer_id: which producer.
        service: its service.
        closed: whether its closing record is stored, or known to be on its way.
        balanced: whether every event that is known of is somewhere; without a closing record, whether there is no gap.
        emitted: events that got a number; None without a closing record, or when it began before the window.
        stored: events in the store, without the closing record.
        dead_letters: events among the dead letters and not in the store.
        dropped: events that the producer gave up; None as with `emitted`.
        rejected: calls that broke a limit; None as with `emitted`.
        spooled: events in spools and nowhere else; None when a spool that may hold some was not read.
        in_flight: events on their way.
        purged: events taken out on purpose.
        missing: events that are nowhere, for certain.
        at_most: how many may be missing.
    """

    producer_id: str
    service: str
    closed: bool
    balanced: bool
    emitted: int | None
    stored: int
    dead_letters: int
    dropped: int | None
    rejected: int | None
    spooled: int | None
    in_flight: int
    purged: int
    missing: int
    at_most: int


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The account of every producer.

    Args:
        rows: by producer.
        unread_letters: dead letters that do not tell whose they are.

    Example:
        >>> Reckoning((), 0).balanced
        True
    """

    rows: tuple[ReckoningRow, ...]
    unread_letters: int

    @property
    def balanced(self) -> bool:
        """Whether every producer that closed balances, and no other has a gap."""
        return all(row.balanced for row in self.rows)

    def totals(self) -> dict[str, int]:
        """Return the sums over the producers of what is known, and how many of them closed."""
        sums = {name: sum(getattr(row, name) or 0 for row in self.rows) for name in SUMMED}
        return {"producers": len(self.rows), "closed": sum(row.closed for row in self.rows), **sums}

    def to_json(self) -> dict[str, Any]:
        """Return `{"balanced", "producers", "totals", "unread_letters"}`."""
        return {
            "balanced": self.balanced,
            "producers": [asdict(row) for row in self.rows],
            "totals": self.totals(),
            "unread_letters": self.unread_letters,
        }


class _Facts(NamedTuple):
    """One producer before it is judged; the closing record is none of its events."""

    producer_id: str
    service: str
    closing: ClosingTotals | None
    stored: int
    letters: frozenset[int]
    spooled: frozenset[int]
    lowest: int
    highest: int


def reckon(
    rows: Iterable[ProducerRow],
    window: AccountWindow,
    elsewhere: Elsewhere,
    *,
    capacity: int = DEFAULT_CAPACITY,
) -> Reckoning:
    """Return the account.

    Args:
        rows: what the store has in *window*.
        window: the events that are looked at, in *elsewhere* too. In one that has a beginning, the account of a
            producer that was there before begins at the first number that arrived.
        elsewhere: where else events are.
        capacity: events that the queue of a producer holds.

    Example:
        >>> from tenaudit.audit.producer_rows import AccountWindow, ProducerRow
        >>> told = reckon([ProducerRow("orders-1", "orders", 3, 0, 4)], AccountWindow(), Elsewhere())
        >>> told.balanced, told.rows[0].missing, told.rows[0].at_most
        (False, 2, 10002)
    """
    known = {row.producer_id: row for row in rows}
    producers = sorted({*known, *elsewhere.dead_letters, *elsewhere.spooled})
    judged = (_judged(_facts(name, known.get(name), elsewhere), window, elsewhere, capacity) for name in producers)
    return Reckoning(tuple(judged), elsewhere.unread_letters)


def _facts(producer_id: str, row: ProducerRow | None, elsewhere: Elsewhere) -> _Facts:
    letters = elsewhere.dead_letters.get(producer_id, _NOTHING)
    spooled = elsewhere.spooled.get(producer_id, _NOTHING)
    bounds = [*letters.seqs, *spooled.seqs, *((row.lowest, row.highest) if row is not None else ())]
    in_store = row.closing if row is not None else None
    closing = in_store or letters.closing or spooled.closing
    if closing is not None and max(bounds) != closing.emitted:
        # What comes after the last record of a producer says that it was none.
        in_store = closing = None
    last = frozenset(() if closing is None else (closing.emitted,))
    return _Facts(
        producer_id,
        row.service if row is not None else letters.service or spooled.service,
        closing,
        row.stored - (in_store is not None) if row is not None else 0,
        letters.seqs - last,
        spooled.seqs - letters.seqs - last,
        min(bounds),
        max(bounds),
    )


def _judged(facts: _Facts, window: AccountWindow, elsewhere: Elsewhere, capacity: int) -> ReckoningRow:
    closing = facts.closing
    in_flight = elsewhere.in_flight.get(facts.producer_id, 0)
    purged = elsewhere.purged.get(facts.producer_id, 0)
    whole = window.is_whole or facts.lowest == 0 or (closing is not None and closing.started_ms >= window.since_ms)
    span = (facts.highest + 1 if closing is None else closing.emitted) - (0 if whole else facts.lowest)
    found = facts.stored + len(facts.letters) + len(facts.spooled) + in_flight + purged
    told = closing if whole else None
    # Above zero: events of which nothing is known but that they were emitted. Below: some that were counted twice.
    left = span - found - (0 if told is None else told.dropped - told.unsettled)
    excuse = elsewhere.unread_letters + _excuse(closing, told, elsewhere.spools, left)
    unread = elsewhere.spools != "read" and (closing is None or closing.spooled > 0)
    return ReckoningRow(
        producer_id=facts.producer_id,
        service=facts.service,
        closed=closing is not None,
        balanced=left == 0,
        emitted=None if told is None else told.emitted,
        stored=facts.stored,
        dead_letters=len(facts.letters),
        dropped=None if told is None else told.dropped,
        rejected=None if told is None else told.rejected,
        spooled=None if unread else len(facts.spooled),
        in_flight=in_flight,
        purged=purged,
        missing=max(0, left - excuse),
        at_most=max(0, left) + (capacity if closing is None else 0),
    )


def _excuse(closing: ClosingTotals | None, told: ClosingTotals | None, spools: SpoolsSeen, left: int) -> int:
    """Return how many of the *left* may be somewhere that nobody looked."""
    if closing is None:
        return left if spools == "in_use" else 0
    unseen = 0 if spools == "read" else closing.spooled
    # Of a producer that began before the window nobody knows when it dropped what it dropped.
    return unseen + (closing.dropped if told is None else told.unsettled)
