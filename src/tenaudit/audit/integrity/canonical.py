"""Canonical JSON (RFC 8785, JCS): one value, one byte string, on every machine.

Rules of this file: pure, stdlib only. The embedded store seals with no extra installed and the sequencer
hashes tens of thousands of events a second, hence own code instead of a package: values that the C encoder
of `json` already writes canonically go through it, all others take an exact walk, and the tests hold both
equal to the `rfc8785` package.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    # The way to a value: (the way to its parent, its key or index there); None is the root.
    Trail: TypeAlias = tuple["Trail", str | int] | None

__all__ = ["MAX_DEPTH", "MAX_SAFE_INTEGER", "CanonicalError", "canonical_json"]

MAX_DEPTH = 64
"""Nested objects and arrays a value may have; a scalar has none."""

MAX_SAFE_INTEGER = 2**53 - 1
"""Largest magnitude of an integer that is the same number to every reader (RFC 8785, section 3.2.2.3)."""

_ES6_FIXED_POINT = 21
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_CONTAINERS = frozenset({dict, list, tuple})
_KEYS = frozenset({str})
_LEAVES = frozenset({str, bool, type(None)})
_NUMBERS = frozenset({int, float})
_encode_plain = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode
_encode_string = json.JSONEncoder(ensure_ascii=False).encode


class CanonicalError(TenauditError, ValueError):
    """The value has no canonical JSON form (RFC 8785)."""

    code = "not_canonical"


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 form of a JSON value, in UTF-8.

    >>> canonical_json({"b": 1.0, "a": [True, None, "é"]}).decode()
    '{"a":[true,null,"é"],"b":1}'

    Args:
        value: dict, list, tuple, str, int, float, bool or None, nested at most `MAX_DEPTH` deep.

    Raises:
        CanonicalError: NaN or infinity, an integer beyond `MAX_SAFE_INTEGER`, a lone surrogate, a key that is
            no string, another type, or too deep; the message names the place.
    """
    if _is_plain(value, MAX_DEPTH):
        text = _encode_plain(value)
        # UTF-16 order (RFC 8785, section 3.2.3) and code point order part ways above U+FFFF only.
        if text.isascii():
            return text.encode("ascii")
        if _ASTRAL.search(text) is None:
            try:
                return text.encode("utf-8")
            except UnicodeEncodeError:
                pass  # the exact walk names the place of the lone surrogate
    pieces: list[str] = []
    _write(value, pieces.append, MAX_DEPTH, None)
    return "".join(pieces).encode("utf-8")


def _is_plain(value: Any, room: int) -> bool:
    """Tell whether the C encoder writes this value canonically, apart from what its text shows."""
    kind = type(value)
    if kind not in _CONTAINERS:
        return kind in _LEAVES or (kind in _NUMBERS and _is_plain_number(value))
    if room == 0:
        return False
    items = value
    if kind is dict:
        if not _KEYS.issuperset(map(type, value)):
            return False
        items = value.values()
    for item in items:  # a generator costs a third more, and every event passes here
        kind = type(item)
        if kind is int:
            if not -MAX_SAFE_INTEGER <= item <= MAX_SAFE_INTEGER:
                return False
        elif kind not in _LEAVES and not _is_plain(item, room - 1):
            return False
    return True


def _is_plain_number(value: float) -> bool:
    if type(value) is int:
        return -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER
    # Within these bounds repr writes no exponent, and without a fraction it would append ".0".
    return 1e-4 <= abs(value) < 1e16 and value % 1 != 0


def _write(value: Any, put: Callable[[str], None], room: int, trail: Trail) -> None:
    if value is None:
        put("null")
    elif isinstance(value, bool):
        put("true" if value else "false")
    elif isinstance(value, str):
        put(_string(value, trail))
    elif isinstance(value, int):
        put(_integer(value, trail))
    elif isinstance(value, float):
        put(_number(value, trail))
    elif not isinstance(value, (dict, list, tuple)):
        raise _refusal(trail, f"{type(value).__name__} is not a JSON type")
    elif room == 0:
        raise _refusal(trail, f"nested more than {MAX_DEPTH} levels deep")
    elif isinstance(value, dict):
        _write_object(value, put, room - 1, trail)
    else:
        _write_array(value, put, room - 1, trail)


def _write_object(value: Mapping[Any, Any], put: Callable[[str], None], room: int, trail: Trail) -> None:
    opening = "{"
    for key in _utf16_order(value, trail):
        put(opening)
        put(_encode_string(key))
        put(":")
        _write(value[key], put, room, (trail, key))
        opening = ","
    put("}" if opening == "," else "{}")


def _write_array(value: Sequence[Any], put: Callable[[str], None], room: int, trail: Trail) -> None:
    opening = "["
    for index, item in enumerate(value):
        put(opening)
        _write(item, put, room, (trail, index))
        opening = ","
    put("]" if opening == "," else "[]")


def _utf16_order(keys: Iterable[Any], trail: Trail) -> list[str]:
    """Sort keys by UTF-16 code units (RFC 8785, section 3.2.3); big-endian bytes sort the same way."""
    ordered: list[tuple[bytes, str]] = []
    for key in keys:
        if not isinstance(key, str):
            raise _refusal(trail, f"a key is {type(key).__name__}, not a string")
        try:
            ordered.append((key.encode("utf-16-be"), key))
        except UnicodeEncodeError:
            raise _refusal(trail, "a key holds a lone surrogate") from None
    ordered.sort()
    return [key for _, key in ordered]


def _string(value: str, trail: Trail) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _refusal(trail, "lone surrogate in a string") from None
    return _encode_string(value)


def _integer(value: int, trail: Trail) -> str:
    if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        raise _refusal(trail, "integer beyond ±(2^53 - 1)")
    return int.__repr__(value)


def _number(value: float, trail: Trail) -> str:
    """Write a double as ECMAScript's Number::toString does (RFC 8785, section 3.2.2.3).

    Python's repr already finds the shortest digits that read back as the same double; only their layout
    differs.
    """
    if not math.isfinite(value):
        raise _refusal(trail, "NaN and infinity are not JSON")
    if value == 0:
        return "0"
    digits, point = _shortest_digits(abs(value))
    sign = "-" if value < 0 else ""
    count = len(digits)
    if count <= point <= _ES6_FIXED_POINT:
        return sign + digits + "0" * (point - count)
    if 0 < point <= _ES6_FIXED_POINT:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = "." + digits[1:] if count > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _shortest_digits(value: float) -> tuple[str, int]:
    """Return (digits, point) with value = 0.digits * 10**point, no zero at either end of the digits."""
    mantissa, _, exponent = float.__repr__(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading_zeros = len(whole) + len(fraction) - len(digits)
    return digits.rstrip("0"), len(whole) + int(exponent or 0) - leading_zeros


def _refusal(trail: Trail, why: str) -> CanonicalError:
    steps: list[str] = []
    while trail is not None:
        trail, step = trail
        steps.append(f"[{step}]" if isinstance(step, int) else f"[{step[:64]!a}]")
    return CanonicalError(f"value{''.join(reversed(steps))}: {why}")
