"""A bound on how many denial events one tenant can cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tenaudit._kernel.clock import Clock

__all__ = ["DenialBudget"]

_MAX_KEYS = 10_000


class DenialBudget:
    """Allows so many events a second for each key, in fixed seconds of the monotonic clock.

    Args:
        per_second: events a key may spend in one second.
        clock: time source.

    Example:
        >>> from tenaudit.testing.clock import ManualClock
        >>> budget = DenialBudget(1, ManualClock())
        >>> budget.spend("tenant-a"), budget.spend("tenant-a"), budget.spend("tenant-b")
        (True, False, True)
    """

    __slots__ = ("_clock", "_per_second", "_second", "_spent")

    def __init__(self, per_second: int, clock: Clock) -> None:
        self._per_second = per_second
        self._clock = clock
        self._second = -1
        self._spent: dict[Hashable, int] = {}

    def spend(self, key: Hashable) -> bool:
        """Return whether *key* may cause one more event now."""
        second = int(self._clock.monotonic())
        if second != self._second:
            self._second = second
            self._spent.clear()
        spent = self._spent.get(key, 0)
        if spent >= self._per_second or (spent == 0 and len(self._spent) >= _MAX_KEYS):
            return False
        self._spent[key] = spent + 1
        return True
