"""The last record of a producer: what became of every event before it, so that whoever has them all can prove it.

Rules of this file: pure. The record is event number `emitted` of its producer; every number below it is accounted for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenaudit.audit.outcomes import ProducerStats

__all__ = ["CLOSED", "ClosingTotals", "closing_totals"]

# What a number of an event can be; of a larger one the sums might be too long to be written.
_MOST = 2**53 - 1

CLOSED = "audit.producer.closed"
"""The action of the record."""


@dataclass(frozen=True, slots=True)
class ClosingTotals:
    """What a producer says of itself when it closes: emitted = delivered + dropped + spooled.

    Args:
        emitted: events that got a number, 0 to `emitted` - 1.
        delivered: events that the sink has.
        dropped: events that were given up.
        rejected: calls of emit that broke a limit; they got no number.
        spooled: events that are in the producer's spool.
        unsettled: those of the dropped whose last write got no answer: they may be stored all the same.
        started_ms: Unix milliseconds before which no event of the producer has its id.

    Example:
        >>> ClosingTotals.of({"emitted": 3, "delivered": 2, "dropped": 1, "rejected": 0, "spooled": 0, "unsettled": 0,
        ...                   "started_ms": 0}).dropped
        1
    """

    emitted: int
    delivered: int
    dropped: int
    rejected: int
    spooled: int
    unsettled: int
    started_ms: int

    def to_payload(self) -> dict[str, Any]:
        """Return the payload of the record."""
        return asdict(self)

    @classmethod
    def of(cls, payload: object) -> ClosingTotals | None:
        """Return the totals in a payload; None when it holds none, or some that do not add up."""
        if not isinstance(payload, dict):
            return None
        told = (payload.get(field.name) for field in fields(cls))
        values = [value for value in told if type(value) is int and 0 <= value <= _MOST]
        if len(values) != len(fields(cls)):
            return None
        totals = cls(*values)
        settled = totals.delivered + totals.dropped + totals.spooled
        return totals if totals.emitted == settled and totals.unsettled <= totals.dropped else None


def closing_totals(emitted: int, stats: ProducerStats, unsettled: int, started_ms: int) -> ClosingTotals:
    """Return the totals of a producer whose queue is closed and empty.

    Whatever got a number and is neither delivered nor in the spool is dropped now, also where the thread that emitted
    it has not come to count it yet.

    Args:
        emitted: how many events got a number.
        stats: what was counted.
        unsettled: events that were given up while a write of theirs had no answer.
        started_ms: Unix milliseconds of the start.
    """
    # An append to the spool that was cancelled may have written: then more came out of it than was counted in, and
    # that has been counted as delivered.
    spooled = min(max(stats.spooled, 0), emitted)
    delivered = min(max(stats.delivered + stats.spooled - spooled, 0), emitted - spooled)
    dropped = emitted - delivered - spooled
    return ClosingTotals(emitted, delivered, dropped, stats.rejected, spooled, min(unsettled, dropped), started_ms)
