"""A clock that moves only when a test says so."""

from __future__ import annotations

__all__ = ["ManualClock"]


class ManualClock:
    """A `Clock` under the test's control; wall and monotonic time advance together.

    Args:
        start: wall time at the start, in seconds since the Unix epoch.

    Example:
        >>> clock = ManualClock(start=100.0)
        >>> clock.advance(1.5)
        >>> clock.time_ns()
        101500000000
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._wall_ns = round(start * 1e9)
        self._mono_ns = 0

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by *seconds*."""
        step = round(seconds * 1e9)
        self._wall_ns += step
        self._mono_ns += step

    def jump_wall(self, seconds: float) -> None:
        """Step wall time alone, forward or back, as an operator or NTP does."""
        self._wall_ns += round(seconds * 1e9)

    def time_ns(self) -> int:
        """Wall time in nanoseconds since the Unix epoch."""
        return self._wall_ns

    def monotonic(self) -> float:
        """Monotonic time in seconds."""
        return self._mono_ns / 1e9
