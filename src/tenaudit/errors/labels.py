"""A cap on the values of a metric label that strangers can influence."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LabelGuard"]

_MAX_BYTES = 256


class LabelGuard:
    """Lets at most *limit* distinct values through; every further value becomes *overflow*.

    Known values are registered first, so a scanner of routes cannot take their places. Thread-safe: reads of
    a value already seen take no lock. A value over 256 bytes, or one that UTF-8 cannot write, goes to *overflow*
    too: one such label would make every scrape large, or fail.

    Args:
        limit: distinct values that keep their own label, at least 1.
        known: values registered now, such as a service's catalogue of error codes.
        overflow: the label of everything past the limit.
        sealed: send every value that is not known to *overflow* at once. Under prometheus-client's
            multiprocess mode this keeps workers from disagreeing about who came first.

    Raises:
        ConfigurationError: the limit is below 1, or *known* alone is above it.

    Example:
        >>> guard = LabelGuard(2, known=["not_found"])
        >>> [guard.label(code) for code in ("teapot", "not_found", "another")]
        ['teapot', 'not_found', '_overflow']
        >>> guard.distinct, guard.saturation, guard.overflowed
        (2, 100.0, 1)
    """

    __slots__ = ("_lock", "_overflowed", "_seen", "limit", "overflow", "sealed")

    def __init__(
        self, limit: int = 40, *, known: Iterable[str] = (), overflow: str = "_overflow", sealed: bool = False
    ) -> None:
        if not limit >= 1:  # which NaN is not
            raise ConfigurationError("LabelGuard limit must be at least 1")
        self.limit = limit
        self.overflow = overflow
        self.sealed = sealed
        self._lock = threading.Lock()
        self._overflowed = 0
        self._seen: dict[str, str] = {value: value for value in known}
        if len(self._seen) > limit:
            raise ConfigurationError(f"{len(self._seen)} known label values are above the limit of {limit}")

    def label(self, value: str) -> str:
        """Return *value* if it has, or can still get, a label of its own, else the overflow label."""
        seen = self._seen.get(value)
        return seen if seen is not None else self._admit(value)

    def _admit(self, value: str) -> str:
        with self._lock:
            # Another thread may have let it in meanwhile.
            if value not in self._seen and not self._has_room_for(value):
                self._overflowed += 1
                return self.overflow
            self._seen[value] = value
            return value

    def _has_room_for(self, value: str) -> bool:
        return not self.sealed and value != self.overflow and len(self._seen) < self.limit and _writable(value)

    @property
    def distinct(self) -> int:
        """How many values have a label of their own."""
        return len(self._seen)

    @property
    def saturation(self) -> float:
        """How full the guard is, 0 to 100 percent."""
        return 100.0 * len(self._seen) / self.limit

    @property
    def overflowed(self) -> int:
        """How many times a value was sent to the overflow label."""
        return self._overflowed


def _writable(value: str) -> bool:
    try:
        return len(value.encode()) <= _MAX_BYTES
    except UnicodeEncodeError:
        return False
