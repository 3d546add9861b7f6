"""One turn of the relay at one shard: batch after batch from the source to the sink, in order."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tenaudit.audit.ports import Sink, SinkRejected, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenaudit.audit.outbox.metrics import RelayMetrics
    from tenaudit.audit.outbox.options import RelayOptions
    from tenaudit.audit.outbox.ports import Lease, OutboxSource, TakenEntry
    from tenaudit.audit.redaction_policy import RedactionPolicy

__all__ = ["ShardRun"]

_log = logging.getLogger("tenaudit.audit")
# The other shards wait meanwhile.
_BATCHES_A_TURN = 20
_UNREADABLE = "unreadable"


class ShardRun:
    """Carries the entries of a held shard; what the sink has is deleted, what it refuses is moved aside.

    The sink sees a prefix of what waits, always in order, so a batch that is repeated after a failure, by this
    relay or another, puts nothing out of order.

    Args:
        source: the outbox.
        sink: where events go.
        options: sizes and the deadline of a write.
        metrics: what is counted.
        stopping: tells whether the turn should end after the batch in flight.
        redaction: what is taken out of an event before the sink has it.
    """

    def __init__(
        self,
        source: OutboxSource,
        sink: Sink,
        options: RelayOptions,
        metrics: RelayMetrics,
        stopping: Callable[[], bool],
        redaction: RedactionPolicy | None = None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._options = options
        self._metrics = metrics
        self._stopping = stopping
        self._redaction = redaction
        self.settled = 0

    async def run(self, lease: Lease) -> None:
        """Empty the shard, or as much of it as a turn is long.

        Raises:
            SinkUnavailable: the sink did not take a batch.
            OutboxUnavailable: the outbox failed.
            LeaseLost: another relay has the shard.
        """
        for _ in range(_BATCHES_A_TURN):
            if self._stopping():
                return
            entries = await self._source.read(lease, self._options.batch_size, self._options.max_bytes)
            if not entries:
                return
            await self._carry(lease, await self._readable(lease, entries))

    async def _readable(self, lease: Lease, entries: Sequence[TakenEntry]) -> list[TakenEntry]:
        broken = [entry for entry in entries if entry.event is None]
        if broken:
            await self._bury(lease, broken, _UNREADABLE)
        written = (lambda event: event) if self._redaction is None else self._redaction.written
        return [entry._replace(event=written(entry.event)) for entry in entries if entry.event is not None]

    async def _carry(self, lease: Lease, entries: list[TakenEntry]) -> None:
        portion = len(entries)
        while entries:
            part = entries[:portion]
            try:
                await self._write(part)
            except SinkRejected as refusal:
                refused = [entry for entry in part if entry.event and entry.event.event_id in refusal.event_ids]
                if not refused and len(part) > 1:
                    # It names none of what it was given: halve until the one that it means stands alone.
                    portion = len(part) // 2
                    continue
                gone = refused or part
                await self._bury(lease, gone, refusal.reason)
                entries = [entry for entry in entries if entry not in gone]
            else:
                await self._source.settle(lease, [entry.position for entry in part], {})
                self._count("delivered", len(part))
                entries = entries[len(part) :]
                portion *= 2

    async def _write(self, part: Sequence[TakenEntry]) -> None:
        """Write once.

        Raises:
            SinkRejected: as the sink says.
            SinkUnavailable: every other failure, for a sink that breaks its contract is one that is unavailable.
        """
        batch = [entry.event for entry in part if entry.event is not None]
        try:
            async with asyncio.timeout(self._options.write_timeout):
                await self._sink.write(batch)
        except SinkRejected:
            raise
        except SinkUnavailable:
            self._metrics.relayed("failed", len(part))
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Something inside the sink was cancelled, not this relay.
            self._metrics.relayed("failed", len(part))
            raise SinkUnavailable("the sink's write was cancelled") from None
        except Exception as error:
            self._metrics.relayed("failed", len(part))
            raise SinkUnavailable(f"the sink failed: {type(error).__name__}") from error

    async def _bury(self, lease: Lease, gone: Sequence[TakenEntry], reason: str) -> None:
        await self._source.settle(lease, [], {entry.position: reason for entry in gone})
        self._count("dead", len(gone))
        _log.error(
            "events of the outbox went to its dead letters",
            extra={"action": "audit_outbox_dead_letters", "events": len(gone), "reason": reason},
        )

    def _count(self, outcome: str, events: int) -> None:
        self.settled += events
        self._metrics.relayed(outcome, events)
