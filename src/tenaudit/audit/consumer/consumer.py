"""The loop from a source to a store: rows first, then offsets, and nothing committed that is not stored."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit._kernel.error import ConfigurationError, loggable
from tenaudit.audit.consumer.ingest import Ingest
from tenaudit.audit.consumer.metrics import ConsumerMetrics
from tenaudit.audit.consumer.options import ConsumerOptions
from tenaudit.audit.consumer.ports import SourceUnavailable
from tenaudit.audit.consumer.retry import BatchAbandoned, Retry, is_cancelled
from tenaudit.audit.redaction_policy import check_redaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

    from tenaudit.audit.consumer.ports import DeadLetters, Fetched, Partition, Source, SourceRecord
    from tenaudit.audit.ports import Store
    from tenaudit.audit.redaction_policy import RedactionPolicy

__all__ = ["Consumer", "ConsumerHealth"]

_log = logging.getLogger("tenaudit.audit")
_CANCEL_SECONDS = 0.5
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class ConsumerHealth:
    """The state of a consumer.

    Args:
        flowing: False once it has failed for a minute without a break.
        ingested_at: when a batch was last stored, in Unix seconds; None before the first.
        failing_for: seconds since the first failure that no success has ended.
        lag: records that wait in the stream, as far as is known.
        waits_for: what failed last, as the metric of failures names it, while no success has ended that; with
            `dead_letters_full` it goes on once somebody has made room.

    Example:
        >>> ConsumerHealth(flowing=True, ingested_at=None, failing_for=0.0, lag=0).flowing
        True
    """

    flowing: bool
    ingested_at: float | None
    failing_for: float
    lag: int
    waits_for: str | None = None


class Consumer:
    """Takes records from *source* and stores their events, each once.

    A batch is one transaction of the store for each 1000 records, and its offsets are committed after all of them.
    Whatever ends the consumer in between makes the same records come again, which the store takes as duplicates.

    Args:
        source: where records come from, and to no other consumer before or after; closed by whoever made it.
        store: where events go; likewise.
        dead_letters: where records go that hold no event, or one that the store refuses.
        options: the bounds.
        registry: where its metrics live; None is prometheus-client's default.
        clock: what latency, health and patience are measured with.
        redaction: what is taken out of an event before it is stored, or goes to the dead letters; a record that holds
            no event goes there as it came.

    Raises:
        ConfigurationError: *redaction* is no policy.

    Example:
        >>> from tenaudit.audit.consumer import Fetched
        >>> class Quiet:  # a source that has nothing
        ...     def on_revoke(self, settle): pass
        ...     async def fetch(self, max_records, max_bytes, seconds):
        ...         await asyncio.sleep(0)
        ...         return Fetched(epoch=1, records=())
        ...     async def commit(self, epoch, offsets): return True
        ...     def lag(self): return 0
        ...     async def close(self): pass
        >>> async def main():
        ...     consumer = Consumer(Quiet(), store=None, dead_letters=None)
        ...     running = asyncio.create_task(consumer.run())
        ...     await asyncio.sleep(0)
        ...     ended = await consumer.stop()
        ...     await running
        ...     return ended, consumer.health().flowing
        >>> asyncio.run(main())
        (True, True)
    """

    def __init__(
        self,
        source: Source,
        store: Store,
        dead_letters: DeadLetters,
        *,
        options: ConsumerOptions | None = None,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        redaction: RedactionPolicy | None = None,
    ) -> None:
        check_redaction(redaction)
        self._source = source
        self._options = options or ConsumerOptions()
        self._clock = clock or SystemClock()
        self._metrics = ConsumerMetrics(registry)
        self._retry = Retry(self._options, self._metrics, self._clock)
        self._ingest = Ingest(store, dead_letters, self._retry, self._metrics, self._clock, redaction)
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._epoch = 0
        self._given_up: int | None = None
        self._owed: dict[Partition, int] = {}
        self._ingested_at: float | None = None

    def health(self) -> ConsumerHealth:
        """Return whether records flow."""
        failing_for, waits_for = self._retry.failing_for, self._retry.failing
        return ConsumerHealth(failing_for <= _PATIENCE, self._ingested_at, failing_for, self._source.lag(), waits_for)

    async def run(self) -> None:
        """Consume until `stop`.

        Raises:
            ConsumerStalled: the source, the store or the dead letters failed for too long.
            ConfigurationError: it runs already, or has run.
        """
        if self._task is not None:
            raise ConfigurationError("this consumer runs already, or has run: make another one")
        self._source.on_revoke(self._settle)
        self._task = asyncio.create_task(self._loop(), name="tenaudit-audit-consumer")
        try:
            await self._task
        except asyncio.CancelledError:
            # `stop` cancels the loop when its time is up, and that is no cancellation of the caller.
            if is_cancelled() or not self._stopping.is_set():
                raise
        finally:
            self._task.cancel()

    async def stop(self) -> bool:
        """Finish the batch in hand within `stop_timeout` and end; False when it was given up."""
        self._stopping.set()
        if self._idle.is_set():
            self._retry.abandon()
        task = self._task
        if task is None:
            return True
        await asyncio.wait({task}, timeout=self._options.stop_timeout)
        if task.done():
            return True
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
        return False

    async def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._turn()
            except BatchAbandoned:
                if self._stopping.is_set():
                    return
                self._metrics.failed("abandoned")
                _log.warning("the audit consumer gives a batch up", extra={"action": "audit_batch_abandoned"})

    async def _turn(self) -> None:
        self._retry.begin()
        fetched = await self._retry.until_done("source", self._fetch)
        if self._stopping.is_set():
            return
        self._idle.clear()
        # A rebalance whose time was up just as the batch before ended has given up that one, not this one.
        self._retry.begin()
        try:
            await self._take(fetched)
            self._owe(fetched)
            await self._commit()
            self._show(fetched.records)
        finally:
            self._idle.set()

    async def _fetch(self) -> Fetched:
        fetched = await self._source.fetch(self._options.batch_size, self._options.batch_bytes, self._options.poll)
        if fetched.epoch == self._given_up:
            # What follows a batch that was given up must not be committed: that would skip it.
            raise SourceUnavailable("the epoch of a batch that was given up goes on")
        return fetched

    async def _take(self, fetched: Fetched) -> None:
        try:
            await self._ingest.take(fetched.records)
        except BatchAbandoned:
            self._given_up = fetched.epoch
            raise

    def _owe(self, fetched: Fetched) -> None:
        if fetched.epoch != self._epoch:
            self._epoch, self._owed = fetched.epoch, {}
        for record in fetched.records:
            self._owed[record.partition] = record.offset + 1

    async def _commit(self) -> None:
        """Commit once; what fails is owed until the next turn, since a batch that is stored need not wait for it."""
        if not self._owed:
            return
        try:
            async with asyncio.timeout(self._options.try_timeout):
                kept = await self._source.commit(self._epoch, self._owed)
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            self._could_not_commit(error)
        except Exception as error:  # noqa: BLE001 - a source that breaks its contract is one that failed
            self._could_not_commit(error)
        else:
            self._owed = {}
            if not kept:
                self._metrics.failed("partitions_moved")

    def _could_not_commit(self, error: BaseException) -> None:
        self._metrics.failed("commit")
        _log.warning(
            "the audit consumer could not commit",
            extra={"action": "audit_commit_failed", **loggable(error)},
        )

    def _show(self, records: Iterable[SourceRecord]) -> None:
        now, lag = self._clock.time_ns() / 1e9, self._source.lag()
        newest = max((record.timestamp_ms or 0 for record in records), default=0)
        if newest:
            self._ingested_at = now
        self._metrics.lag(lag, max(0.0, now - newest / 1000) if newest and lag else 0.0)

    async def _settle(self) -> None:
        """Let the batch in hand finish before its partitions go; in time, or it is given up."""
        try:
            async with asyncio.timeout(self._options.settle_timeout):
                await self._idle.wait()
        except TimeoutError:
            self._retry.abandon()
