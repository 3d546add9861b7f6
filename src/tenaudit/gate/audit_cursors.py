"""The cursors of the audit API: the store's own and the follower's positions, signed before a client gets them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.cursor import CursorRefused, SignedCursors
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit import AuditQuery

__all__ = ["AuditCursors"]

_log = logging.getLogger("tenaudit.gate")
_LONGEST = 10.0**9
_POSITION = 8


class AuditCursors:
    """Signs what clients send back, and takes nothing else.

    Args:
        keys: the secrets; see `tenaudit.audit.cursor.SignedCursors`.
        lifetime: seconds that a cursor is good for, at most 10^9.
        clock: tells the time.

    Raises:
        ConfigurationError: a key is too short, or the lifetime is out of range.

    Example:
        >>> from uuid import UUID
        >>> from tenaudit.audit import AuditQuery
        >>> cursors, query = AuditCursors([b"k" * 32]), AuditQuery(UUID(int=1))
        >>> cursors.position_of(query, cursors.position(query, 7), "Last-Event-ID")
        7
    """

    def __init__(self, keys: Sequence[bytes] = (), *, lifetime: float = 86_400.0, clock: Clock | None = None) -> None:
        if not 1 <= lifetime <= _LONGEST:
            raise ConfigurationError(f"cursor_lifetime must be 1 to 10^9 seconds, not {lifetime!r}")
        self._pages = SignedCursors(keys, purpose="page")
        self._positions = SignedCursors(keys, purpose="tail")
        self._lifetime = lifetime
        self._clock = clock or SystemClock()
        if not keys:
            _log.warning(
                "cursors are signed with a random key of this process: several workers, and cursors that outlive a "
                "restart, need a shared one; set cursor_keys",
                extra={"action": "cursor_key_random"},
            )

    def page(self, query: AuditQuery, cursor: str | None) -> str | None:
        """Return a store's cursor as a client gets it; None stays None."""
        return None if cursor is None else self._pages.write(query, cursor.encode(), expires=self._expiry())

    def opened(self, query: AuditQuery) -> AuditQuery:
        """Return *query* with the store's cursor in the place of the client's.

        Raises:
            ApiError: 400 `invalid_cursor`; the reason stands in `errors`.
        """
        if query.cursor is None:
            return query
        return query.at(self._read(self._pages, query, query.cursor, "cursor").decode())

    def position(self, query: AuditQuery, position: int) -> str:
        """Return a follower's position as a client gets it."""
        return self._positions.write(query, position.to_bytes(_POSITION, "big"), expires=self._expiry())

    def position_of(self, query: AuditQuery, cursor: str, field: str) -> int:
        """Return the position that a client sent; *field* is what errors call it.

        Raises:
            ApiError: 400 `invalid_cursor`; the reason stands in `errors`.
        """
        return int.from_bytes(self._read(self._positions, query, cursor, field), "big")

    def _read(self, cursors: SignedCursors, query: AuditQuery, cursor: str, field: str) -> bytes:
        try:
            return cursors.read(query, cursor, now=self._clock.time_ns() / 1e9)
        except CursorRefused as refusal:
            raise ApiError.bad_request(
                "The cursor is not good for this request.",
                code="invalid_cursor",
                errors=[{"field": field, "reason": refusal.reason, "message": refusal.message}],
            ) from None

    def _expiry(self) -> int:
        return int(self._clock.time_ns() / 1e9 + self._lifetime)
