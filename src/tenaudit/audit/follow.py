"""Events in the order in which a store took them: what a follower reads, which misses nothing that comes late.

Ids are in the order of time, so an event that arrives late lies behind what a follower has read already. The order of
arrival has no such place: whoever has read up to a position has read all that will ever be before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tenaudit.audit.event import SEVERITIES
from tenaudit.audit.integrity.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.query import AuditQuery

__all__ = ["Follows", "matches"]


@runtime_checkable
class Follows(Protocol):
    """What a store may offer beside `Store`: its events by position, 1 for the first that the tenant's log took.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> isinstance(SqliteStore.open("audit.db"), Follows)
        True
    """

    async def follow(self, tenant_id: UUID, after: int, limit: int) -> Sequence[tuple[int, AuditEvent]]:
        """Return the tenant's events behind position *after* in the order of arrival, at most *limit* of them.

        An event that is shown has no earlier position to come; one that was taken out of the store is passed over.
        """
        ...

    async def newest_position(self, tenant_id: UUID) -> int:
        """Return the position of the event that the tenant's log took last, 0 before the first."""
        ...


_EXACT = (
    ("actor", "actor_id"),
    ("resource_type", "resource_type"),
    ("resource_id", "resource_id"),
    ("severity", "severity"),
    ("outcome", "outcome"),
    ("trace_id", "trace_id"),
    ("service", "service"),
)
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def matches(query: AuditQuery, event: AuditEvent) -> bool:
    """Tell whether a search for *query* would find *event*, whatever the page.

    Example:
        >>> from tenaudit.audit import AuditQuery
        >>> from tenaudit.testing.conformance.events import TENANT, an_event
        >>> matches(AuditQuery(TENANT, action="order.*"), an_event(0))
        True
    """
    return (
        event.tenant_id == query.tenant_id
        and all(getattr(query, name) in (None, getattr(event, field)) for name, field in _EXACT)
        and _fits_action(query, event.action)
        and (query.min_severity is None or _rank(event.severity) >= _rank(query.min_severity))
        and (query.from_ is None or event.occurred_at >= query.from_)
        and (query.to is None or event.occurred_at < query.to)
        and (query.q is None or _lower(query.q) in _lower(canonical_json(event.payload).decode()))
    )


def _fits_action(query: AuditQuery, action: str) -> bool:
    if query.action_prefix is not None:
        return action.startswith(query.action_prefix)
    return query.action in (None, action)


def _rank(severity: str) -> int:
    return [*SEVERITIES].index(severity)  # type: ignore[arg-type]


def _lower(text: str) -> str:
    # ASCII alone, as the stores do it: the case of other letters depends on the language.
    return text.translate(_ASCII_LOWER)
