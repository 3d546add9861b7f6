"""What every store does with an event: refuse what no row gives back, read JSON back, tell duplicates from conflicts.

Pure: bytes and values in, bytes and values out.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit.audit.integrity.canonical import MAX_SAFE_INTEGER, CanonicalError

if TYPE_CHECKING:
    from tenaudit.audit.event import AuditEvent

__all__ = ["content_hash", "holds_nul", "parsed_json", "storable_record"]

_required = itemgetter("actor_type", "action", "outcome", "severity", "service", "schema_version")
_texts = itemgetter(
    *("actor_id", "actor_type", "action", "resource_type", "resource_id", "outcome", "severity", "service"),
    *("trace_id", "producer_id"),
)
_integers = itemgetter("schema_version", "seq")
_TEXT = {str, type(None)}
_INTEGER = {int, type(None)}
_BLOCK = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_LONG_DIGITS = re.compile(r"\d{16}")


def storable_record(event: AuditEvent) -> dict[str, Any]:
    """Return the wire form when every column has its own type, so that no row is another event than was meant.

    Raises:
        CanonicalError: nobody has validated the event, and a field is missing or cannot be what it is.
    """
    record = _wire_form(event)
    if record is None or None in _required(record) or not {*map(type, _integers(record))} <= _INTEGER:
        raise CanonicalError("a field of the event is missing, or has a type that it cannot have")
    texts = _texts(record)
    if not ({*map(type, texts)} <= _TEXT or all(isinstance(text, str | None) for text in texts)):
        raise CanonicalError("a field of the event has a type that it cannot have")
    return record


def _wire_form(event: Any) -> dict[str, Any] | None:
    try:
        typed = (
            isinstance(event.event_id, UUID)
            and isinstance(event.tenant_id, UUID)
            and isinstance(event.occurred_at, datetime)
            and event.occurred_at.utcoffset() is not None
            and isinstance(event.payload, dict)
        )
        return event.record() if typed else None
    # A field that is not there, tags that are no list, a time that UTC cannot tell; and a zone raises what it likes.
    except Exception:  # noqa: BLE001 - see above
        return None


def content_hash(key: bytes, leaf: bytes) -> bytes:
    """Return the keyed hash that tells a duplicate from a conflict, and that only the store can make.

    HMAC with SHA-256 (RFC 2104, section 4): a store has one key for all its rows, so the two blocks of the key are
    hashed once. That takes a third of the time of the module `hmac`, of which every row pays.
    """
    keyed = _keyed(key)
    inner, outer = keyed[0].copy(), keyed[1].copy()
    inner.update(leaf)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(16)
def _keyed(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


def holds_nul(value: Any) -> bool:
    r"""Tell whether JSON values hold a real U+0000, which not every store takes; the text of an escape is none.

    Example:
        >>> holds_nul({"a": ["\x00"]}), holds_nul("\\u0000")
        (True, False)
    """
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or holds_nul(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(map(holds_nul, value))


def parsed_json(text: str) -> Any:
    """Read canonical JSON back: an integer beyond 2**53 - 1 there is a double whose canonical form has no fraction.

    Raises:
        ValueError: it is no JSON.
    """
    return json.loads(text, parse_int=_number) if _LONG_DIGITS.search(text) else json.loads(text)


def _number(text: str) -> float:
    value = int(text)
    return value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else float(text)
