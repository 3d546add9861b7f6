"""One request as the adapters know it: who asks, which route, what was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors import ApiError, Reply
from tenaudit.gate.field_value import is_sendable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tenaudit.gate.gate import Gate
    from tenaudit.gate.message import Admission, Identity

__all__ = ["Exchange", "allow_value", "framework_error", "options_reply"]

# What routers answer by themselves: no such path or method, and redirects to the path with or without a slash.
_ROUTERS_OWN = frozenset({301, 307, 308, 404, 405})


class Exchange:
    """What middleware and route know of one request: the first makes it, the second adds the route.

    Args:
        gate: what decides.
        identity: who asks.
    """

    __slots__ = ("admission", "answered", "gate", "identity", "rate_headers", "status", "template")

    def __init__(self, gate: Gate, identity: Identity) -> None:
        self.gate = gate
        self.identity = identity
        # The route's template, None before a route was found.
        self.template: str | None = None
        self.admission: Admission | None = None
        # What the answer says of the limits.
        self.rate_headers: Sequence[tuple[str, str]] = ()
        # Whether the answer is one of ours, which needs no guarded route to stand behind it.
        self.answered = False
        # The status that went out, 0 before there is one.
        self.status = 0

    def admitted(self, admission: Admission) -> None:
        """Note that the request was let through, and on which terms."""
        self.admission = admission
        if admission.rate is not None:
            self.rate_headers = self.gate.limits.fields(admission.rate)

    @property
    def holds_slots(self) -> bool:
        """Whether slots must be given back when the request has ended."""
        return self.gate.limits.has_slots and self.admission is not None and self.gate.holds_slots(self.admission)

    def reply(self, error: Exception, accept: str) -> Reply:
        """Turn whatever was raised into the bytes of an answer, and count it."""
        self.answered = True
        if not isinstance(error, ApiError):
            error = self.gate.fault(error, self.identity.trace)
        return self.gate.reply(error, self.identity.trace, accept=accept)

    def unrouted(self, error: ApiError) -> ApiError:
        """Return what to say of a path or method without a handler: who names no tenant learns nothing of routes."""
        return self.identity.refusal or error

    def options(self, methods: Iterable[str]) -> Reply:
        """Answer OPTIONS of a known path, to anyone."""
        self.answered = True
        return options_reply(methods, self.identity.trace.trace_id)

    def refuse_unguarded(self, method: str, status: int) -> None:
        """Hold back an answer that no guarded route gave: nobody asked whether this caller may have it.

        What a router says by itself any identity may see, and OPTIONS, which a middleware for CORS answers before
        any route, anyone may.

        Raises:
            ApiError: why the caller has no identity.
            ConfigurationError: a handler stands behind no guard.
        """
        if self.answered or (method == "OPTIONS" and status not in _ROUTERS_OWN):
            return
        if self.identity.refusal is not None:
            raise self.identity.refusal
        if status not in _ROUTERS_OWN:
            raise ConfigurationError("an answer came from a handler without a guard; declare it as a route of the app")


def allow_value(methods: Iterable[str]) -> str:
    """Return the value of `Allow` (RFC 9110 section 10.2.1), sorted, so that all frameworks say the same.

    OPTIONS is always there, since the adapters answer it.

    Example:
        >>> allow_value({"POST", "GET"})
        'GET, OPTIONS, POST'
    """
    return ", ".join(sorted({*methods, "OPTIONS"}))


def options_reply(methods: Iterable[str], trace_id: str) -> Reply:
    """Return the answer to OPTIONS: which methods there are, without a body (RFC 9110 section 9.3.7)."""
    return Reply(204, (("allow", allow_value(methods)), ("x-trace-id", trace_id)), b"")


def framework_error(status: int, message: str | None, headers: Iterable[tuple[str, str]] = ()) -> ApiError:
    """Return a framework's HTTP error in our form.

    Args:
        status: the framework's; one outside 400 to 599 becomes 500.
        message: what the handler wrote; None for a text of the framework's own, which differs between frameworks.
        headers: what it brings along; what describes the framework's own body is left out, and what cannot be sent.
    """
    known = ApiError.from_response(status if 400 <= status <= 599 else 500, {}, {})
    if message is None:
        message = _STANDARD.get(known.status, known.message)
    kept = [
        (name, _sorted_allow(value) if name.lower() == "allow" else value)
        for name, value in headers
        if name.lower() not in _ABOUT_THE_BODY and is_sendable(name) and is_sendable(value)
    ]
    return ApiError(known.status, known.code, message, headers=kept)


# The messages of the constructors, so that a router's 404 reads like a handler's.
_STANDARD = {
    error.status: error.message
    for error in (
        ApiError.bad_request(),
        ApiError.unauthorized(),
        ApiError.forbidden(),
        ApiError.not_found(),
        ApiError.method_not_allowed(),
        ApiError.conflict(),
        ApiError.payload_too_large(),
        ApiError.unprocessable(),
        ApiError.rate_limited(1),
        ApiError.unavailable(),
        ApiError.internal(),
    )
}
_ABOUT_THE_BODY = frozenset({"content-type", "content-length"})


def _sorted_allow(value: str) -> str:
    return allow_value(method for part in value.split(",") if (method := part.strip()))
