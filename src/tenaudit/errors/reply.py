"""An error as bytes on the wire: status, headers and one of two JSON bodies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit.errors.negotiation import Accept

if TYPE_CHECKING:
    from tenaudit.errors.api_error import ApiError
    from tenaudit.errors.catalogue import ErrorCatalogue

__all__ = ["ENVELOPE_TYPE", "PROBLEM_TYPE", "Reply", "error_reply", "prefers_problem"]

ENVELOPE_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
_FRAMING = frozenset({"transfer-encoding", "connection", "content-encoding"})
# What most requests say, and what needs no reading.
_PLAIN = frozenset({"", "*/*", ENVELOPE_TYPE})


class Reply(NamedTuple):
    """A finished response: status, header pairs and body bytes, for an adapter to hand to its framework."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def error_reply(error: ApiError, trace_id: str, *, accept: str = "", catalogue: ErrorCatalogue | None = None) -> Reply:
    """Turn *error* into the envelope, or into RFC 9457 problem details when *accept* prefers them.

    It always gives a reply: members of `errors` that are no JSON become text, or the list is left out.

    Args:
        error: what went wrong.
        trace_id: the trace that the client may quote.
        accept: the request's Accept header, several of them joined by commas.
        catalogue: gives problem details their `type` and `title`; `about:blank` without.

    Example:
        >>> from tenaudit.errors import ApiError
        >>> error_reply(ApiError.not_found(), "0af7651916cd43dd8448eb211c80319c").status
        404
    """
    problem = prefers_problem(accept)
    members = _problem(error, trace_id, catalogue) if problem else error.to_body(trace_id)
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


def _problem(error: ApiError, trace_id: str, catalogue: ErrorCatalogue | None) -> dict[str, Any]:
    if catalogue is None:
        return error.to_problem(trace_id)
    return error.to_problem(trace_id, type_uri=catalogue.type_uri(error.code), title=catalogue.title(error.code))


def _encode(members: dict[str, Any]) -> bytes:
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    return text.encode("utf-8", "replace")


def prefers_problem(accept: str) -> bool:
    """Tell whether an Accept header asks for problem+json (RFC 9110 section 12.5.1).

    It does when it wants problem details more than plain JSON, or names them and wants them as much; `*/*` alone
    keeps the plain envelope.
    """
    if accept in _PLAIN:
        return False
    ranges = Accept(accept)
    problem, plain = ranges.weight(PROBLEM_TYPE), ranges.weight(ENVELOPE_TYPE)
    return problem > plain or (problem == plain > 0 and ranges.names(PROBLEM_TYPE))
