"""The relay's metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.errors.instruments import counter, gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tenaudit.audit.outbox.ports import Backlog

__all__ = ["RelayMetrics"]


class RelayMetrics:
    """The metric families of relays on one registry."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        # Every relay of one outbox sees the same backlog, so the processes do not add up.
        self._backlog = gauge(
            registry, "audit_outbox_backlog", "Events that wait in the outbox.", across_processes="livemax"
        )
        self._age = gauge(
            registry,
            "audit_outbox_oldest_age_seconds",
            "How long the oldest event of the outbox has waited.",
            across_processes="livemax",
        )
        self._relayed = counter(
            registry,
            "audit_outbox_relayed_total",
            "Events taken from the outbox, by what became of them.",
            ("outcome",),
        )

    def saw(self, backlog: Backlog) -> None:
        """Set the gauges."""
        self._backlog.set(backlog.entries)
        self._age.set(backlog.oldest_age)

    def relayed(self, outcome: str, events: int) -> None:
        """Count events as `delivered`, `dead` or `failed`."""
        self._relayed.labels(outcome).inc(events)
