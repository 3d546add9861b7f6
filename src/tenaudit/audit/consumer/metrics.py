"""The consumer's metrics, moved once a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.errors.instruments import counter, gauge, histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.ports import AppendResult

__all__ = ["ConsumerMetrics"]

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
_OUTCOMES = (("stored", "stored"), ("duplicate", "duplicates"), ("conflict", "conflicts"), ("expired", "expired"))
# One event in so many is timed: the others of its transaction came at the same moment.
_TIMED = 16


class ConsumerMetrics:
    """The metric families of consumers on one registry."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._ingested = counter(
            registry, "audit_events_ingested_total", "Records taken from a stream by what became of them.", ("outcome",)
        )
        self._failures = counter(
            registry, "audit_ingest_failures_total", "Failed steps and refused records, by reason.", ("reason",)
        )
        self._latency = histogram(
            registry,
            "audit_ingest_latency_seconds",
            "From the time of an event until it is stored, one in 16 timed.",
            buckets=_BUCKETS,
        )
        self._last = gauge(
            registry,
            "audit_last_ingest_timestamp_seconds",
            "When a batch was last stored, in Unix seconds.",
            across_processes="max",
        )
        self._lag_records = gauge(registry, "audit_consumer_lag_records", "Records that wait in the stream.")
        self._lag_seconds = gauge(
            registry,
            "audit_consumer_lag_seconds",
            "Age of the record that was fetched last, while others wait.",
            across_processes="livemax",
        )

    def stored(self, events: Sequence[AuditEvent], result: AppendResult, now: float) -> None:
        """Count one transaction; *now* is in Unix seconds."""
        for outcome, field in _OUTCOMES:
            if count := getattr(result, field):
                self._ingested.labels(outcome).inc(count)
        if result.stored:
            for event in events[::_TIMED]:
                self._latency.observe(max(0.0, now - event.occurred_at.timestamp()))
        self._last.set(now)

    def buried(self, reason: str) -> None:
        """Count one record that went to the dead letters."""
        self._ingested.labels("dead_letter").inc()
        self._failures.labels(reason).inc()

    def failed(self, reason: str) -> None:
        """Count one step that failed."""
        self._failures.labels(reason).inc()

    def lag(self, records: int, seconds: float) -> None:
        """Show how far the stream is ahead."""
        self._lag_records.set(records)
        self._lag_seconds.set(seconds)
