"""The metrics of retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.errors.instruments import counter, gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["RetentionMetrics"]


class RetentionMetrics:
    """What purges removed, and when the last one went well, on one registry."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._deleted = counter(registry, "audit_retention_deleted_total", "Events that purges removed.")
        self._last_run = gauge(
            registry,
            "audit_retention_last_run_timestamp_seconds",
            "When a purge last came to its end without an error, in Unix seconds.",
            across_processes="max",
        )

    def removed(self, events: int) -> None:
        """Count events that went."""
        self._deleted.inc(events)

    def ran(self, moment: float) -> None:
        """Note the end of a purge."""
        self._last_run.set(moment)
