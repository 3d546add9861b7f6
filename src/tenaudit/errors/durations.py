"""A histogram of the path that every request takes: exact, at a quarter of what prometheus-client's costs."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING

from prometheus_client import Histogram
from prometheus_client.core import Exemplar, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from tenaudit._kernel.fork import restart_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = ["Durations"]


class _Series:
    """How often each bucket was hit, the sum, and the last trace of each bucket."""

    __slots__ = ("_bounds", "_counts", "_last", "_lock", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.unlock()
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._last: list[tuple[str, float, float] | None] = [None] * len(self._counts)

    def unlock(self) -> None:
        """Make the lock anew: a forked child may have got one that nobody in it holds."""
        self._lock = threading.Lock()

    def observe(self, seconds: float, trace_id: str | None = None) -> None:
        """Count one observation; *trace_id* makes it the exemplar of its bucket."""
        place = bisect_left(self._bounds, seconds)
        with self._lock:
            self._counts[place] += 1
            self._sum += seconds
        if trace_id is not None:
            self._last[place] = (trace_id, seconds, time.time())

    def read(self) -> tuple[list[int], float, list[Exemplar | None]]:
        """Return the count of each bucket and of all below it, the sum, and the exemplar of each bucket."""
        with self._lock:
            counts, total = list(accumulate(self._counts)), self._sum
        return counts, total, [last and Exemplar({"trace_id": last[0]}, *last[1:]) for last in self._last]


class Durations:
    """A histogram whose series are observed from any thread.

    Args:
        name: of the family, ending in its unit.
        doc: its help text.
        labels: label names, at least one.
        registry: where the family lives.
        buckets: upper bounds, ascending and finite.
        shared: as in `Tallies`; files that several processes share hold no exemplars.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> registry = CollectorRegistry()
        >>> Durations("wait_seconds", "Waiting.", ["page"], registry, buckets=(0.1, 1)).of("home")(0.5)
        >>> registry.get_sample_value("wait_seconds_bucket", {"page": "home", "le": "1.0"}) == 1
        True
    """

    def __init__(
        self,
        name: str,
        doc: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        *,
        buckets: Sequence[float],
        shared: bool = False,
    ) -> None:
        self._name, self._doc, self.labelnames = name, doc, tuple(labels)
        self._buckets = tuple(buckets)
        self._bounds = tuple(map(floatToGoString, (*buckets, inf)))
        self._files = Histogram(name, doc, labels, registry=None, buckets=buckets) if shared else None
        self._series: dict[tuple[str, ...], _Series] = {}
        registry.register(self)
        restart_in_child(self)

    def after_fork(self) -> None:
        """Make the locks anew; called in a forked child."""
        for series in self._series.values():
            series.unlock()

    def of(self, *values: str) -> Callable[[float, str | None], None]:
        """Return what takes seconds, and the id of a trace worth following, for the series of these label values."""
        if self._files is not None:
            child = self._files.labels(*values)

            def observe(seconds: float, trace_id: str | None = None) -> None:  # noqa: ARG001 - files hold no exemplars
                child.observe(seconds)

            return observe
        return self._series.setdefault(values, _Series(self._buckets)).observe

    def describe(self) -> Iterable[Metric]:
        """Return the family without samples, which prometheus-client asks for to see names that are taken."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """Return the family with every observation so far."""
        if self._files is not None:
            return self._files.collect()
        family = self._family()
        for values, series in list(self._series.items()):
            counts, total, exemplars = series.read()
            family.add_metric(
                values,
                [
                    (bound, count) if exemplar is None else (bound, count, exemplar)
                    for bound, count, exemplar in zip(self._bounds, counts, exemplars, strict=True)
                ],
                total,
            )
        return [family]

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._doc, labels=self.labelnames)
