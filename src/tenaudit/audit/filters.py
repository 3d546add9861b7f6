"""What each filter of a query asks of a field, in one table: of a stored event, and of what a reader sees of one.

Rules of this file: pure. A field that is absent, null, or not of its kind any more, fits no filter.
"""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit.audit.event import SEVERITIES
from tenaudit.audit.integrity.canonical import CanonicalError, canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tenaudit.audit.query import AuditQuery

__all__ = ["FILTERED_FIELDS", "filters_of", "fits_filters"]

_RANK: Mapping[str, int] = {name: rank for rank, name in enumerate(SEVERITIES)}
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class _Filter(NamedTuple):
    field: str
    fits: Callable[[Any, Any], bool]


def _is(wanted: object, value: object) -> bool:
    return bool(value == wanted)


def _fits_action(wanted: str, value: object) -> bool:
    return isinstance(value, str) and (value.startswith(wanted[:-1]) if wanted.endswith(".*") else value == wanted)


def _is_as_grave(wanted: str, value: object) -> bool:
    return isinstance(value, str) and _RANK.get(value, -1) >= _RANK[wanted]


def _is_from(wanted: datetime, value: object) -> bool:
    moment = _moment(value)
    return moment is not None and moment >= wanted


def _is_before(wanted: datetime, value: object) -> bool:
    moment = _moment(value)
    return moment is not None and moment < wanted


def _moment(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:  # such as a time that is masked
        return None


def _holds(wanted: str, value: object) -> bool:
    if value is None:
        return False
    try:
        return _lower(wanted) in _lower(canonical_json(value).decode())
    except CanonicalError:
        return False


def _lower(text: str) -> str:
    # ASCII alone, as the stores do it: the case of other letters depends on the language.
    return text.translate(_ASCII_LOWER)


_FILTERS: Mapping[str, _Filter] = MappingProxyType(
    {
        "actor": _Filter("actor_id", _is),
        "action": _Filter("action", _fits_action),
        "resource_type": _Filter("resource_type", _is),
        "resource_id": _Filter("resource_id", _is),
        "severity": _Filter("severity", _is),
        "min_severity": _Filter("severity", _is_as_grave),
        "outcome": _Filter("outcome", _is),
        "trace_id": _Filter("trace_id", _is),
        "service": _Filter("service", _is),
        "from_": _Filter("occurred_at", _is_from),
        "to": _Filter("occurred_at", _is_before),
        "q": _Filter("payload", _holds),
    }
)

FILTERED_FIELDS: Mapping[str, str] = MappingProxyType({name: known.field for name, known in _FILTERS.items()})
"""The field of an event that each filter of an `AuditQuery` looks at."""


def filters_of(query: AuditQuery) -> list[str]:
    """Name the filters that a query uses.

    >>> from uuid import UUID
    >>> from tenaudit.audit import AuditQuery
    >>> filters_of(AuditQuery(UUID(int=1), actor="u-1", limit=5))
    ['actor']
    """
    return [name for name in _FILTERS if getattr(query, name) is not None]


def fits_filters(query: AuditQuery, names: Iterable[str], value_of: Callable[[str], Any]) -> bool:
    """Tell whether an event fits all of the named filters, which the query uses; *value_of* returns its fields."""
    return all(_FILTERS[name].fits(getattr(query, name), value_of(_FILTERS[name].field)) for name in names)
