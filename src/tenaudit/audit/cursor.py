"""Cursors as clients hold them: opaque, signed, and good for one tenant, one search and a while.

A cursor wraps a place that the store, or a follower, names. Its bytes, in base64url without padding (RFC 4648
section 5):

| bytes | what |
| --- | --- |
| 1 | version, 1 |
| 8 | expiry, Unix seconds |
| 16 | tag of the tenant |
| 16 | tag of the filters and the order |
| 0 to 256 | the place |
| 32 | HMAC-SHA256 of the purpose and all of the above |

Rules of this file: pure; time is an argument. The MAC is checked before anything else is believed, and the tags are
keyed, so that a cursor tells nobody which tenant or filters it is of.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Literal, NamedTuple

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.query import InvalidCursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit.query import AuditQuery

__all__ = ["MAX_PLACE_BYTES", "MIN_KEY_BYTES", "CursorRefused", "RefusalReason", "SignedCursors"]

MAX_PLACE_BYTES = 256
"""Longest place that a cursor wraps."""

MIN_KEY_BYTES = 16
"""Shortest secret that cursors are signed with."""

RefusalReason = Literal["altered", "other_tenant", "other_filters", "expired"]

_VERSION = b"\x01"
_TAG = 16
_MAC = 32
_HEAD = 1 + 8 + 2 * _TAG
_UNBOUND = frozenset({"tenant_id", "cursor", "limit", "include_redacted"})
_SAID: dict[RefusalReason, str] = {
    "altered": "was altered, or was not made here",
    "other_tenant": "is of another tenant",
    "other_filters": "is of other filters or another order",
    "expired": "has expired; begin again without it",
}


class CursorRefused(InvalidCursor):
    """The cursor is not good for this request.

    Attributes:
        reason: `altered`, `other_tenant`, `other_filters` or `expired`.

    Example:
        >>> CursorRefused("expired").message
        'has expired; begin again without it'
    """

    def __init__(self, reason: RefusalReason) -> None:
        self.reason = reason
        self.message = _SAID[reason]
        super().__init__(f"the cursor {self.message}")


class _Key(NamedTuple):
    """One secret as three, so that no two uses share one."""

    mac: bytes
    tenant: bytes
    filters: bytes


class SignedCursors:
    """Writes and reads the cursors of one purpose.

    Args:
        keys: secrets of at least 16 bytes; the first signs, all of them verify, so that a key is changed without
            breaking the cursors that are out. Random bytes stand in for none, and then only this object reads what
            it writes.
        purpose: what the places are of; cursors of one purpose are `altered` to another.

    Raises:
        ConfigurationError: a key is too short, or no bytes.

    Example:
        >>> from uuid import UUID
        >>> from tenaudit.audit import AuditQuery
        >>> cursors, query = SignedCursors([b"k" * 32]), AuditQuery(UUID(int=1))
        >>> cursors.read(query, cursors.write(query, b"here", expires=60), now=59.9)
        b'here'
    """

    def __init__(self, keys: Sequence[bytes] = (), *, purpose: str = "page") -> None:
        for key in keys:
            given: object = key
            if not isinstance(given, bytes) or len(key) < MIN_KEY_BYTES:
                raise ConfigurationError(f"cursor_keys: each key is bytes, and at least {MIN_KEY_BYTES} of them")
        self._keys = [
            _Key(*(hmac.digest(key, f"tenaudit {purpose} {use}".encode(), "sha256") for use in _Key._fields))
            for key in keys or (os.urandom(32),)
        ]

    def write(self, query: AuditQuery, place: bytes, *, expires: int) -> str:
        """Return the cursor of a place.

        Args:
            query: what the place is of; its limit, its own cursor and `include_redacted` do not count.
            place: at most `MAX_PLACE_BYTES` bytes.
            expires: when it stops being good, in Unix seconds.

        Raises:
            ValueError: the place is too long.
        """
        if len(place) > MAX_PLACE_BYTES:
            raise ValueError(f"a place has at most {MAX_PLACE_BYTES} bytes")
        key = self._keys[0]
        body = b"".join((_VERSION, expires.to_bytes(8, "big"), *_tags(key, query), place))
        return _spelled(body + hmac.digest(key.mac, body, "sha256"))

    def read(self, query: AuditQuery, cursor: str, *, now: float) -> bytes:
        """Return the place that a cursor names.

        Args:
            query: what is asked for now.
            cursor: as the client sent it.
            now: Unix seconds.

        Raises:
            CursorRefused: it is not good for *query* now; the reason says why.
        """
        raw = _bytes_of(cursor)
        body, mac = raw[:-_MAC], raw[-_MAC:]
        # No early end: how long it takes does not tell which key signed.
        signers = [key for key in self._keys if hmac.compare_digest(mac, hmac.digest(key.mac, body, "sha256"))]
        if not signers:
            raise CursorRefused("altered")
        expires = int.from_bytes(body[1:9], "big")
        tenant, filters = _tags(signers[0], query)
        if not hmac.compare_digest(body[9 : 9 + _TAG], tenant):
            raise CursorRefused("other_tenant")
        if not hmac.compare_digest(body[9 + _TAG : _HEAD], filters):
            raise CursorRefused("other_filters")
        if now >= expires:
            raise CursorRefused("expired")
        return body[_HEAD:]


def _spelled(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes_of(cursor: str) -> bytes:
    """Decode the one spelling of a cursor: canonical, unpadded, of a possible length and of this version."""
    if len(cursor) > (_HEAD + MAX_PLACE_BYTES + _MAC) * 4 // 3 + 1 or not cursor.isascii():
        raise CursorRefused("altered")
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CursorRefused("altered") from None
    # Unused low bits of the last digit must be zero, and nothing may be left out or added.
    if len(raw) < _HEAD + _MAC or raw[:1] != _VERSION or _spelled(raw) != cursor:
        raise CursorRefused("altered")
    return raw


def _tags(key: _Key, query: AuditQuery) -> tuple[bytes, bytes]:
    bound = {field.name: getattr(query, field.name) for field in fields(query) if field.name not in _UNBOUND}
    # None stays null: a filter that is absent is not one for the text "None".
    text = json.dumps(bound, sort_keys=True, default=str).encode()
    return (
        hmac.digest(key.tenant, query.tenant_id.bytes, "sha256")[:_TAG],
        hmac.digest(key.filters, text, "sha256")[:_TAG],
    )
