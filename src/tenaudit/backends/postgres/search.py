"""A query as SQL: fixed fragments chosen by field, every value bound."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit.audit import AuditQuery, Page
from tenaudit.audit.event import SEVERITIES
from tenaudit.audit.query import CursorCodec, CursorPoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tenaudit.audit import AuditEvent

__all__ = ["Statement", "page_of", "search_statement"]

_EXACT = {
    "actor": "actor_id",
    "resource_type": "resource_type",
    "resource_id": "resource_id",
    "severity": "severity",
    "outcome": "outcome",
    "trace_id": "trace_id",
    "service": "service",
}
# What the indexes leave out. An equal text is as short, so this changes no answer; it lets the index be used.
_INDEXED_BYTES = 512
_INDEXED = frozenset({"actor", "resource_id"})


class Statement(NamedTuple):
    """SQL and the values of its parameters."""

    sql: str
    values: tuple[Any, ...]


class _Conditions:
    """Conditions joined by AND, each with the numbers of its own parameters."""

    def __init__(self, base: str, first: Any) -> None:
        self.parts = [base]
        self.values = [first]

    def add(self, condition: str, *values: Any) -> None:
        """Add a condition, in which {0} is the first of its values."""
        start = len(self.values) + 1
        self.parts.append(condition.format(*(f"${start + place}" for place in range(len(values)))))
        self.values += values


def search_statement(base: str, query: AuditQuery, point: CursorPoint | None, *, rows: int | None = None) -> Statement:
    """Return the statement of one page.

    The page is read in the direction of the cursor, one row further than asked, so that both cursors are exact
    without counting.

    Args:
        base: its start, which ends with the condition on the tenant, $1.
        query: what to look for.
        point: where to go on, None at the start.
        rows: most rows, by default one more than the query's limit.
    """
    wanted = _Conditions(base, query.tenant_id)
    for field, column in _EXACT.items():
        if (value := getattr(query, field)) is not None:
            wanted.add(f"{column} = {{0}}", value)
            if field in _INDEXED and len(value.encode()) <= _INDEXED_BYTES:
                wanted.add(f"octet_length({column}) <= {_INDEXED_BYTES}")
    _add_action(wanted, query)
    if query.min_severity is not None:
        wanted.add("severity = ANY({0}::text[])", _graver(query.min_severity))
    for moment, condition in ((query.from_, "occurred_at >= {0}"), (query.to, "occurred_at < {0}")):
        if moment is not None:
            wanted.add(condition, _utc(moment))
    if query.q is not None:
        # In the collation C lower() changes ASCII letters and no others.
        wanted.add('strpos(lower(payload), lower({0}::text COLLATE "C")) > 0', query.q)
    descending = (query.order == "desc") != (point is not None and point.backward)
    if point is not None:
        wanted.add(f"event_id {'<' if descending else '>'} {{0}}", point.event_id)
    order = f" ORDER BY event_id {'DESC' if descending else 'ASC'} LIMIT ${len(wanted.values) + 1}"
    return Statement(" AND ".join(wanted.parts) + order, (*wanted.values, rows or query.limit + 1))


def _add_action(wanted: _Conditions, query: AuditQuery) -> None:
    if (prefix := query.action_prefix) is not None:
        # "/" follows "." in code order: the range holds exactly the names that start with the prefix.
        wanted.add("action >= {0} AND action < {1}", prefix, f"{prefix[:-1]}/")
    elif query.action is not None:
        wanted.add("action = {0}", query.action)


def _graver(severity: str) -> list[str]:
    return [*SEVERITIES[[*SEVERITIES].index(severity) :]]  # type: ignore[arg-type]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def page_of(query: AuditQuery, point: CursorPoint | None, found: Sequence[AuditEvent], codec: CursorCodec) -> Page:
    """Return the page that a statement's events are."""
    backward = point is not None and point.backward
    more = len(found) > query.limit
    events = tuple(found[: query.limit])
    if backward:
        events = events[::-1]
    ahead = events and (more or backward)
    behind = events and (more if backward else point is not None)
    return Page(
        events,
        codec.write(query, CursorPoint(events[-1].event_id, backward=False)) if ahead else None,
        codec.write(query, CursorPoint(events[0].event_id, backward=True)) if behind else None,
    )
