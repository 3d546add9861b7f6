"""Metric families made once for each registry, so two gates of one process share them instead of colliding.

Names follow the Prometheus naming rules: one base unit, `_total` on counters, `_seconds` on durations.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors.durations import Durations
from tenaudit.errors.tally import Tallies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["counter", "durations", "gauge", "histogram", "is_multiprocess", "tallies"]

_Family = TypeVar("_Family", Counter, Gauge, Histogram, Tallies, Durations)
_families: WeakKeyDictionary[CollectorRegistry, dict[str, Counter | Gauge | Histogram | Tallies | Durations]] = (
    WeakKeyDictionary()
)
_lock = threading.Lock()


def is_multiprocess() -> bool:
    """Tell whether prometheus-client's multiprocess mode is on: several workers share one folder of values."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


def _check_folder() -> None:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    # An empty name is no folder to prometheus-client; to pathlib it is the current one.
    if folder is not None and not (folder and Path(folder).is_dir()):
        raise ConfigurationError(f"PROMETHEUS_MULTIPROC_DIR is {folder!r}, which is no folder: make it first")


def _once(registry: CollectorRegistry | None, name: str, kind: type[_Family], make: Callable[..., _Family]) -> _Family:
    home = REGISTRY if registry is None else registry
    with _lock:
        families = _families.setdefault(home, {})
        family = families.get(name)
        if family is None:
            _check_folder()
            family = families[name] = make(registry=home)
    if not isinstance(family, kind):
        raise TypeError(f"metric {name} is already registered as a {type(family).__name__}")
    return family


def counter(registry: CollectorRegistry | None, name: str, doc: str, labels: Sequence[str] = ()) -> Counter:
    """Return the counter *name* of *registry* (`None`: prometheus-client's default), made on first use."""
    return _once(registry, name, Counter, lambda registry: Counter(name, doc, labels, registry=registry))


def tallies(registry: CollectorRegistry | None, name: str, doc: str, labels: Sequence[str]) -> Tallies:
    """Return the counter *name* of *registry* for hits on the path of every request, made on first use."""
    return _once(
        registry, name, Tallies, lambda registry: Tallies(name, doc, labels, registry, shared=is_multiprocess())
    )


def gauge(
    registry: CollectorRegistry | None,
    name: str,
    doc: str,
    labels: Sequence[str] = (),
    *,
    across_processes: str = "livesum",
) -> Gauge:
    """Return the gauge *name* of *registry*; *across_processes* is prometheus-client's `multiprocess_mode`.

    It leaves out workers that have ended unless told otherwise: what they held is gone.
    """
    return _once(
        registry,
        name,
        Gauge,
        lambda registry: Gauge(name, doc, labels, registry=registry, multiprocess_mode=across_processes),  # type: ignore[arg-type]
    )


def histogram(
    registry: CollectorRegistry | None,
    name: str,
    doc: str,
    labels: Sequence[str] = (),
    *,
    buckets: Sequence[float],
) -> Histogram:
    """Return the histogram *name* of *registry*; *buckets* are upper bounds in its unit."""
    return _once(
        registry,
        name,
        Histogram,
        lambda registry: Histogram(name, doc, labels, registry=registry, buckets=buckets),
    )


def durations(
    registry: CollectorRegistry | None, name: str, doc: str, labels: Sequence[str], *, buckets: Sequence[float]
) -> Durations:
    """Return the histogram *name* of *registry* for the path of every request, made on first use."""
    return _once(
        registry,
        name,
        Durations,
        lambda registry: Durations(name, doc, labels, registry, buckets=buckets, shared=is_multiprocess()),
    )
