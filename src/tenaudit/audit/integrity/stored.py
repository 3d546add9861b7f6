"""What every store does with the texts of an event: refuse U+0000, read JSON back, tell duplicates from conflicts.

Pure: bytes and values in, bytes and values out.
"""

from __future__ import annotations

import hmac
import json
import re
from functools import lru_cache
from typing import Any

from tenaudit.audit.integrity.canonical import MAX_SAFE_INTEGER

__all__ = ["content_hash", "holds_nul", "parsed_json"]

_LONG_DIGITS = re.compile(r"\d{16}")


def content_hash(key: bytes, leaf: bytes) -> bytes:
    """Return the keyed hash that tells a duplicate from a conflict, and that only the store can make."""
    keyed = _keyed(key).copy()
    keyed.update(leaf)
    return keyed.digest()


@lru_cache(16)
def _keyed(key: bytes) -> hmac.HMAC:
    # A copy costs half of what mixing in the key does, and a store has one key for all its rows.
    return hmac.new(key, digestmod="sha256")


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
