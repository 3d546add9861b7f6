"""W3C Trace Context, level 2: reading `traceparent` and `tracestate`, and starting a trace.

An invalid header means a new trace, not an error (section 4.3 of the standard).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tenaudit.security.context import TraceContext

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse_traceparent", "read_trace", "valid_tracestate"]

# Section 3.2: version, trace id, parent id, flags, all lower-case hex. \Z, since $ would allow a newline.
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[ -~]*)?\Z")
_TRACE_ID = re.compile(r"[0-9a-f]{32}\Z")
_ZERO_TRACE = "0" * 32
_ZERO_PARENT = "0" * 16
_ODD = frozenset("13579bdf")
_MAX_TRACEPARENT = 512
# Section 3.3.1: at most 32 members; key and value grammar of level 2.
_MAX_MEMBERS = 32
_MAX_TRACESTATE = 512
_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]\Z"
)


def parse_traceparent(value: str) -> TraceContext | None:
    """Read a `traceparent`; None when it is invalid, so that the caller starts a new trace.

    A higher version is read by its first four fields (section 3.2.4); version `ff` and all-zero ids are invalid.

    Example:
        >>> parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").sampled
        True
    """
    if len(value) > _MAX_TRACEPARENT:
        return None
    match = _TRACEPARENT.match(value)
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if trace_id == _ZERO_TRACE or parent_id == _ZERO_PARENT:
        return None
    return TraceContext(trace_id, parent_id, flags[1] in _ODD)


def valid_tracestate(value: str) -> str:
    """Return *value* when it obeys section 3.3, else the empty string: a bad list is dropped, never an error."""
    members = [member for part in value.split(",", _MAX_MEMBERS + 1) if (member := part.strip(" \t"))]
    if len(members) > _MAX_MEMBERS or not all(map(_MEMBER.match, members)):
        return ""
    if len({member.partition("=")[0] for member in members}) != len(members):
        return ""
    return _shorten(members)


def _shorten(members: list[str]) -> str:
    """Drop members over 128 characters first, then from the end, until 512 fit (section 3.3.1.5)."""
    for member in [m for m in reversed(members) if len(m) > 128]:
        if sum(map(len, members)) + len(members) - 1 <= _MAX_TRACESTATE:
            break
        members.remove(member)
    while members and sum(map(len, members)) + len(members) - 1 > _MAX_TRACESTATE:
        members.pop()
    return ",".join(members)


def read_trace(
    traceparent: str | None,
    tracestate: str | None,
    fallback_id: str | None,
    random_bytes: Callable[[int], bytes],
) -> TraceContext:
    """Continue the caller's trace, or take *fallback_id* (`X-Trace-ID`), or start a new one.

    Args:
        traceparent: the one header, or None when it is absent or was sent more than once.
        tracestate: all of its values joined by commas; ignored without a valid traceparent.
        fallback_id: a bare trace id of 32 lower-case hex digits.
        random_bytes: where a new trace id comes from.
    """
    if traceparent is not None:
        parsed = parse_traceparent(traceparent)
        if parsed is not None:
            if not tracestate:
                return parsed
            return TraceContext(parsed.trace_id, parsed.parent_id, parsed.sampled, valid_tracestate(tracestate))
    if fallback_id is not None and fallback_id != _ZERO_TRACE and _TRACE_ID.match(fallback_id):
        return TraceContext(fallback_id, None, sampled=False)
    # Level 2, section 3.2.2.3: ids are random. The all-zero id is invalid, and one in 2**128.
    return TraceContext(random_bytes(16).hex(), None, sampled=False)
