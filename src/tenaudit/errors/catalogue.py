"""The error codes that a service declares before it serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors.api_error import ApiError, valid_code

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PLATFORM_CODES", "DeclaredError", "ErrorCatalogue"]


@dataclass(frozen=True, slots=True)
class DeclaredError:
    """One code with its status and the sentence its docs page shows."""

    code: str
    status: int
    description: str


PLATFORM_CODES: tuple[DeclaredError, ...] = (
    DeclaredError("missing_tenant_id", 400, "The request names no tenant."),
    DeclaredError("invalid_tenant_id", 400, "The tenant is not a UUID in canonical text form."),
    DeclaredError("invalid_user_id", 400, "The user id is too long or holds control characters."),
    DeclaredError("ambiguous_header", 400, "A header that takes one value was sent more than once."),
    DeclaredError("bad_request", 400, "The request is malformed."),
    DeclaredError("invalid_parameter", 400, "A query parameter is unknown or out of range."),
    DeclaredError("invalid_cursor", 400, "The cursor was altered, or belongs to another query."),
    DeclaredError("unauthorized", 401, "No valid credential was presented."),
    DeclaredError("untrusted_context", 401, "The identity headers are not signed as required."),
    DeclaredError("forbidden", 403, "The caller may not do this."),
    DeclaredError("missing_role", 403, "No role of the caller grants the capability."),
    DeclaredError("not_found", 404, "No such resource."),
    DeclaredError("method_not_allowed", 405, "The resource does not take this method."),
    DeclaredError("conflict", 409, "The state of the resource does not allow this now."),
    DeclaredError("payload_too_large", 413, "The body is larger than the route takes."),
    DeclaredError("unprocessable", 422, "The body is well-formed and wrong."),
    DeclaredError("rate_limited", 429, "A rate limit is used up."),
    DeclaredError("internal_error", 500, "The server failed."),
    DeclaredError("unavailable", 503, "A part that is needed does not answer."),
)


class ErrorCatalogue:
    """Declares a service's own error codes, on top of the platform's.

    Example:
        >>> catalogue = ErrorCatalogue()
        >>> order_closed = catalogue.declare("order_closed", 409, "The order is closed.")
        >>> order_closed("Order 7 is closed.").status
        409
        >>> "order_closed" in catalogue.codes
        True
    """

    def __init__(self) -> None:
        self._declared: dict[str, DeclaredError] = {item.code: item for item in PLATFORM_CODES}

    def declare(self, code: str, status: int, description: str) -> _Maker:
        """Add a code and return the constructor of its error.

        Raises:
            ConfigurationError: the code is malformed, or already declared with another status.
        """
        if not valid_code(code) or not 400 <= status <= 599:
            raise ConfigurationError(f"error code {code!r} with status {status} is out of form")
        known = self._declared.get(code)
        if known is not None and known.status != status:
            raise ConfigurationError(f"error code {code!r} is already declared with status {known.status}")
        self._declared[code] = DeclaredError(code, status, description)
        return _Maker(self._declared[code])

    @property
    def codes(self) -> tuple[str, ...]:
        """Every declared code, platform codes first."""
        return tuple(self._declared)

    def __iter__(self) -> Iterator[DeclaredError]:
        return iter(self._declared.values())


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes errors of one declared code."""

    declared: DeclaredError

    def __call__(self, message: str | None = None) -> ApiError:
        return ApiError(self.declared.status, self.declared.code, message or self.declared.description)
