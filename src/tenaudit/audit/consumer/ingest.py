"""One batch into the store: what holds no event goes to the dead letters, and takes nothing else with it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tenaudit.audit.consumer.wire import BadRecord, decode_event, encode_event
from tenaudit.audit.ports import SinkRejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.consumer.metrics import ConsumerMetrics
    from tenaudit.audit.consumer.ports import DeadLetters, SourceRecord
    from tenaudit.audit.consumer.retry import Retry
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.ports import AppendResult, Store
    from tenaudit.audit.redaction_policy import RedactionPolicy

    _Append: TypeAlias = Callable[[], Awaitable[AppendResult]]

__all__ = ["Ingest"]

_log = logging.getLogger("tenaudit.audit")
# Decoding holds up the loop, and with it the store's talk with its database and the heartbeat of the group.
_DECODE_SLICE = 16
# While the store works on one portion the next is decoded; what a transaction costs is then still spread over many.
_PORTION = 1000
_REFUSED = "refused_by_store"
# What lies in the events: trying again cannot help. Everything else lies in the world.
_DATA_ERRORS = (SinkRejected, ValueError, TypeError, OverflowError, RecursionError)


class _Item(NamedTuple):
    record: SourceRecord
    event: AuditEvent
    redacted: bool = False

    def letter(self) -> SourceRecord:
        """Return the record as a dead letter: what was taken out of its event is kept nowhere else either."""
        return replace(self.record, value=encode_event(self.event)) if self.redacted else self.record


class _Bad(NamedTuple):
    record: SourceRecord
    reason: str


class Ingest:
    """Stores batches of records.

    Args:
        store: where events go.
        dead_letters: where everything else goes.
        retry: how both are tried again.
        metrics: what is counted.
        clock: what ingest latency is measured with.
        redaction: what is taken out of an event before it is stored.
    """

    __slots__ = ("_clock", "_dead_letters", "_metrics", "_redaction", "_retry", "_store")

    def __init__(
        self,
        store: Store,
        dead_letters: DeadLetters,
        retry: Retry,
        metrics: ConsumerMetrics,
        clock: Clock,
        redaction: RedactionPolicy | None = None,
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._retry = retry
        self._metrics = metrics
        self._clock = clock
        self._redaction = redaction

    async def take(self, records: Sequence[SourceRecord]) -> None:
        """Return once each record is in the store or among the dead letters.

        That takes one transaction 1000 records, one after the other. The next are decoded meanwhile, and staged where
        the store has a method `stage`, as the one in PostgreSQL does.

        Raises:
            BatchAbandoned: some records may be stored, none may be committed.
            ConsumerStalled: likewise.
        """
        storing: asyncio.Task[None] | None = None
        try:
            for start in range(0, len(records), _PORTION):
                items, bad = await _decoded(records[start : start + _PORTION], self._redaction)
                staged = await self._staged(items)
                if storing is not None:
                    await storing
                storing = asyncio.create_task(self._store_all(items, bad, staged), name="tenaudit-audit-ingest")
            if storing is not None:
                await storing
        finally:
            if storing is not None:
                storing.cancel()
                await asyncio.wait({storing})
                # Whoever was cancelled does not come back for the error.
                _ = storing.cancelled() or storing.exception()

    async def _staged(self, items: Sequence[_Item]) -> _Append | None:
        stage: Callable[[list[AuditEvent]], Awaitable[_Append | None]] | None = getattr(self._store, "stage", None)
        if stage is None or not items:
            return None
        try:
            return await stage([item.event for item in items])
        except Exception:  # noqa: BLE001 - what cannot be staged is appended, and what is wrong with it is dealt with there
            return None

    async def _store_all(self, items: list[_Item], bad: Sequence[_Bad], staged: _Append | None) -> None:
        """Store what holds an event and bury the rest; *staged* appends all that holds one.

        Usually that is one transaction. A refusal names its events, and the others are stored without them; one that
        names none is bisected until it stands alone.
        """
        for record, reason in bad:
            await self._bury([record], reason)
        portion = len(items)
        while items:
            part, rest = items[:portion], items[portion:]
            first, staged = staged, None
            try:
                await self._append(part, first)
            except _DATA_ERRORS as refusal:
                refused, kept = _split(part, refusal)
                if not refused and len(part) > 1:
                    portion = len(part) // 2
                    continue
                await self._bury([item.letter() for item in refused or part], _REFUSED)
                items = [*kept, *rest] if refused else rest
            else:
                items = rest
                portion *= 2

    async def _append(self, items: Sequence[_Item], staged: _Append | None) -> None:
        events = [item.event for item in items]
        append = staged or partial(self._store.append, events)
        result = await self._retry.until_done("store", append, final=_DATA_ERRORS)
        self._metrics.stored(events, result, self._clock.time_ns() / 1e9)
        if result.conflicts:
            _log.error(
                "an event id came with other content",
                extra={"action": "audit_event_conflict", "events": result.conflicts},
            )

    async def _bury(self, records: Sequence[SourceRecord], reason: str) -> None:
        for record in records:
            await self._retry.until_done("dead_letters", partial(self._dead_letters.put, record, reason))
            self._metrics.buried(reason)
        _log.error(
            "audit records went to the dead letters",
            extra={"action": "audit_dead_letter", "records": len(records), "reason": reason},
        )


async def _decoded(
    records: Sequence[SourceRecord], redaction: RedactionPolicy | None
) -> tuple[list[_Item], list[_Bad]]:
    """Return the records that hold an event, as it may be stored, and those that hold none, with the reason."""
    items: list[_Item] = []
    bad: list[_Bad] = []
    for count, record in enumerate(records, 1):
        try:
            event = decode_event(record.value, record.headers)
            written = event if redaction is None else redaction.written(event)
            items.append(_Item(record, written, written is not event))
        except BadRecord as error:
            bad.append(_Bad(record, error.reason))
        if count % _DECODE_SLICE == 0:
            await asyncio.sleep(0)
    return items, bad


def _split(part: Sequence[_Item], refusal: Exception) -> tuple[list[_Item], list[_Item]]:
    """Return the items that a refusal names, and the others."""
    named = refusal.event_ids if isinstance(refusal, SinkRejected) else frozenset()
    return [item for item in part if item.event.event_id in named], [
        item for item in part if item.event.event_id not in named
    ]
