"""The bounded queue between a request and the sink: by count, by bytes, safe in threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from tenaudit.audit.draft import Draft

__all__ = ["DraftBuffer"]

# What one queued event costs besides its payload: the tuple, its integers and the queue's own slot.
_OVERHEAD = 512


class DraftBuffer:
    """Holds at most *capacity* drafts of at most *max_bytes* together.

    Example:
        >>> DraftBuffer(10, 1024).depth
        0
    """

    __slots__ = ("__weakref__", "_bytes", "_drafts", "_lock", "_open", "_room", "capacity", "high_water", "max_bytes")

    def __init__(self, capacity: int, max_bytes: int) -> None:
        if capacity < 1 or max_bytes < 1:
            raise ConfigurationError("capacity and max_bytes must be at least 1")
        self.capacity = capacity
        self.max_bytes = max_bytes
        self.reset()

    def reset(self) -> None:
        """Empty the buffer and make a new lock; a forked child must not inherit one that is held."""
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._drafts: deque[Draft] = deque()
        self._bytes = 0
        self._open = True
        self.high_water = 0

    @property
    def depth(self) -> int:
        """How many drafts wait."""
        return len(self._drafts)

    @property
    def bytes(self) -> int:
        """How many bytes the waiting drafts are counted as."""
        return self._bytes

    def offer(self, draft: Draft) -> bool:
        """Add a draft, or return False when there is no room."""
        size = draft.size + _OVERHEAD
        # The bare lock, not the condition around it: entering that costs a call.
        with self._lock:
            drafts = self._drafts
            if not self._open or len(drafts) >= self.capacity or self._bytes + size > self.max_bytes:
                return False
            drafts.append(draft)
            self._bytes += size
            self.high_water = max(self.high_water, len(drafts))
            return True

    def offer_within(self, draft: Draft, seconds: float) -> bool:
        """Wait up to *seconds* for room, in a thread that may wait."""
        size = draft.size + _OVERHEAD
        if size > self.max_bytes:
            return False
        until = time.monotonic() + seconds
        while not self.offer(draft):
            # Looked at under the lock, so that room which came after the offer failed is not slept through.
            with self._room:
                self._room.wait_for(lambda: not self._open or self._has_room(size), until - time.monotonic())
                if not self._open or not self._has_room(size):
                    return False
            if time.monotonic() >= until:
                return self.offer(draft)
        return True

    def _has_room(self, size: int) -> bool:
        return len(self._drafts) < self.capacity and self._bytes + size <= self.max_bytes

    def close(self) -> None:
        """Take nothing more; what is in stays until it is taken."""
        with self._room:
            self._open = False
            self._room.notify_all()

    def take(self, count: int) -> list[Draft]:
        """Remove and return the oldest drafts, at most *count*."""
        with self._room:
            drafts = self._drafts
            taken = [drafts.popleft() for _ in range(min(count, len(drafts)))]
            self._bytes -= sum(draft.size + _OVERHEAD for draft in taken)
            self._room.notify_all()
        return taken

    def take_all(self) -> list[Draft]:
        """Remove and return every draft."""
        return self.take(len(self._drafts))
