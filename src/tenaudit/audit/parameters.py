"""Query parameters of `GET /audit/events` as an `AuditQuery`; every wrong one is named."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tenaudit.audit.event import SEVERITIES, normal_severity
from tenaudit.audit.query import MAX_LIMIT, AuditQuery, InvalidQuery
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from uuid import UUID

__all__ = [
    "EXPORT_PARAMETERS",
    "FILTERS",
    "PARAMETERS",
    "TAIL_PARAMETERS",
    "query_from_parameters",
    "query_of",
    "read_parameters",
]

_ACTION = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*(?:\.\*)?\Z")
_TRACE = re.compile(r"[0-9a-f]{32}\Z")


def _text(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    return value


def _action(value: str) -> str:
    if _ACTION.match(value) is None:
        raise ValueError("must be a dotted name such as payment.voided, or a prefix such as payment.*")
    return value


def _outcome(value: str) -> str:
    if value not in ("success", "denied", "failure"):
        raise ValueError("must be success, denied or failure")
    return value


def _severity(value: str) -> str:
    try:
        return normal_severity(value)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(SEVERITIES)}") from None


def _trace(value: str) -> str:
    if _TRACE.match(value) is None:
        raise ValueError("must be 32 lower-case hex digits")
    return value


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        raise ValueError("must be RFC 3339, such as 2026-11-24T06:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _limit(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 4 and 1 <= int(value) <= MAX_LIMIT):
        raise ValueError(f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(value)


def _order(value: str) -> str:
    if value not in ("desc", "asc"):
        raise ValueError("must be desc or asc")
    return value


def _flag(value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise ValueError("must be true or false")
    return value.lower() in ("true", "1")


PARAMETERS: Mapping[str, tuple[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "actor": ("actor", _text),
        "action": ("action", _action),
        "resource_type": ("resource_type", _text),
        "resource_id": ("resource_id", _text),
        "severity": ("severity", _severity),
        "min_severity": ("min_severity", _severity),
        "outcome": ("outcome", _outcome),
        "trace_id": ("trace_id", _trace),
        "service": ("service", _text),
        "from": ("from_", _moment),
        "to": ("to", _moment),
        "q": ("q", _text),
        "limit": ("limit", _limit),
        "cursor": ("cursor", _text),
        "order": ("order", _order),
        "include_redacted": ("include_redacted", _flag),
    }
)


def _format(value: str) -> str:
    if value not in ("ndjson", "csv"):
        raise ValueError("must be ndjson or csv")
    return value


FILTERS: Mapping[str, tuple[str, Callable[[str], Any]]] = MappingProxyType(
    {name: known for name, known in PARAMETERS.items() if name not in ("limit", "cursor", "order", "include_redacted")}
)
"""The parameters that choose events, which every list of them takes."""

EXPORT_PARAMETERS: Mapping[str, tuple[str, Callable[[str], Any]]] = MappingProxyType(
    {
        **FILTERS,
        "order": PARAMETERS["order"],
        "include_redacted": PARAMETERS["include_redacted"],
        "format": ("format", _format),
    }
)
"""Those of `GET /audit/export`."""

TAIL_PARAMETERS: Mapping[str, tuple[str, Callable[[str], Any]]] = MappingProxyType(
    {**FILTERS, "include_redacted": PARAMETERS["include_redacted"]}
)
"""Those of `GET /audit/tail`."""


def query_from_parameters(tenant_id: UUID, parameters: Iterable[tuple[str, str]]) -> AuditQuery:
    """Read the query string of a search; the tenant comes from the caller's context, never from here.

    Raises:
        ApiError: 400 `invalid_parameter` with every wrong field.
    """
    return query_of(tenant_id, read_parameters(parameters, PARAMETERS))


def read_parameters(
    parameters: Iterable[tuple[str, str]], table: Mapping[str, tuple[str, Callable[[str], Any]]]
) -> dict[str, Any]:
    """Return the values of a query string by the fields that *table* names for its parameters.

    Args:
        parameters: names and values as they came, decoded.
        table: for each parameter its field, and what makes a value of its text or raises `ValueError`.

    Raises:
        ApiError: 400 `invalid_parameter` with every wrong field.
    """
    values: dict[str, Any] = {}
    wrong: list[dict[str, str]] = []
    for name, text in parameters:
        known = table.get(name)
        if known is None:
            # What is no text, such as a lone surrogate, could not stand in the answer.
            shown = name[:64].encode("utf-8", "replace").decode()
            wrong.append({"field": shown, "message": "is not a parameter of this query"})
        elif known[0] in values:
            wrong.append({"field": name, "message": "was given more than once"})
        else:
            try:
                values[known[0]] = known[1](text)
            except ValueError as error:
                wrong.append({"field": name, "message": str(error)})
    if wrong:
        raise _invalid(wrong)
    return values


def query_of(tenant_id: UUID, values: Mapping[str, Any]) -> AuditQuery:
    """Return the query of values by field.

    Raises:
        ApiError: 400 `invalid_parameter` with the field that no query can have.
    """
    try:
        return AuditQuery(tenant_id, **values)
    except InvalidQuery as error:
        raise _invalid([{"field": error.field, "message": error.message}]) from None


def _invalid(wrong: list[dict[str, str]]) -> ApiError:
    return ApiError.bad_request("A query parameter is not valid.", code="invalid_parameter", errors=wrong[:32])
