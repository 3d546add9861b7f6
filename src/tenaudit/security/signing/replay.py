"""Which signatures were used already, for verifiers that take each one once."""

from __future__ import annotations

import threading
from heapq import heappop, heappush

__all__ = ["UsedNonces"]


class UsedNonces:
    """Remembers nonces until the signatures they belong to have expired; bounded, thread-safe.

    When it is full, nothing new is taken: a verifier that forgot a live nonce would let a copy through. After the
    wall clock went back, what may have been forgotten already counts as used.

    Args:
        limit: nonces that are remembered at once.

    Example:
        >>> used = UsedNonces(2)
        >>> used.take("a", until=10.0, now=0.0), used.take("a", until=10.0, now=1.0), used.take("a", 30.0, now=20.0)
        ('fresh', 'replayed', 'fresh')
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._live: set[str] = set()
        self._ends: list[tuple[float, str]] = []
        self._forgotten = float("-inf")

    def take(self, nonce: str, until: float, now: float) -> str:
        """Return `fresh` and remember *nonce* until a time in Unix seconds; else `replayed` or `replay_memory_full`."""
        with self._lock:
            self._forget(now)
            if nonce in self._live or until <= self._forgotten:
                return "replayed"
            if len(self._live) >= self._limit:
                return "replay_memory_full"
            self._live.add(nonce)
            heappush(self._ends, (until, nonce))
            return "fresh"

    def _forget(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            self._forgotten, nonce = heappop(self._ends)
            self._live.remove(nonce)
