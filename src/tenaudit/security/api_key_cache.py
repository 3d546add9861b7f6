"""Records that were found good a moment ago: fewer questions to the store, for a later end of a revoked key."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from tenaudit.security.api_key_record import ApiKeyRecord

__all__ = ["RecordCache"]

_MAX_SECONDS = 300.0


class RecordCache:
    """Remembers at most *size* records for *seconds* each; of more, the oldest is forgotten.

    Args:
        seconds: 0 to 300; 0 remembers nothing.
        size: how many records, at least 1.

    Raises:
        ConfigurationError: an argument is out of range.

    Example:
        >>> RecordCache(0, 8).find("ta_0123456789ab", now=0.0) is None
        True
    """

    def __init__(self, seconds: float, size: int) -> None:
        if not 0 <= seconds <= _MAX_SECONDS:
            raise ConfigurationError(f"cache_seconds must be 0 to {_MAX_SECONDS:.0f}, not {seconds}")
        if not size >= 1:  # which NaN is not: nothing would ever be too many
            raise ConfigurationError(f"cache_size must be at least 1, not {size}")
        self._seconds = seconds
        self._size = size
        # An authenticator may be asked on several threads; what is found without the lock is one whole entry.
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, ApiKeyRecord]] = OrderedDict()

    def find(self, prefix: str, now: float) -> ApiKeyRecord | None:
        """Return the record of a prefix when it is fresh at *now*, in monotonic seconds."""
        until, record = self._kept.get(prefix, (-math.inf, None))
        return record if now < until else None

    def keep(self, record: ApiKeyRecord, asked_at: float) -> None:
        """Remember a record from the moment at which the store was asked, since it may have changed right after."""
        if not self._seconds:
            return
        with self._lock:
            self._kept[record.prefix] = (asked_at + self._seconds, record)
            self._kept.move_to_end(record.prefix)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def drop(self, prefix: str) -> None:
        """Forget a record."""
        with self._lock:
            self._kept.pop(prefix, None)
