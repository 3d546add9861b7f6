"""`GET /audit/stats`: how many events of each kind fit, counted within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.audit.parameters import FILTERS, query_of, read_parameters
from tenaudit.audit.stats import Counts
from tenaudit.audit.visible_search import WalkBounds, count_visible
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit.audit.stats import EventStats
    from tenaudit.gate.audit_reader import AuditReader
    from tenaudit.security import SecurityContext

__all__ = ["MAX_COUNTED", "count_events"]

MAX_COUNTED = 100_000
"""The most events that one answer counts."""


async def count_events(
    reader: AuditReader, context: SecurityContext, parameters: Iterable[tuple[str, str]]
) -> EventStats:
    """Return the counts of the caller's tenant.

    Raises:
        ApiError: 400 `invalid_parameter`, 404 `not_found` for a store that cannot count, 503 `unavailable`.
    """
    store = reader.store
    if not isinstance(store, Counts):
        raise ApiError.not_found("This store cannot count.")
    query = query_of(context.tenant_id, read_parameters(parameters, FILTERS))
    asked = reader.asked(query, may_unredact=reader.may_unredact(context))
    seconds = reader.walk_seconds
    if asked.store_may_count:
        return await reader.ask(store.stats(query, max_events=MAX_COUNTED, seconds=seconds))
    bounds = WalkBounds(MAX_COUNTED, seconds)
    return await reader.ask(count_visible(reader.store.search, asked, bounds, clock=reader.clock))
