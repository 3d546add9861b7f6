"""One batch into the store: what holds no event goes to the dead letters, and takes nothing else with it."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tenaudit.audit.consumer.wire import BadRecord, decode_event
from tenaudit.audit.ports import SinkRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.consumer.metrics import ConsumerMetrics
    from tenaudit.audit.consumer.ports import DeadLetters, SourceRecord
    from tenaudit.audit.consumer.retry import Retry
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.ports import Store

__all__ = ["Ingest"]

_log = logging.getLogger("tenaudit.audit")
# Decoding holds up the loop, and with it the heartbeat of the group.
_DECODE_SLICE = 128
_REFUSED = "refused_by_store"
# What lies in the events: trying again cannot help. Everything else lies in the world.
_DATA_ERRORS = (SinkRejected, ValueError, TypeError, OverflowError, RecursionError)


class _Item(NamedTuple):
    record: SourceRecord
    event: AuditEvent


class Ingest:
    """Stores batches of records.

    Args:
        store: where events go.
        dead_letters: where everything else goes.
        retry: how both are tried again.
        metrics: what is counted.
        clock: what ingest latency is measured with.
    """

    __slots__ = ("_clock", "_dead_letters", "_metrics", "_retry", "_store")

    def __init__(
        self, store: Store, dead_letters: DeadLetters, retry: Retry, metrics: ConsumerMetrics, clock: Clock
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._retry = retry
        self._metrics = metrics
        self._clock = clock

    async def take(self, records: Sequence[SourceRecord]) -> None:
        """Return once each record is in the store or among the dead letters.

        Usually that is one transaction. A refusal names its events, and the others are stored without them; one that
        names none is bisected until it stands alone.

        Raises:
            BatchAbandoned: some records may be stored, none may be committed.
            ConsumerStalled: likewise.
        """
        items = await self._decoded(records)
        portion = len(items)
        while items:
            part, rest = items[:portion], items[portion:]
            try:
                await self._append(part)
            except _DATA_ERRORS as refusal:
                refused, kept = _split(part, refusal)
                if not refused and len(part) > 1:
                    portion = len(part) // 2
                    continue
                await self._bury([item.record for item in refused or part], _REFUSED)
                items = [*kept, *rest] if refused else rest
            else:
                items = rest
                portion *= 2

    async def _decoded(self, records: Sequence[SourceRecord]) -> list[_Item]:
        items: list[_Item] = []
        for count, record in enumerate(records, 1):
            try:
                items.append(_Item(record, decode_event(record.value, record.headers)))
            except BadRecord as bad:
                await self._bury([record], bad.reason)
            if count % _DECODE_SLICE == 0:
                await asyncio.sleep(0)
        return items

    async def _append(self, items: Sequence[_Item]) -> None:
        events = [item.event for item in items]
        result = await self._retry.until_done("store", partial(self._store.append, events), final=_DATA_ERRORS)
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


def _split(part: Sequence[_Item], refusal: Exception) -> tuple[list[_Item], list[_Item]]:
    """Return the items that a refusal names, and the others."""
    named = refusal.event_ids if isinstance(refusal, SinkRejected) else frozenset()
    return [item for item in part if item.event.event_id in named], [
        item for item in part if item.event.event_id not in named
    ]
