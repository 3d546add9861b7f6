"""A query as one reader may ask it: a filter on a field that is hidden from them looks at what they see of it.

Else a filter would be an oracle: whoever sees a card masked could ask for the card that they guess, and an answer, a
count or a line of an export would say that it is there. So the store decides the filters on fields that no rule
reaches, and the others are decided here, on the event as it is shown.

Rules of this file: pure. A redactor that does not tell what it reaches is taken to reach every field.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tenaudit.audit.filters import FILTERED_FIELDS, filters_of, fits_filters
from tenaudit.audit.follow import matches
from tenaudit.audit.view import EventRedactor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.query import AuditQuery

__all__ = ["KnownReach", "VisibleQuery", "reached_fields"]

_COUNTED_BY = frozenset({"action", "outcome", "severity", "occurred_at"})
_EVERY_FIELD = frozenset(FILTERED_FIELDS.values())


@runtime_checkable
class KnownReach(EventRedactor, Protocol):
    """What a redactor may offer beside being called: it tells what it reaches, so that other filters stay fast.

    Example:
        >>> from uuid import UUID
        >>> from tenaudit.audit import Redactor
        >>> redactor = Redactor(["payload.card", "actor_id"])
        >>> isinstance(redactor, KnownReach), sorted(redactor.reached_fields(UUID(int=1)))
        (True, ['actor_id', 'payload'])
    """

    def reached_fields(self, tenant_id: UUID, /) -> frozenset[str]:
        """Return the fields of a tenant's events that may look different afterwards."""
        ...

    def peek(self, event: Mapping[str, Any], /) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return what a call would, for a look that nobody sees and that no metric is to count."""
        ...


@dataclass(frozen=True, slots=True)
class VisibleQuery:
    """A query and the eyes that it is asked with.

    Args:
        query: what the reader asks for.
        redactor: what hides fields from this reader; None hides nothing.

    Attributes:
        hidden: the filters of the query that the store may not decide.
        stored: the query with the others.
        store_may_count: whether neither a filter nor what events are counted by is hidden.

    Example:
        >>> from tenaudit.audit import AuditQuery, Redactor
        >>> from tenaudit.testing.conformance.events import TENANT, an_event
        >>> asked = VisibleQuery(AuditQuery(TENANT, actor="u-1", q="4242"), Redactor(["payload.card"]))
        >>> asked.hidden, asked.stored.actor, asked.stored.q
        (('q',), 'u-1', None)
        >>> asked.seen(an_event(0, payload={"card": "4242424242424243"})) is None
        True
    """

    query: AuditQuery
    redactor: EventRedactor | None
    hidden: tuple[str, ...] = field(init=False)
    stored: AuditQuery = field(init=False)
    store_may_count: bool = field(init=False)

    def __post_init__(self) -> None:
        reached = reached_fields(self.redactor, self.query.tenant_id)
        hidden = tuple(name for name in filters_of(self.query) if FILTERED_FIELDS[name] in reached)
        absent: dict[str, Any] = dict.fromkeys(hidden)
        object.__setattr__(self, "hidden", hidden)
        object.__setattr__(self, "stored", replace(self.query, **absent))
        object.__setattr__(self, "store_may_count", not hidden and not reached & _COUNTED_BY)

    def seen(self, event: AuditEvent) -> dict[str, Any] | None:
        """Return what the reader sees of an event that fits `stored`, None when that does not fit the hidden filters.

        No metric counts this look.
        """
        view = event.record()
        if self.redactor is not None:
            view, _ = self.redactor.peek(view) if isinstance(self.redactor, KnownReach) else self.redactor(view)
        return view if fits_filters(self.query, self.hidden, view.get) else None

    def finds(self, event: AuditEvent) -> bool:
        """Tell whether an event, of any tenant, is one that the reader asks for."""
        return matches(self.stored, event) and (not self.hidden or self.seen(event) is not None)


def reached_fields(redactor: EventRedactor | None, tenant_id: UUID) -> frozenset[str]:
    """Return the fields of a tenant's events that may be hidden from a reader; all where that is not known."""
    if redactor is None:
        return frozenset()
    return redactor.reached_fields(tenant_id) if isinstance(redactor, KnownReach) else _EVERY_FIELD
