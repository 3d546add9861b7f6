"""Whether events flow: judged by what was delivered, never by whether a socket is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit.errors.instruments import gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock

__all__ = ["Flow", "SinkHealth"]


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """The state of a sink.

    Args:
        flowing: False once events have waited longer than the sink's delivery deadline.
        delivered_at: when a write last succeeded, in Unix seconds; None before the first.
        waiting_for: seconds since which events wait and none was delivered; 0 when none wait.
        problem: what the last write failed of; None before the first, and after one that succeeded.

    Example:
        >>> SinkHealth(flowing=True, delivered_at=None, waiting_for=0.0).flowing
        True
    """

    flowing: bool
    delivered_at: float | None
    waiting_for: float
    problem: str | None = None


class Flow:
    """Notes when events begin to wait and when they were delivered."""

    __slots__ = ("_clock", "_delivered_at", "_last_delivery", "_problem", "_waiting_since")

    def __init__(self, clock: Clock, registry: CollectorRegistry | None) -> None:
        self._clock = clock
        self._delivered_at: float | None = None
        self._waiting_since: float | None = None
        self._problem: str | None = None
        self._last_delivery = gauge(
            registry,
            "audit_kafka_last_delivery_timestamp_seconds",
            "When Kafka last acknowledged audit events, in Unix seconds.",
            across_processes="max",
        )

    def waits(self) -> None:
        """Note that events wait."""
        if self._waiting_since is None:
            self._waiting_since = self._clock.monotonic()

    def failed(self, problem: str) -> None:
        """Note what a write failed of."""
        self._problem = problem

    def delivered(self) -> None:
        """Note that what waited has arrived."""
        self._waiting_since = self._problem = None
        self._delivered_at = self._clock.time_ns() / 1e9
        self._last_delivery.set(self._delivered_at)

    @property
    def waiting_for(self) -> float:
        """Seconds since events wait without a delivery."""
        return 0.0 if self._waiting_since is None else self._clock.monotonic() - self._waiting_since

    def health(self, patience: float) -> SinkHealth:
        """Return the state, unhealthy when events have waited more than *patience* seconds."""
        waited = self.waiting_for
        return SinkHealth(waited <= patience, self._delivered_at, waited, self._problem)
