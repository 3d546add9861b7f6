"""What the records of retention explain of a tenant's log, and which of them are not honest; pure.

A gap in the rows of a log is explained by a purge that was written into that very log: the text of the record is what
a leaf of the log commits to. A record says what it took and by which period, so it is held against the periods and
holds that the same log tells of, and against the time of the checkpoint that covers it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity.merkle import leaf_hash
from tenaudit.audit.ports import Problem
from tenaudit.audit.retention.ranges import LabelledSpans, Spans
from tenaudit.audit.retention.records import ERASED, HOLD_PLACED, HOLD_RELEASED, PERIOD_SET, PURGED, kept_record
from tenaudit.audit.retention.terms import cutoff

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from uuid import UUID

    from tenaudit.audit.retention.ranges import Range
    from tenaudit.audit.retention.records import KeptRecord

__all__ = ["KeptTerms", "LoggedRecord", "RetentionHistory"]

# Clocks of machines differ; a lie that is worth telling is about days.
_SKEW = timedelta(days=1)


class KeptTerms(NamedTuple):
    """What a store keeps of a tenant beside its log, as it is there: tampering may have left anything."""

    days: object = None
    held: object = 0
    purged_before: object = None


_TERMS = {"days": "the period", "held": "the hold", "purged_before": "the time of the last purge"}


class _Claim(NamedTuple):
    span: Range
    event_id: UUID | str


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A record as the store holds it now.

    Args:
        index: the place in the log that it says it has.
        event_id: the event it says it is.
        text: what it says.
        leaf: the leaf hash that the log has at that place for that event, None without one.
    """

    index: int
    event_id: UUID | str
    text: str
    leaf: bytes | None


class RetentionHistory:
    """The records of one tenant, read in the order of its log.

    Args:
        tenant_id: whose log it is.
        records: all that the store keeps of it, in the order of the log.
        sealed: size and time of its checkpoints, ascending by size.
        now: the time of the one who verifies.
        kept: what stands beside the log of its period, its hold and its purges, which every append and purge goes by.

    Example:
        >>> from datetime import UTC
        >>> from uuid import UUID
        >>> history = RetentionHistory(UUID(int=1), [], [], datetime(2026, 1, 1, tzinfo=UTC), KeptTerms())
        >>> history.problems, history.covers(0)
        ((), False)
    """

    def __init__(
        self,
        tenant_id: UUID | str,
        records: Iterable[LoggedRecord],
        sealed: Sequence[tuple[int, str]],
        now: datetime,
        kept: KeptTerms,
    ) -> None:
        self._tenant_id = tenant_id
        self._sealed = sealed
        self._now = now
        self._days: int | None = None
        self._held = False
        self._purged_before: datetime | None = None
        claims: list[_Claim] = []
        erased: dict[str, list[Range]] = {}
        problems = [*self._read(records, claims, erased)]
        claims.sort(key=lambda claim: claim.span)
        problems += self._claimed_twice(claims)
        self._purged = Spans(claim.span for claim in claims)
        self._erased = LabelledSpans(erased)
        # An altered record explains it.
        self.problems = tuple(problems or self._differences(kept))

    def covers(self, index: int) -> bool:
        """Tell whether a purge that is in the log took what was at a place."""
        return self._purged.cover(index)

    def erased_at(self, index: int) -> frozenset[str]:
        """Return the places of the event at an index that erasures in the log took the values of."""
        return self._erased.at(index)

    def _read(
        self, records: Iterable[LoggedRecord], claims: list[_Claim], erased: dict[str, list[Range]]
    ) -> Iterator[Problem]:
        for logged in records:
            record = self._proved(logged)
            if isinstance(record, Problem):
                yield record
            elif record.action == PURGED:
                lie = next(self._lies(logged.index, record), None)
                if lie is not None:
                    yield Problem(self._tenant_id, logged.event_id, "purge", lie)
                self._purged_before = max(filter(None, (self._purged_before, record.before)), default=None)
                claims += (_Claim(span, logged.event_id) for span in record.ranges)
            elif record.action == ERASED:
                lie = next(self._erasure_lies(logged.index, record), None)
                if lie is not None:
                    yield Problem(self._tenant_id, logged.event_id, "erasure", lie)
                for place, ranges in record.erased.items():
                    erased.setdefault(place, []).extend(ranges)
            else:
                self._follow(record)

    def _claimed_twice(self, claims: Iterable[_Claim]) -> Iterator[Problem]:
        """Yield a problem for each claim, in order, to what another one took: nothing goes twice."""
        behind = -1
        for (first, last), event_id in claims:
            if first <= behind:
                lie = f"a purge claims the event at index {first}, which another one took"
                yield Problem(self._tenant_id, event_id, "purge", lie)
            behind = max(behind, last)

    def _differences(self, kept: KeptTerms) -> Iterator[Problem]:
        before = None if self._purged_before is None else wire_time(self._purged_before)
        told = KeptTerms(self._days, int(self._held), before)
        for name, what in _TERMS.items():
            if getattr(kept, name) != getattr(told, name):
                yield Problem(self._tenant_id, None, "purge", f"{what} of the tenant is another one than its log tells")

    def _proved(self, logged: LoggedRecord) -> KeptRecord | Problem:
        where = f"the record of retention at index {logged.index}"
        if logged.leaf is None:
            return Problem(self._tenant_id, logged.event_id, "inserted", f"{where} has no place in the log")
        record = kept_record(logged.text, self._tenant_id, logged.event_id)
        if record is None or leaf_hash(logged.text.encode("utf-8", "surrogateescape")) != logged.leaf:
            return Problem(self._tenant_id, logged.event_id, "changed", f"{where} was altered")
        return record

    def _follow(self, record: KeptRecord) -> None:
        if record.action == PERIOD_SET:
            self._days = record.days
        elif record.action in {HOLD_PLACED, HOLD_RELEASED}:
            self._held = record.action == HOLD_PLACED

    def _lies(self, index: int, record: KeptRecord) -> Iterator[str]:
        """Yield what the purge may not have done or cannot have known."""
        assert record.days is not None
        assert record.before is not None
        assert record.newest is not None
        if self._held:
            yield f"the purge at index {index} took events while the tenant was held"
        if self._days is not None and record.days != self._days:
            yield f"the purge at index {index} is by {record.days} days, and the tenant's period was {self._days}"
        if record.days < 1 or record.before > cutoff(record.at, record.days) or record.newest >= record.before:
            yield f"the purge at index {index} took events before their time"
        if record.ranges[-1][1] >= index:
            yield f"the purge at index {index} claims events that came after it"
        if record.at > self._latest(index) + _SKEW:
            yield f"the purge at index {index} is dated ahead of its time"

    def _erasure_lies(self, index: int, record: KeptRecord) -> Iterator[str]:
        if self._held:
            yield f"the erasure at index {index} took values while the tenant was held"
        if any(ranges[-1][1] >= index for ranges in record.erased.values()):
            yield f"the erasure at index {index} claims events that came after it"
        if record.at > self._latest(index) + _SKEW:
            yield f"the erasure at index {index} is dated ahead of its time"

    def _latest(self, index: int) -> datetime:
        """Return the time by which what is at a place must have been written."""
        place = bisect_right(self._sealed, index, key=lambda seal: seal[0])
        try:
            return min(self._now, datetime.fromisoformat(self._sealed[place][1]))
        # No checkpoint covers it yet, or its time was altered, which is found elsewhere.
        except (IndexError, ValueError, TypeError):
            return self._now
