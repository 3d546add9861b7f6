"""An error as bytes on the wire: status, headers and one of two JSON bodies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tenaudit.errors.api_error import ApiError

__all__ = ["ENVELOPE_TYPE", "PROBLEM_TYPE", "Reply", "error_reply", "prefers_problem"]

ENVELOPE_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
_FRAMING = frozenset({"transfer-encoding", "connection", "content-encoding"})
_RANGES_READ = 32


class Reply(NamedTuple):
    """A finished response: status, header pairs and body bytes, for an adapter to hand to its framework."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def error_reply(error: ApiError, trace_id: str, *, accept: str = "") -> Reply:
    """Turn *error* into the envelope, or into RFC 9457 problem details when *accept* prefers them.

    It always gives a reply: members of `errors` that are no JSON become text, or the list is left out.

    Example:
        >>> from tenaudit.errors import ApiError
        >>> error_reply(ApiError.not_found(), "0af7651916cd43dd8448eb211c80319c").status
        404
    """
    problem = prefers_problem(accept)
    members = error.to_problem(trace_id) if problem else error.to_body(trace_id)
    try:
        body = _encode(members)
    except (TypeError, ValueError, RecursionError):
        # NaN, a key that is no string, a cycle: the answer to an error must not be another error.
        body = _encode({name: value for name, value in members.items() if name != "errors"})
    headers = [
        ("content-type", PROBLEM_TYPE if problem else ENVELOPE_TYPE),
        ("content-length", str(len(body))),
        ("x-error-code", error.code),
        ("x-trace-id", trace_id),
    ]
    if error.retry_after is not None:
        headers.append(("retry-after", str(error.retry_after)))
    # What an error brings along must not change what frames and names this answer.
    ours = _FRAMING | {name for name, _ in headers}
    headers += [(name.lower(), value) for name, value in error.headers if name.lower() not in ours]
    return Reply(error.status, tuple(headers), body)


def _encode(members: dict[str, Any]) -> bytes:
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    return text.encode("utf-8", "replace")


def prefers_problem(accept: str) -> bool:
    """Tell whether an Accept header ranks problem+json at least as high as plain JSON (RFC 9110 section 12.5.1).

    The most specific range that matches a type gives its weight; only an explicit mention of
    `application/problem+json` can win, so `*/*` keeps the plain envelope.
    """
    if "problem+json" not in accept.lower():
        return False
    weights: dict[str, float] = {}
    for part in accept.split(",", _RANGES_READ)[:_RANGES_READ]:
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights[media] = _weight(parameters)
    fallback = weights.get("application/*", weights.get("*/*", 0.0))
    problem = weights.get(PROBLEM_TYPE, 0.0)
    return problem > 0 and problem >= weights.get(ENVELOPE_TYPE, fallback)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            # NaN compares false with everything, so it ends as 0.
            return min(weight, 1.0) if weight > 0 else 0.0
    return 1.0
