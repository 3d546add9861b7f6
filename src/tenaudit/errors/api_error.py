"""The one error a handler raises, and the fields of the envelope it becomes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, overload

from tenaudit._kernel.error import TenauditError
from tenaudit.errors.received import read_body, seconds_of, text_of

if TYPE_CHECKING:
    from tenaudit.errors.catalogue import ErrorCatalogue

__all__ = ["ApiError", "valid_code"]

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
# As much as is read of another server, three centuries; a number without a bound may not even be printed.
_MAX_SECONDS = 10**10
_LINE_BREAKING = re.compile(r"[\x00\r\n]")
_STATUS_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limited",
    500: "internal_error",
    503: "unavailable",
}
_KNOWN_CODES = frozenset({*_STATUS_CODES.values(), "missing_role", "missing_tenant_id"})
# Python 3.13 words these anew; the text that clients read is the same under every Python.
_PHRASES = {
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}


def valid_code(code: object) -> bool:
    """Tell whether *code* is a text of the form `[a-z][a-z0-9_]{0,63}`."""
    return isinstance(code, str) and _CODE.match(code) is not None


def _valid_status(status: object) -> bool:
    return isinstance(status, int) and 400 <= status <= 599


def _phrase(status: int) -> str:
    if status in _PHRASES:
        return _PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


class _MissingRole:
    """On the class `ApiError.missing_role` is a constructor, on an error it is the denial name."""

    @overload
    def __get__(self, error: None, owner: type[ApiError]) -> Callable[..., ApiError]: ...
    @overload
    def __get__(self, error: ApiError, owner: type[ApiError]) -> str | None: ...
    def __get__(self, error: ApiError | None, owner: type[ApiError]) -> Callable[..., ApiError] | str | None:
        if error is not None:
            return error._missing_role  # noqa: SLF001 - the descriptor is part of ApiError

        def missing_role(
            name: str | None = None, message: str = "A required capability is missing.", *, code: str | None = None
        ) -> ApiError:
            """Make the 403 of a denied capability; *name* is the denial name that the client may see."""
            return owner(403, code or "missing_role", message, missing_role=name)

        return missing_role


class ApiError(TenauditError):
    """An error with a status, a stable code and a text that the client may read.

    Args:
        status: HTTP status, 400 to 599.
        code: stable machine name, `[a-z][a-z0-9_]{0,63}`.
        message: one sentence for the client; never exception text.
        missing_role: the denial name of a 403 by role, when it may be disclosed.
        errors: for 400 and 422, one `{"field": ..., "message": ...}` a wrong field.
        retry_after: for 429 and 503, seconds to wait, rounded up to whole ones.
        headers: further response headers, such as `Allow` (RFC 9110 section 15.5.6) or `WWW-Authenticate`.

    Raises:
        ValueError: the status or the code is out of form, *retry_after* is negative or over 10^10, or a header
            would break its line.

    Example:
        >>> error = ApiError.not_found("No such customer.", code="customer_not_found")
        >>> error.to_body("0af7651916cd43dd8448eb211c80319c")["code"]
        'customer_not_found'
    """

    missing_role = _MissingRole()

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        missing_role: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after: int | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        if not _valid_status(status):
            raise ValueError(f"status must be a number, 400 to 599, not {status!r}")
        if code not in _KNOWN_CODES and not valid_code(code):
            raise ValueError(f"code must match [a-z][a-z0-9_]{{0,63}}, not {code!r}")
        if retry_after is not None and not 0 <= retry_after < _MAX_SECONDS:
            # Its digits may be too many to be printed.
            raise ValueError("retry_after must be 0 or more seconds, and less than 10^10")
        for header, value in headers:
            if _LINE_BREAKING.search(header) or _LINE_BREAKING.search(value):
                raise ValueError(f"header {header!r} holds a line break")
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self._missing_role = missing_role
        self.errors: tuple[Mapping[str, Any], ...] = tuple(errors)
        self.retry_after = None if retry_after is None else math.ceil(retry_after)
        self.headers: tuple[tuple[str, str], ...] = tuple(headers)

    def __repr__(self) -> str:
        return f"ApiError({self.status}, {self.code!r}, {self.message!r})"

    def to_body(self, trace_id: str) -> dict[str, Any]:
        """Return the members of the JSON envelope; optional ones are left out, never null."""
        body: dict[str, Any] = {"code": self.code, "message": self.message, "trace_id": trace_id}
        if self._missing_role is not None:
            body["missing_role"] = self._missing_role
        if self.errors:
            body["errors"] = [dict(item) for item in self.errors]
        if self.retry_after is not None:
            body["retry_after"] = self.retry_after
        return body

    def to_problem(
        self,
        trace_id: str,
        *,
        instance: str | None = None,
        type_uri: str | None = None,
        title: str | None = None,
    ) -> dict[str, Any]:
        """Return the same error as RFC 9457 problem details, the envelope's members as extensions.

        Args:
            trace_id: the trace that the client may quote.
            instance: names this occurrence; the trace as a URN unless given.
            type_uri: names the kind of problem; `about:blank` unless given.
            title: the kind in words; the status phrase unless given (RFC 9457 section 4.2.1).
        """
        return {
            "type": type_uri or "about:blank",
            "title": title or _phrase(self.status),
            "status": self.status,
            "detail": self.message,
            "instance": instance or f"urn:trace:{trace_id}",
            **self.to_body(trace_id),
        }

    @classmethod
    def from_response(
        cls,
        status: int,
        headers: Mapping[str, str],
        body: bytes | str | Mapping[str, Any],
        catalogue: ErrorCatalogue | None = None,
    ) -> ApiError:
        """Rebuild the typed error from a response, in either media type; a foreign body still gives a code.

        Args:
            status: the response's.
            headers: the response's, names in any case.
            body: the response's; over 64 KiB it is not read.
            catalogue: reads the code from the `type` of problem details that name no code.

        Raises:
            ValueError: *status* is no error, that is outside 400 to 599.
        """
        data = read_body(body)
        lowered = {name.lower(): value for name, value in headers.items()}
        kind = data.get("type")
        candidates = (
            data.get("code"),
            lowered.get("x-error-code"),
            catalogue.code_of(kind) if catalogue is not None and isinstance(kind, str) else None,
            _STATUS_CODES.get(status, "internal_error" if status >= 500 else "bad_request"),
        )
        code = next(text for text in candidates if isinstance(text, str) and valid_code(text))
        errors = data.get("errors")
        missing = data.get("missing_role")
        return cls(
            status,
            code,
            text_of(data.get("message"), data.get("detail"), _phrase(status)) or "",
            missing_role=missing if isinstance(missing, str) else None,
            errors=[item for item in errors if isinstance(item, Mapping)] if isinstance(errors, list) else (),
            retry_after=seconds_of(data.get("retry_after"), lowered.get("retry-after")),
        )

    @classmethod
    def _kind(cls, status: int, message: str | None, code: str | None, **fields: Any) -> ApiError:
        return cls(status, code or _STATUS_CODES[status], message or f"{_phrase(status)}.", **fields)

    @classmethod
    def bad_request(
        cls, message: str | None = None, *, code: str | None = None, errors: Sequence[Mapping[str, Any]] = ()
    ) -> ApiError:
        """400: the request is malformed; *errors* names the fields."""
        return cls._kind(400, message, code, errors=errors)

    @classmethod
    def missing_tenant_id(cls, message: str = "X-Tenant-ID is required.", *, code: str | None = None) -> ApiError:
        """400 `missing_tenant_id`: no tenant, so nothing can be done for anyone."""
        return cls(400, code or "missing_tenant_id", message)

    @classmethod
    def unauthorized(
        cls, message: str | None = None, *, code: str | None = None, challenge: str = "Bearer"
    ) -> ApiError:
        """401 with `WWW-Authenticate` (RFC 9110 section 15.5.2)."""
        return cls._kind(401, message, code, headers=(("WWW-Authenticate", challenge),))

    @classmethod
    def forbidden(cls, message: str | None = None, *, code: str | None = None) -> ApiError:
        """403: known, and not allowed."""
        return cls._kind(403, message, code)

    @classmethod
    def not_found(cls, message: str | None = None, *, code: str | None = None) -> ApiError:
        """404: no such thing, or none that this tenant may know of."""
        return cls._kind(404, message, code)

    @classmethod
    def method_not_allowed(
        cls, allow: Iterable[str] = (), message: str | None = None, *, code: str | None = None
    ) -> ApiError:
        """405 with `Allow` (RFC 9110 section 15.5.6): the methods, or one."""
        methods = (allow,) if isinstance(allow, str) else sorted(allow)
        return cls._kind(405, message, code, headers=(("Allow", ", ".join(methods)),))

    @classmethod
    def conflict(cls, message: str | None = None, *, code: str | None = None) -> ApiError:
        """409: the state does not allow it now."""
        return cls._kind(409, message, code)

    @classmethod
    def payload_too_large(cls, message: str | None = None, *, code: str | None = None) -> ApiError:
        """413: more bytes than the route takes."""
        return cls._kind(413, message, code)

    @classmethod
    def unprocessable(
        cls, message: str | None = None, *, code: str | None = None, errors: Sequence[Mapping[str, Any]] = ()
    ) -> ApiError:
        """422: well-formed and wrong; *errors* names the fields."""
        return cls._kind(422, message, code, errors=errors)

    @classmethod
    def rate_limited(cls, retry_after: int, message: str | None = None, *, code: str | None = None) -> ApiError:
        """429 with `Retry-After` in whole seconds."""
        return cls._kind(429, message, code, retry_after=retry_after)

    @classmethod
    def unavailable(
        cls, message: str | None = None, *, code: str | None = None, retry_after: int | None = None
    ) -> ApiError:
        """503: a part that is needed does not answer."""
        return cls._kind(503, message, code, retry_after=retry_after)

    @classmethod
    def internal(cls, *, code: str | None = None) -> ApiError:
        """500 `internal_error`: opaque by design, the log has the rest under the trace id."""
        return cls._kind(500, "The server failed; quote the trace id to support.", code)
