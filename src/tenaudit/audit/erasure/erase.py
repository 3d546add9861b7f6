"""One run of an erasure: the events part by part, then what mentions the person beside the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit._kernel.bounds import check_counts, check_seconds
from tenaudit.audit.erasure.report import ErasureReport, Unreached
from tenaudit.audit.erasure.steps import ErasureHeld
from tenaudit.audit.retention.records import checked_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.erasure.steps import ErasureSteps, Mentions
    from tenaudit.audit.erasure.subject import StoredEvent, Subject

__all__ = ["MAX_BATCH", "ErasureOptions", "run_erasure"]

MAX_BATCH = 1000
"""Most events of one transaction, which keeps the tenant's log locked."""
_MOST_VALUES = 1000
_MOST_NAMES = 20

_ALWAYS = (
    Unreached("streams", "the topic keeps its records until its retention; consumers store no erased event again"),
    Unreached("spools and outboxes", "what a service has not sent yet; erase again once it was stored"),
    Unreached("free pages, logs and backups", "VACUUM, and the retention of logs, replicas and backups; see the docs"),
)
_STILL_READ = Unreached("write-ahead log", "somebody reads the file, so its old pages are there still; erase again")


@dataclass(frozen=True, slots=True)
class ErasureOptions:
    """What is asked of an erasure.

    Args:
        tenant_id: in whose trail.
        dry_run: whether it only says what would go.
        by: who asks for it; the record names them.
        batch: events of one transaction, 1 to 1000.
        seconds: how long the whole run may take; it then stops between two steps.

    Raises:
        ConfigurationError: a number is out of range, or the text is none.

    Example:
        >>> from uuid import UUID
        >>> ErasureOptions(UUID(int=1), batch=100).dry_run
        False
    """

    tenant_id: UUID
    dry_run: bool = False
    by: str = "tenaudit"
    batch: int = 500
    seconds: float = 3600.0

    def __post_init__(self) -> None:
        check_counts(most=MAX_BATCH, batch=self.batch)
        check_seconds(seconds=self.seconds)
        checked_text("by", self.by)


async def run_erasure(
    steps: ErasureSteps, subject: Subject, options: ErasureOptions, clock: Clock, now: datetime
) -> ErasureReport:
    """Take a person's values out of a trail, and return what went and what may hold one still.

    Raises:
        ErasureHeld: the tenant is held.
        StoreError: the store failed; what was done until then stays done.
    """
    return await _Run(steps, subject, options, clock, now).run()


class _Run:
    def __init__(
        self, steps: ErasureSteps, subject: Subject, options: ErasureOptions, clock: Clock, now: datetime
    ) -> None:
        self._steps = steps
        self._subject = subject
        self._options = options
        self._clock = clock
        self._now = now
        self._until = clock.monotonic() + options.seconds
        self._events = self._values = self._altered = 0
        self._left = 0
        self._left_at: Counter[str] = Counter()

    async def run(self) -> ErasureReport:
        mentions = await self._steps.mentions()
        if mentions.held:
            raise ErasureHeld(self._options.tenant_id)
        complete = await self._erase_events()
        others, unfinished = dict(mentions.rows), False
        if not self._options.dry_run:
            others = dict(await self._steps.remove_others()) if complete else {}
            unfinished = await self._steps.finish()
        return ErasureReport(
            self._now,
            self._options.tenant_id,
            self._options.dry_run,
            self._events,
            self._values,
            others,
            self._altered,
            (*self._not_reached(mentions), *((_STILL_READ,) if unfinished else ()), *_ALWAYS),
            complete and not self._altered,
        )

    async def _erase_events(self) -> bool:
        after: UUID | None = None
        while self._clock.monotonic() < self._until:
            found = await self._steps.scan(after)
            for start in range(0, len(found.ids), self._options.batch):
                if self._clock.monotonic() >= self._until:
                    return False
                await self._part(found.ids[start : start + self._options.batch])
            if found.reached is None:
                return True
            after = found.reached
        return False

    async def _part(self, ids: Sequence[UUID]) -> None:
        events = await self._steps.read(ids)
        whole = [event for event in events if event.fits]
        self._altered += len(events) - len(whole)
        wanted = [event for event in whole if self._subject.erasable(event)]
        for event in whole:
            places = {*self._subject.left_at(event)}
            self._left += bool(places)
            if len(self._left_at) < _MOST_NAMES:
                self._left_at.update(places)
        if self._options.dry_run:
            self._events += len(wanted)
            self._values += sum(len(self._subject.erasable(event)) for event in wanted)
            return
        for some in self._of_few_values(wanted):
            done, values = await self._steps.erase(some)
            self._events += done
            self._values += values

    def _of_few_values(self, events: Sequence[StoredEvent]) -> Iterator[list[UUID]]:
        """Yield the ids of events in parts, each of about as many values as one transaction and one record bear."""
        part: list[UUID] = []
        values = 0
        for event in events:
            part.append(event.event_id)
            values += len(self._subject.erasable(event))
            if values >= _MOST_VALUES:
                yield part
                part, values = [], 0
        if part:
            yield part

    def _not_reached(self, mentions: Mentions) -> Iterator[Unreached]:
        if self._left:
            how = "their leaves commit to the values there; list the fields as personal for events to come, or purge"
            yield Unreached("fields of events", how, self._left, tuple(sorted(self._left_at))[:_MOST_NAMES])
        if mentions.letters:
            how = "they may name the person; look with tenaudit audit dlq show, and discard"
            yield Unreached("dead letters", how, mentions.letters)
        if mentions.records:
            how = "they prove what purges, holds and erasures did, and name who asked for it"
            yield Unreached("records in the log", how, mentions.records)
        if mentions.archives:
            how = "files that purges wrote; take the person out of them, or delete them"
            yield Unreached("archives", how, len(mentions.archives), mentions.archives)
