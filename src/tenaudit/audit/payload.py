"""The snapshot of a payload at the call of `emit`, with its limits.

Rules of this file: pure; it runs on the request path, so the copy is one call into a compiled serializer and
the checks look at its bytes. A payload is walked in Python only when it is flat, or its bytes leave a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

from tenaudit._kernel.error import TenauditError

__all__ = ["MAX_DEPTH", "MAX_EVENT_BYTES", "MAX_SAFE_INTEGER", "PayloadRefused", "check_text", "json_copy", "snapshot"]

MAX_EVENT_BYTES = 64 * 1024
MAX_DEPTH = 32
# RFC 8785 numbers are IEEE doubles (section 3.2.2.3): beyond this a reader may see another integer.
MAX_SAFE_INTEGER = 2**53 - 1
# Quotes, colon, comma, and the longest number: a sign and sixteen digits.
_PER_FIELD = 21
# JSON text is at most six times as long as its characters: a control character becomes \\u00XX.
_SURELY_SMALL = MAX_EVENT_BYTES // 6
_CONTAINERS = frozenset({dict, list, tuple})
# Any run of sixteen digits, found by a translation and a search: a third of what a regular expression costs.
_SAME_DIGIT = bytes.maketrans(b"123456789", b"000000000")
_LONG_DIGITS = b"0" * 16


class PayloadRefused(TenauditError, ValueError):  # noqa: N818 - a refusal that is reported, not a fault
    """The event breaks a limit.

    Attributes:
        reason: stable code, the `reason` of an `EmitResult`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def snapshot(payload: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Copy *payload* into plain JSON values that share nothing with it, and measure it in bytes.

    UUIDs, dates, decimals, enums, sets and pydantic models become what pydantic makes of them in JSON mode.

    Raises:
        PayloadRefused: `payload_too_deep`, `payload_not_json`, `invalid_text`, `integer_out_of_range` or
            `event_too_large`.

    Example:
        >>> snapshot({"amount": 1999, "currency": "EUR"})
        ({'amount': 1999, 'currency': 'EUR'}, 59)
    """
    return _flat(payload) or _nested(payload, MAX_EVENT_BYTES)


def json_copy(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Copy *payload* as `snapshot` does, whatever its size: for events that come from elsewhere.

    Raises:
        PayloadRefused: as `snapshot`, without `event_too_large`.
    """
    return (_flat(payload) or _nested(payload, None))[0]


def _flat(payload: Mapping[str, Any]) -> tuple[dict[str, Any], int] | None:  # noqa: PLR0911 - one return a doubt
    """Copy a flat dictionary of plain ASCII text, small integers and flags; None for everything else.

    Most payloads are like this, and one pass in place costs a third of a serializer and its checks.
    """
    if type(payload) is not dict:
        return None
    # Copied before it is looked at: what another thread puts in meanwhile is not taken unseen.
    copied = payload.copy()
    try:
        keys = "".join(copied)
    except TypeError:
        return None
    if not keys.isascii() or "\x00" in keys:
        return None
    size = len(keys)
    for item in copied.values():
        kind = type(item)
        if kind is str:
            if not item.isascii() or "\x00" in item:
                return None
            size += len(item)
        elif kind is int:
            if not -MAX_SAFE_INTEGER <= item <= MAX_SAFE_INTEGER:
                return None
        elif kind is not bool and item is not None:
            return None
    size += _PER_FIELD * len(copied)
    return (copied, size) if size <= _SURELY_SMALL else None


def _nested(payload: Mapping[str, Any], max_bytes: int | None) -> tuple[dict[str, Any], int]:
    if not isinstance(payload, Mapping):
        raise PayloadRefused("payload_not_json", "a payload is a mapping")
    try:
        data, copied = _through_json(payload)
    except Exception as error:  # noqa: BLE001 - a mapping may be any object, and its methods raise what they like
        raise _unserializable(error) from None
    if max_bytes is not None and len(data) > max_bytes:
        raise PayloadRefused("event_too_large", f"the payload is over {max_bytes} bytes")
    if b"\\u0000" in data or _doubtful(data):
        _check(copied, 1)
    return copied, len(data)


def _through_json(payload: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    plain = payload if isinstance(payload, dict) else dict(payload)
    data = to_json(plain, inf_nan_mode="constants")
    _require_text_keys(plain)
    return data, from_json(data)


def _require_text_keys(payload: dict[Any, Any]) -> None:
    """Raise TypeError for a key that is no text: two such keys can become one in JSON, and a value would be lost."""
    found: list[Any] = [payload]
    for value in found:  # it grows while it is walked
        items = value
        if type(value) is not list and isinstance(value, dict):
            "".join(value)
            items = value.values()
        for item in items:
            if type(item) in _CONTAINERS:
                found.append(item)  # noqa: PERF401 - a list is being walked, and a comprehension costs a call


def _doubtful(data: bytes) -> bool:
    """Tell whether the bytes could hide a broken limit; a false alarm costs one walk."""
    return (
        data.count(b"{") + data.count(b"[") > MAX_DEPTH
        or b"NaN" in data
        or b"Infinity" in data
        or _LONG_DIGITS in data.translate(_SAME_DIGIT)
    )


def _unserializable(error: Exception) -> PayloadRefused:
    text = str(error)
    if "surrogate" in text:
        return PayloadRefused("invalid_text", "lone surrogates are not allowed")
    if "depth exceeded" in text or "recursion" in text.lower() or "Circular" in text:
        return PayloadRefused("payload_too_deep", f"the payload is nested over {MAX_DEPTH} levels")
    if "number out of range" in text:
        return PayloadRefused("integer_out_of_range", "integers must stay within 2**53 - 1")
    return PayloadRefused("payload_not_json", "the payload holds a value that is not JSON")


def _check(value: Any, depth: int) -> None:
    """Walk plain JSON values and refuse the first that breaks a limit."""
    kind = type(value)
    if kind is str:
        check_text(value)
    elif kind is dict or kind is list:
        if depth > MAX_DEPTH:
            raise PayloadRefused("payload_too_deep", f"the payload is nested over {MAX_DEPTH} levels")
        for key in value if kind is dict else ():
            check_text(key)
        for item in value.values() if kind is dict else value:
            _check(item, depth + 1)
    elif kind is int and not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        raise PayloadRefused("integer_out_of_range", "integers must stay within 2**53 - 1")
    elif kind is float and not -float("inf") < value < float("inf"):
        raise PayloadRefused("payload_not_json", "NaN and Infinity are not JSON")


def check_text(text: str) -> int:
    """Return the UTF-8 length of *text*.

    Raises:
        PayloadRefused: `invalid_text` for U+0000, which PostgreSQL cannot store, and for lone surrogates.
    """
    if "\x00" in text:
        raise PayloadRefused("invalid_text", "U+0000 is not allowed")
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise PayloadRefused("invalid_text", "lone surrogates are not allowed") from None
