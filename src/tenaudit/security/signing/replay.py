"""Which signatures were used already, for verifiers that take each one once."""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["UsedNonces"]


class UsedNonces:
    """Remembers nonces until the signatures they belong to have expired; bounded, thread-safe.

    When it is full, nothing new is taken: a verifier that forgot a live nonce would let a copy through.

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
        self._until: dict[str, float] = {}
        self._order: deque[tuple[float, str]] = deque()

    def take(self, nonce: str, until: float, now: float) -> str:
        """Return `fresh` and remember *nonce* until a time in Unix seconds; else `replayed` or `replay_memory_full`."""
        with self._lock:
            self._forget(now)
            if nonce in self._until:
                return "replayed"
            if len(self._until) >= self._limit:
                return "replay_memory_full"
            self._until[nonce] = until
            self._order.append((until, nonce))
            return "fresh"

    def _forget(self, now: float) -> None:
        # In order of arrival, which is nearly that of expiry: one that ends early waits for those before it.
        while self._order and self._order[0][0] <= now:
            del self._until[self._order.popleft()[1]]
