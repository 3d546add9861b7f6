"""Metrics of the path that every request takes: exact, at a tenth of what prometheus-client asks for each.

`Counter.inc` checks its arguments and takes a lock, half a microsecond each time, and a request counts four times.
Here a hit is one step of an `itertools.count`, which CPython takes whole, and reaches the counter when it is collected.
"""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING

from prometheus_client import Counter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = ["Tallies"]


class _Tally:
    """Hits of one series that its counter does not know of yet."""

    __slots__ = ("_child", "_steps", "_taken", "hit")

    def __init__(self, child: Counter) -> None:
        self._child = child
        self._steps = count()
        self.hit: Callable[[], object] = self._steps.__next__
        self._taken = 0

    def settle(self) -> None:
        """Hand the hits over; one caller at a time."""
        steps = next(self._steps)
        new, self._taken = steps - self._taken, steps + 1  # looking is a step too
        if new:
            self._child.inc(new)


class Tallies:
    """A counter whose series are counted by ones, from any thread.

    Args:
        name: of the family, ending in `_total`.
        doc: its help text.
        labels: label names, at least one.
        registry: where the family lives.
        shared: whether several processes share the values in prometheus-client's multiprocess mode; a hit then goes
            straight to their file, since whoever is scraped collects for the others.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> registry = CollectorRegistry()
        >>> hit = Tallies("hits_total", "Hits.", ["page"], registry).of("home")
        >>> _ = hit(), hit(), hit()
        >>> registry.get_sample_value("hits_total", {"page": "home"})
        3.0
    """

    def __init__(
        self, name: str, doc: str, labels: Sequence[str], registry: CollectorRegistry, *, shared: bool = False
    ) -> None:
        self._counter = Counter(name, doc, labels, registry=None)
        self._shared = shared
        self._settling = threading.Lock()
        self._tallies: dict[tuple[str, ...], _Tally] = {}
        registry.register(self)

    def of(self, *values: str) -> Callable[[], object]:
        """Return what counts one in the series of these label values each time it is called."""
        if self._shared:
            return self._counter.labels(*values).inc
        with self._settling:
            tally = self._tallies.get(values)
            if tally is None:
                tally = self._tallies[values] = _Tally(self._counter.labels(*values))
        return tally.hit

    def describe(self) -> Iterable[Metric]:
        """Return the family without samples, which prometheus-client asks for to see names that are taken."""
        return self._counter.describe()

    def collect(self) -> Iterable[Metric]:
        """Return the family with every hit so far."""
        with self._settling:
            for tally in self._tallies.values():
                tally.settle()
        return self._counter.collect()
