"""A query as SQL: fixed fragments chosen by field, every value bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.audit import AuditQuery, Page
from tenaudit.audit.event import SEVERITIES, wire_time
from tenaudit.audit.query import CursorCodec, CursorPoint
from tenaudit.backends.sqlite.rows import event_from_row

if TYPE_CHECKING:
    import sqlite3

__all__ = ["conditions", "search_page"]

_EXACT = {
    "actor": "actor_id = :actor",
    "resource_type": "resource_type = :resource_type",
    "resource_id": "resource_id = :resource_id",
    "severity": "severity = :severity",
    "outcome": "outcome = :outcome",
    "trace_id": "trace_id = :trace_id",
    "service": "service = :service",
}


def conditions(query: AuditQuery) -> tuple[list[str], dict[str, Any]]:
    """Return the conditions of a query's filters, and the values that they bind; the tenant's value is among them."""
    values: dict[str, Any] = {"tenant_id": str(query.tenant_id)}
    wanted: list[str] = []
    for field, condition in _EXACT.items():
        if (value := getattr(query, field)) is not None:
            wanted.append(condition)
            values[field] = value
    if (prefix := query.action_prefix) is not None:
        # "/" follows "." in code order: the range holds exactly the names that start with the prefix.
        wanted.append("action >= :action_from AND action < :action_to")
        values |= {"action_from": prefix, "action_to": f"{prefix[:-1]}/"}
    elif query.action is not None:
        wanted.append("action = :action")
        values["action"] = query.action
    if query.min_severity is not None:
        graver = SEVERITIES[[*SEVERITIES].index(query.min_severity) :]  # type: ignore[arg-type]
        names = {f"severity_{place}": name for place, name in enumerate(graver)}
        wanted.append(f"severity IN ({', '.join(f':{name}' for name in names)})")
        values |= names
    if query.from_ is not None:
        wanted.append("occurred_at >= :from_time")
        values["from_time"] = wire_time(query.from_)
    if query.to is not None:
        wanted.append("occurred_at < :to_time")
        values["to_time"] = wire_time(query.to)
    if query.q is not None:
        wanted.append("instr(lower(payload), lower(:q)) > 0")
        values["q"] = query.q
    return wanted, values


def search_page(connection: sqlite3.Connection, base: str, query: AuditQuery, codec: CursorCodec) -> Page:
    """Return one page.

    The page is read in the direction of the cursor, one row further than asked, so that both cursors are exact
    without counting.
    """
    point = codec.read(query)
    backward = point is not None and point.backward
    descending = (query.order == "desc") != backward
    wanted, values = conditions(query)
    if point is not None:
        wanted.append(f"event_id {'<' if descending else '>'} :after")
        values["after"] = str(point.event_id)
    values["count"] = query.limit + 1
    sql = " AND ".join([base, *wanted]) + f" ORDER BY event_id {'DESC' if descending else 'ASC'} LIMIT :count"
    events = [event_from_row(row) for row in connection.execute(sql, values)]
    more = len(events) > query.limit
    events = events[: query.limit]
    if backward:
        events.reverse()
    return Page(
        tuple(events),
        codec.write(query, CursorPoint(events[-1].event_id, False)) if events and (more or backward) else None,
        codec.write(query, CursorPoint(events[0].event_id, True))
        if events and (more if backward else point is not None)
        else None,
    )
