"""Events in the order in which a store took them: what a follower reads, which misses nothing that comes late.

Ids are in the order of time, so an event that arrives late lies behind what a follower has read already. The order of
arrival has no such place: whoever has read up to a position has read all that will ever be before it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tenaudit.audit.filters import filters_of, fits_filters

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


def matches(query: AuditQuery, event: AuditEvent) -> bool:
    """Tell whether a search for *query* would find *event*, whatever the page.

    Example:
        >>> from tenaudit.audit import AuditQuery
        >>> from tenaudit.testing.conformance.events import TENANT, an_event
        >>> matches(AuditQuery(TENANT, action="order.*"), an_event(0))
        True
    """
    return event.tenant_id == query.tenant_id and fits_filters(query, filters_of(query), partial(getattr, event))
