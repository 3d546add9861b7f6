"""A search of one tenant's events, and the cursors that page through it.

Rules of this file: plain values, no I/O; a cursor that was not made here, for this tenant and these filters,
is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from uuid import UUID

from tenaudit._kernel.error import TenauditError
from tenaudit.audit.event import SEVERITIES

__all__ = ["MAX_LIMIT", "AuditQuery", "CursorCodec", "CursorPoint", "InvalidCursor", "InvalidQuery"]

MAX_LIMIT = 500
_MAC_BYTES = 16
_MAX_CURSOR = 128
_MAX_TEXT = 1024
_UNBOUND = frozenset({"cursor", "limit", "include_redacted"})


class InvalidQuery(TenauditError, ValueError):  # noqa: N818 - a refusal of input, named as its code is
    """A filter has a value that it cannot have.

    Attributes:
        field: the parameter's name.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class InvalidCursor(TenauditError, ValueError):  # noqa: N818 - a refusal of input, named as its code is
    """The cursor was altered, or belongs to another query."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to look for; every filter that is None matches everything of the tenant.

    Args:
        tenant_id: whose events; there is no query without a tenant.
        action: an exact name, or a prefix as `payment.*`.
        min_severity: this severity or a graver one.
        from_: earliest `occurred_at`, inclusive.
        to: latest `occurred_at`, exclusive.
        q: text that the payload must contain, without regard to ASCII case.
        limit: events on a page, 1 to 500.
        cursor: where to go on; from a page of the same query.
        order: newest first or oldest first.

    Raises:
        InvalidQuery: a value out of range; it names the field.

    Example:
        >>> AuditQuery(UUID(int=1), action="payment.*", limit=10).action_prefix
        'payment.'
    """

    tenant_id: UUID
    actor: str | None = None
    action: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    severity: str | None = None
    min_severity: str | None = None
    outcome: str | None = None
    trace_id: str | None = None
    service: str | None = None
    from_: datetime | None = None
    to: datetime | None = None
    q: str | None = None
    limit: int = 50
    cursor: str | None = None
    order: Literal["desc", "asc"] = "desc"
    include_redacted: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidQuery("limit", f"must be 1 to {MAX_LIMIT}")
        if self.order not in ("desc", "asc"):
            raise InvalidQuery("order", "must be desc or asc")
        for name in ("severity", "min_severity"):
            if getattr(self, name) not in (None, *SEVERITIES):
                raise InvalidQuery(name, f"must be one of {', '.join(SEVERITIES)}")
        if self.outcome not in (None, "success", "denied", "failure"):
            raise InvalidQuery("outcome", "must be success, denied or failure")
        for name in ("from_", "to"):
            _check_moment(name.rstrip("_"), getattr(self, name))
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str) and field.name != "cursor":
                _check_text(field.name, value)

    @property
    def action_prefix(self) -> str | None:
        """The prefix of `payment.*`, None when the action is exact or absent."""
        return self.action[:-1] if self.action is not None and self.action.endswith(".*") else None

    @property
    def fingerprint(self) -> bytes:
        """A hash of tenant, filters and order, that cursors are bound to."""
        bound = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _UNBOUND}
        # None stays null: a filter that is absent is not one for the text "None".
        return hashlib.sha256(json.dumps(bound, sort_keys=True, default=str).encode()).digest()

    def at(self, cursor: str | None) -> AuditQuery:
        """Return the same query at another place."""
        return replace(self, cursor=cursor)


def _check_moment(field: str, moment: datetime | None) -> None:
    if moment is None:
        return
    if moment.utcoffset() is None:
        raise InvalidQuery(field, "must carry a time zone")
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise InvalidQuery(field, "must be a time that UTC can tell, in the years 1 to 9999") from None


def _check_text(field: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidQuery(field, "must be text without lone surrogates") from None
    if len(value) > _MAX_TEXT or "\x00" in value:
        raise InvalidQuery(field, f"must be at most {_MAX_TEXT} characters without U+0000")


class CursorPoint(NamedTuple):
    """A place between events: walk on after *event_id*, or back before it."""

    event_id: UUID
    backward: bool


class CursorCodec:
    """Writes and reads cursors: opaque, signed, bound to tenant, filters and order.

    Args:
        key: secret of the MAC, at least 16 bytes.

    Example:
        >>> codec, query = CursorCodec(b"k" * 32), AuditQuery(UUID(int=1))
        >>> point = CursorPoint(UUID(int=7), backward=False)
        >>> codec.read(query.at(codec.write(query, point))) == point
        True
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _MAC_BYTES:
            raise ValueError("a cursor key has at least 16 bytes")
        self._key = key

    def write(self, query: AuditQuery, point: CursorPoint) -> str:
        """Return the cursor of a place in a query."""
        body = bytes([point.backward]) + point.event_id.bytes
        return base64.urlsafe_b64encode(body + self._mac(query, body)).decode().rstrip("=")

    def read(self, query: AuditQuery) -> CursorPoint | None:
        """Return the place that the query's cursor names, None without one.

        Raises:
            InvalidCursor: it was altered or belongs to another query.
        """
        if query.cursor is None:
            return None
        if len(query.cursor) > _MAX_CURSOR or not query.cursor.isascii():
            raise InvalidCursor
        try:
            raw = base64.b64decode(query.cursor + "=" * (-len(query.cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise InvalidCursor from None
        body, mac = raw[:17], raw[17:]
        if len(raw) != 17 + _MAC_BYTES or not hmac.compare_digest(mac, self._mac(query, body)) or body[0] > 1:
            raise InvalidCursor
        # Unused low bits of the last base64 digit must be zero too, or one cursor would have several spellings.
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") != query.cursor:
            raise InvalidCursor
        return CursorPoint(UUID(bytes=body[1:]), backward=body[0] == 1)

    def _mac(self, query: AuditQuery, body: bytes) -> bytes:
        return hmac.digest(self._key, query.fingerprint + body, "sha256")[:_MAC_BYTES]
