"""The error codes that a service declares before it serves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors.api_error import ApiError, valid_code
from tenaudit.errors.declared import DeclaredError
from tenaudit.errors.openapi import components_of, responses_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["PLATFORM_CODES", "DeclaredError", "ErrorCatalogue"]

# RFC 3986 section 3: a scheme, then anything that a URI may hold.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!#-;=?-\[\]_a-z~]+\Z")

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


_ABOUT_BLANK = "about:blank"


class ErrorCatalogue:
    """Declares a service's own error codes, on top of the platform's.

    Args:
        type_base: what precedes a code in the `type` of problem details (RFC 9457 section 3.1.1), an absolute URI
            such as `https://errors.example.com/`; without it every type is `about:blank`.

    Raises:
        ConfigurationError: *type_base* is no absolute URI in printable ASCII.

    Example:
        >>> catalogue = ErrorCatalogue()
        >>> order_closed = catalogue.declare("order_closed", 409, "The order is closed.")
        >>> order_closed("Order 7 is closed.").status
        409
        >>> "order_closed" in catalogue.codes
        True
    """

    def __init__(self, *, type_base: str | None = None) -> None:
        if type_base is not None and not _URI.match(type_base):
            raise ConfigurationError(f"type_base must be an absolute URI in printable ASCII, not {type_base!r}")
        self._type_base = type_base
        self._declared: dict[str, DeclaredError] = {item.code: item for item in PLATFORM_CODES}

    def declare(self, code: str, status: int, description: str) -> _Maker:
        """Add a code and return the constructor of its error.

        Raises:
            ConfigurationError: the code is malformed, or already declared with another status.
        """
        given: object = status
        if not valid_code(code) or not isinstance(given, int) or not 400 <= status <= 599:
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

    def type_uri(self, code: str) -> str:
        """Return the `type` of a code's problem details; `about:blank` for a code that is not declared.

        Example:
            >>> ErrorCatalogue(type_base="https://errors.example.com/").type_uri("not_found")
            'https://errors.example.com/not_found'
        """
        return _ABOUT_BLANK if self._type_base is None or code not in self._declared else self._type_base + code

    def title(self, code: str) -> str | None:
        """Return the `title` of a code that has a type of its own; None where it is the status phrase."""
        return None if self.type_uri(code) == _ABOUT_BLANK else self._declared[code].description

    def code_of(self, type_uri: str) -> str | None:
        """Return the declared code that *type_uri* names, None for any other."""
        if self._type_base is None or not type_uri.startswith(self._type_base):
            return None
        code = type_uri.removeprefix(self._type_base)
        return code if code in self._declared else None

    def openapi_responses(self, *codes: str) -> dict[int | str, dict[str, Any]]:
        """Return OpenAPI's responses of declared codes, by status; the schemas are in `openapi_components`.

        The type is FastAPI's, so that they can be given to a route: `responses=catalogue.openapi_responses(...)`.

        Raises:
            ConfigurationError: a code is not declared.

        Example:
            >>> responses = ErrorCatalogue().openapi_responses("missing_role", "forbidden", "not_found")
            >>> sorted(responses)
            ['403', '404']
        """
        return responses_of(self._known(codes))

    def openapi_components(self, *codes: str) -> dict[str, dict[str, Any]]:
        """Return OpenAPI's components that the responses refer to, of all declared codes unless *codes* are given.

        Raises:
            ConfigurationError: a code is not declared.
        """
        return components_of(self._known(codes or self.codes))

    def to_markdown(self) -> str:
        """Return the table of all codes for a page of documentation.

        Example:
            >>> print(ErrorCatalogue().to_markdown().splitlines()[2])
            | `missing_tenant_id` | 400 | The request names no tenant. |
        """
        rows = (f"| `{item.code}` | {item.status} | {_cell(item.description)} |" for item in self)
        return "\n".join(("| code | status | meaning |", "| --- | --- | --- |", *rows, ""))

    def _known(self, codes: Iterable[str]) -> list[DeclaredError]:
        chosen = dict.fromkeys(codes)
        for code in chosen:
            if code not in self._declared:
                raise ConfigurationError(f"error code {code!r} is not declared")
        return [self._declared[code] for code in chosen]


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes errors of one declared code."""

    declared: DeclaredError

    def __call__(
        self,
        message: str | None = None,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after: int | None = None,
    ) -> ApiError:
        known = self.declared
        return ApiError(known.status, known.code, message or known.description, errors=errors, retry_after=retry_after)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
