"""UUIDv7 (RFC 9562, section 5.7): ids whose order is the order of time.

Rules of this file: an id is an `int` of 128 bits until someone needs the `UUID`, because building the
object costs more than the id; randomness is an argument, so the layout functions are pure.
"""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Uuid7Source", "unix_ms_of", "uuid7_from_source", "uuid7_int"]

_MAX_MS = (1 << 48) - 1
_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_LOW_62 = (1 << 62) - 1


def uuid7_int(unix_ms: int, tail: int) -> int:
    """Lay out a UUIDv7: 48 bits of milliseconds, version, 12 bits, variant, 62 bits.

    Args:
        unix_ms: milliseconds since the Unix epoch, 0 to 2**48 - 1.
        tail: the other 74 bits, most significant first.

    Raises:
        ValueError: the time does not fit 48 bits.
    """
    if not 0 <= unix_ms <= _MAX_MS:
        raise ValueError("unix_ms must fit 48 bits")
    return (unix_ms << 80) | (((tail >> 62) & 0xFFF) << 64) | (tail & _LOW_62) | _VERSION_AND_VARIANT


def uuid7_from_source(unix_ms: int, source_id: str) -> UUID:
    """Derive the UUIDv7 of an imported record: the same source gives the same id, every time.

    The tail is the first 74 bits of SHA-256 over the UTF-8 source id, so two imports of one record meet
    in one row.
    """
    digest = hashlib.sha256(source_id.encode("utf-8", "surrogatepass")).digest()
    return UUID(int=uuid7_int(unix_ms, int.from_bytes(digest[:10], "big") >> 6))


def unix_ms_of(event_id: UUID) -> int:
    """Return the millisecond that a UUIDv7 carries in its first 48 bits."""
    return event_id.int >> 80


class Uuid7Source:
    """Makes strictly increasing UUIDv7 integers, safe in threads and after fork.

    Within one millisecond the tail counts up from a random start (RFC 9562, section 6.2, method 2),
    so ids of one process never collide and sort in the order they were made. A clock that steps back keeps
    the last millisecond instead of breaking the order.

    Args:
        random_bytes: source of randomness, `os.urandom` unless a test passes its own.

    Example:
        >>> source = Uuid7Source()
        >>> source.next(1_700_000_000_000) < source.next(1_700_000_000_000)
        True
    """

    __slots__ = ("__weakref__", "_last", "_last_ms", "_lock", "_random_bytes")

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._random_bytes = random_bytes
        self.reset()

    def reset(self) -> None:
        """Forget the last id; a forked child calls this so that it shares no sequence with its parent."""
        self._lock = threading.Lock()
        # From here every time below 0 ends in `uuid7_int`, which refuses it: -1 directly, and lower ones since
        # one more than the last id is 0, a carry into the millisecond after -2.
        self._last_ms = -2
        self._last = -1

    def next(self, unix_ms: int) -> int:
        """Return the next id for a wall time in milliseconds."""
        with self._lock:
            return self.advance(unix_ms)

    def advance(self, unix_ms: int) -> int:
        """Return the next id, for a caller that already holds a lock of its own.

        Raises:
            ValueError: the time does not fit 48 bits; the sequence is as it was before the call.
        """
        if unix_ms <= self._last_ms:
            following = self._last + 1
            # Within the low 62 bits one more is simply one more; a carry would run into the variant bits,
            # so the next millisecond is borrowed instead (RFC 9562 section 6.2, counter rollover).
            if following & _LOW_62:
                self._last = following
                return following
            unix_ms = self._last_ms + 1
        first = uuid7_int(unix_ms, int.from_bytes(self._random_bytes(10), "big") >> 6)
        self._last_ms = unix_ms
        self._last = first
        return first
