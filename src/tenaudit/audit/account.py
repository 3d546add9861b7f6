"""What a producer counts of its own refusals: exact in threads, quiet in the log."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from tenaudit.audit.outcomes import ProducerStats

if TYPE_CHECKING:
    from tenaudit.audit.buffer import DraftBuffer
    from tenaudit.audit.delivery import Delivery
    from tenaudit.audit.metrics import ProducerMetrics

__all__ = ["ProducerAccount"]

_log = logging.getLogger("tenaudit.audit")


class ProducerAccount:
    """Counts rejected and dropped events of one producer."""

    __slots__ = ("_lock", "_metrics", "_next_warning", "dropped", "overflowed", "rejected")

    def __init__(self, metrics: ProducerMetrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._next_warning = 0.0
        self.dropped = 0
        self.overflowed = 0
        self.rejected = 0

    def reject(self, reason: str) -> None:
        """Count one event that breaks a limit."""
        with self._lock:
            self.rejected += 1
        self._metrics.rejected(reason)

    def drop(self, reason: str, events: int = 1, *, at_emit: bool = True) -> None:
        """Count dropped events; one log line a second, so a flood of drops is no flood of logs.

        Args:
            reason: stable code, a label of the metric.
            events: how many.
            at_emit: False for events that `emit` had accepted, so that no call is counted under two outcomes.
        """
        with self._lock:
            self.dropped += events
            if at_emit:
                self.overflowed += events
            now = time.monotonic()
            quiet = now < self._next_warning
            if not quiet:
                self._next_warning = now + 1.0
        self._metrics.dropped(reason, events)
        if not quiet:
            _log.warning(
                "audit events are dropped",
                extra={"action": "audit_events_dropped", "reason": reason, "total": self.dropped},
            )

    def stats(self, emitted: int, buffer: DraftBuffer, delivery: Delivery | None) -> ProducerStats:
        """Return the whole account: what came in, what waits, what became of the rest."""
        return ProducerStats(
            emitted=emitted,
            delivered=delivery.delivered if delivery else 0,
            dropped=self.dropped + (delivery.refused if delivery else 0),
            rejected=self.rejected,
            spooled=delivery.spooled if delivery else 0,
            queued=buffer.depth + (delivery.in_flight if delivery else 0),
        )
