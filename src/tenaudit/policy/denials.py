"""A bound on how many denial events one tenant can cause."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tenaudit._kernel.clock import Clock

__all__ = ["DenialBudget"]

_MAX_KEYS = 10_000


class DenialBudget:
    """Allows so many events a second for each key, in fixed seconds of the monotonic clock. Thread-safe.

    Args:
        per_second: events a key may spend in one second; 0 allows none.
        clock: time source.

    Raises:
        ConfigurationError: *per_second* is negative.

    Example:
        >>> from tenaudit.testing.clock import ManualClock
        >>> budget = DenialBudget(1, ManualClock())
        >>> budget.spend("tenant-a"), budget.spend("tenant-a"), budget.spend("tenant-b")
        (True, False, True)
    """

    __slots__ = ("_clock", "_lock", "_per_second", "_second", "_spent")

    def __init__(self, per_second: int, clock: Clock) -> None:
        if not per_second >= 0:  # which NaN is not
            raise ConfigurationError(f"denials_per_second must be 0 or more, not {per_second}")
        self._per_second = per_second
        self._lock = threading.Lock()
        self._clock = clock
        self._second = -1
        self._spent: dict[Hashable, int] = {}

    def spend(self, key: Hashable) -> bool:
        """Return whether *key* may cause one more event now."""
        with self._lock:
            second = int(self._clock.monotonic())
            if second != self._second:
                self._second = second
                self._spent.clear()
            spent = self._spent.get(key, 0)
            if spent >= self._per_second or (spent == 0 and len(self._spent) >= _MAX_KEYS):
                return False
            self._spent[key] = spent + 1
            return True
