"""The gauges of spools, read when they are scraped: size, and age of the oldest event."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client import REGISTRY

from tenaudit.errors.instruments import gauge, is_multiprocess

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tenaudit.audit.spool import Spool

__all__ = ["SpoolGauges"]

_lock = threading.Lock()
_of: WeakKeyDictionary[CollectorRegistry, SpoolGauges] = WeakKeyDictionary()


class SpoolGauges:
    """The living spools of one registry: bytes add up, and the oldest event of all gives the age."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._spools: WeakSet[Spool] = WeakSet()
        self._bytes = gauge(registry, "audit_spool_bytes", "Size of the spools' files.")
        self._age = gauge(
            registry,
            "audit_spool_oldest_age_seconds",
            "Seconds since the oldest event in a spool was emitted, 0 when all are empty.",
            across_processes="livemax",
        )
        # prometheus-client's multiprocess files cannot call back, so there the delivery publishes.
        if not is_multiprocess():
            self._bytes.set_function(lambda: self._read()[0])
            self._age.set_function(lambda: self._read()[1])

    @classmethod
    def on(cls, registry: CollectorRegistry | None) -> SpoolGauges:
        """Return the gauges of *registry*, made on first use."""
        home = REGISTRY if registry is None else registry
        with _lock:
            if home not in _of:
                _of[home] = cls(home)
            return _of[home]

    def add(self, spool: Spool) -> None:
        """Show one more spool while it lives."""
        with _lock:
            self._spools.add(spool)

    def publish(self) -> None:
        """Set the gauges now, where they cannot be read on demand."""
        if is_multiprocess():
            size, age = self._read()
            self._bytes.set(size)
            self._age.set(age)

    def _read(self) -> tuple[float, float]:
        # A scrape runs on a thread of its own, and a set must not grow while it is walked.
        with _lock:
            stats = [spool.stats() for spool in self._spools]
        return float(sum(one.bytes for one in stats)), max((one.oldest_age for one in stats), default=0.0)
