"""The producer's metrics: counters moved in batches, gauges read when they are scraped."""

from __future__ import annotations

import logging
import os
import threading
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client import REGISTRY, CollectorRegistry

from tenaudit.audit.spool_gauges import SpoolGauges
from tenaudit.errors.instruments import counter, gauge, histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import Gauge

    from tenaudit.audit.spool import Spool

__all__ = ["ProducerMetrics"]

_P = ParamSpec("_P")
_log = logging.getLogger("tenaudit.audit")
_lock = threading.Lock()

_BUCKETS = (1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 5.0)


class _Queue(Protocol):
    """What the gauges read of a producer."""

    @property
    def depth(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def high_water(self) -> int: ...


class _Queues:
    """The live queues of one registry: several producers of one process add up in one gauge."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.members: WeakSet[_Queue] = WeakSet()
        self._gauges: tuple[tuple[Gauge, Callable[[_Queue], int]], ...] = (
            (gauge(registry, "audit_queue_depth", "Events waiting in memory."), lambda q: q.depth),
            (gauge(registry, "audit_queue_capacity", "Events the queue can hold."), lambda q: q.capacity),
            (gauge(registry, "audit_queue_high_water", "Most events that waited at once."), lambda q: q.high_water),
        )
        # prometheus-client's multiprocess files cannot call back, so there the drain loop publishes.
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            for family, read in self._gauges:
                family.set_function(self._sum(read))

    def _sum(self, read: Callable[[_Queue], int]) -> Callable[[], float]:
        return lambda: float(sum(read(queue) for queue in self._living()))

    def add(self, queue: _Queue) -> None:
        """Count one more queue while it lives."""
        with _lock:
            self.members.add(queue)

    def _living(self) -> list[_Queue]:
        # A scrape runs on a thread of its own, and a set must not grow while it is walked.
        with _lock:
            return list(self.members)

    def publish(self) -> None:
        """Set the gauges now, where they cannot be read on demand."""
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            for family, read in self._gauges:
                family.set(sum(read(queue) for queue in self._living()))


_queues: WeakKeyDictionary[CollectorRegistry, _Queues] = WeakKeyDictionary()


def _quiet(
    method: Callable[Concatenate[ProducerMetrics, _P], None],
) -> Callable[Concatenate[ProducerMetrics, _P], None]:
    """Keep a metric that fails, as a full disk makes those of several processes do, from failing a request."""

    @wraps(method)
    def guarded(self: ProducerMetrics, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:  # noqa: BLE001 - see above
            if not self.complained:
                self.complained = True
                _log.warning("an audit metric fails", exc_info=True, extra={"action": "audit_metric_failed"})

    return guarded


class ProducerMetrics:
    """The metric families of producers on one registry; counting never raises."""

    def __init__(
        self, registry: CollectorRegistry | None, sink: str, queue: _Queue, spool: Spool | None = None
    ) -> None:
        home = REGISTRY if registry is None else registry
        with _lock:
            if home not in _queues:
                _queues[home] = _Queues(home)
        self._queues = _queues[home]
        self._queues.add(queue)
        self._spools = SpoolGauges.on(registry)
        if spool is not None:
            self._spools.add(spool)
        self._emitted = counter(
            home, "audit_events_emitted_total", "Calls of emit by what became of them.", ("outcome",)
        )
        self._dropped = counter(home, "audit_events_dropped_total", "Events given up, by reason.", ("reason",))
        self._rejected = counter(
            home, "audit_events_rejected_total", "Events that break a limit, by code.", ("reason",)
        )
        self._failures = counter(home, "audit_emit_failures_total", "Failed writes to a sink.", ("sink",)).labels(sink)
        self._latency = histogram(
            home,
            "audit_emit_latency_seconds",
            "What a call of emit costs its caller, one in 64 timed.",
            buckets=_BUCKETS,
        )
        self._published: dict[str, int] = {}
        self.complained = False

    def restart(self) -> None:
        """Begin with totals of zero, as a forked child does."""
        self._published = {}

    @_quiet
    def count(self, *, emitted: int, rejected: int, dropped: int) -> None:
        """Bring `audit_events_emitted_total` up to these totals; emit itself counts in plain integers only.

        Args:
            emitted: events that got a number.
            rejected: events that broke a limit.
            dropped: numbered events that found no room.
        """
        for outcome, total in (("accepted", emitted - dropped), ("rejected", rejected), ("dropped", dropped)):
            before = self._published.get(outcome, 0)
            if total > before:
                self._emitted.labels(outcome).inc(total - before)
                self._published[outcome] = total
        self._queues.publish()
        self._spools.publish()

    @_quiet
    def rejected(self, reason: str) -> None:
        """Count one event that breaks a limit."""
        self._rejected.labels(reason).inc()

    @_quiet
    def dropped(self, reason: str, events: int = 1) -> None:
        """Count events that were given up."""
        self._dropped.labels(reason).inc(events)

    @_quiet
    def failed(self) -> None:
        """Count one failed write."""
        self._failures.inc()

    @_quiet
    def took(self, seconds: float) -> None:
        """Observe what one emit cost its caller."""
        self._latency.observe(seconds)
