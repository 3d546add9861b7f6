"""Purging in the background: now and then, one process at a time, never in the way of whoever stores events."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Self

from tenaudit._kernel.bounds import check_seconds
from tenaudit._kernel.clock import SystemClock
from tenaudit.audit.retention.metrics import RetentionMetrics
from tenaudit.audit.retention.purge import PurgeOptions
from tenaudit.audit.retention.steps import PurgeBusy

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.retention.ports import RetentionStore
    from tenaudit.audit.retention.report import PurgeReport

__all__ = ["RetentionJob"]

_log = logging.getLogger("tenaudit.audit")
_CANCEL_SECONDS = 5.0


class RetentionJob:
    """Purges a store for the length of a block, at its start and then once a period.

    Several processes may each have one: the store lets one purge in at a time, and the others' turn is the next. A
    purge that fails is logged and counted as none; nothing that happens here reaches whoever has the block.

    Args:
        store: what is purged.
        registry: where the metrics live; None is prometheus-client's default.
        clock: tells when a run ended.
        every: seconds between two runs.
        seconds: what one run may take; what is left then is the next one's.
        archive: a folder that gets every event before it is removed.
        default_days: the default period, None for the one that the store keeps.

    Raises:
        ConfigurationError: a number is out of range, or there is no such folder.

    Example:
        >>> import tempfile
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> from tenaudit.testing.conformance import an_event
        >>> async def main(folder):
        ...     async with SqliteStore.open(f"{folder}/audit.db") as store:
        ...         await store.append([an_event(0, occurred_at="2001-01-01T00:00:00Z")])
        ...         return (await RetentionJob(store, registry=CollectorRegistry()).run()).rows
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        1
    """

    def __init__(
        self,
        store: RetentionStore,
        *,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        every: float = 3600.0,
        seconds: float = 1800.0,
        archive: str | os.PathLike[str] | None = None,
        default_days: int | None = None,
    ) -> None:
        check_seconds(every=every)
        self._options = PurgeOptions(archive=archive, default_days=default_days, seconds=seconds)
        self._store = store
        self._clock = clock or SystemClock()
        self._every = every
        self._metrics = RetentionMetrics(registry)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep(), name="tenaudit-audit-retention")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            # Every step is whole or not at all, so it may be cancelled; whoever ends does not wait for ever.
            await asyncio.wait({self._task}, timeout=_CANCEL_SECONDS)

    async def _keep(self) -> None:
        while True:
            await self.run()
            await asyncio.sleep(self._every)

    async def run(self) -> PurgeReport | None:
        """Purge once and return what went; None when another purge is running, or it failed."""
        options = self._options
        try:
            # The store keeps its own time; this is for one that does not.
            async with asyncio.timeout(2 * options.seconds):
                report = await self._store.purge(
                    archive=options.archive,
                    default_days=options.default_days,
                    seconds=options.seconds,
                    on_removed=self._metrics.removed,
                )
        except PurgeBusy:
            return None
        except Exception as failure:  # noqa: BLE001 - a run must not end the job, whatever the store does
            _log.warning(
                "events could not be purged",
                exc_info=failure,
                extra={"action": "audit_purge_failed", "error": type(failure).__name__},
            )
            return None
        self._told(report)
        return report

    def _told(self, report: PurgeReport) -> None:
        if report.complete:
            self._metrics.ran(self._clock.time_ns() / 1e9)
        for error in report.errors:
            _log.warning("a tenant was not purged to the end: %s", error, extra={"action": "audit_purge_halted"})
        _log.info("events were purged", extra={"action": "audit_purged", "events": report.rows})
