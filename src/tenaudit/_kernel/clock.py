"""Time as an argument: the core never reads a clock that it was not given."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What tenaudit asks of a clock; `tenaudit.testing.ManualClock` is the one tests pass."""

    def time_ns(self) -> int:
        """Wall time: nanoseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clocks.

    Example:
        >>> SystemClock().time_ns() > 0
        True
    """

    __slots__ = ()

    # The bound built-ins themselves: a wrapping method would double the cost of a read on emit.
    time_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)
