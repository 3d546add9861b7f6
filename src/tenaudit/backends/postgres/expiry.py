"""Events that a purge took and that come again: told apart before they are stored a second time."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tenaudit.audit.integrity import leaf_hash
from tenaudit.audit.integrity.commitments import MetRow
from tenaudit.audit.retention.moments import id_time
from tenaudit.audit.retention.terms import TenantTerms
from tenaudit.backends.postgres.rows import plain_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tenaudit.backends.postgres.pool import Session
    from tenaudit.backends.postgres.rows import SealedRow

__all__ = ["default_days", "let_in", "terms_of"]

_number = attrgetter("int")


def terms_of(head: Mapping[str, Any]) -> TenantTerms:
    """Return what the head of a log says of its tenant's retention."""
    return TenantTerms(plain_uuid(head["tenant_id"]), head["retention_days"], head["held"], head["purged_before"])


async def default_days(session: Session) -> int:
    """Return the period of tenants that have none of their own."""
    return int(await session.value("default_days"))


async def let_in(
    session: Session,
    rows: Sequence[SealedRow],
    heads: Mapping[int, Any],
    known: dict[tuple[int, int], SealedRow | MetRow],
    now: datetime,
) -> Sequence[SealedRow]:
    """Return the rows without those that expired, and make those known whose leaf is there without its event.

    Args:
        session: the transaction, which has locked the logs.
        rows: a batch.
        heads: the heads of the logs by tenant.
        known: what is there of the events, by tenant and id; it is added to.
        now: the time that periods are counted back from.
    """
    # Of most tenants nothing was ever purged, and what comes is younger than what was.
    terms = {tenant: terms_of(head) for tenant, head in heads.items() if head["purged_before"] is not None}
    old = [
        row
        for row in rows
        if row.tenant_id.int in terms
        and (
            terms[row.tenant_id.int].may_be_purged(row.occurred_at)
            # Younger, with the id of an event that may have gone.
            or terms[row.tenant_id.int].may_be_purged(id_time(row.event_id))
        )
        and (row.tenant_id.int, row.event_id.int) not in known
    ]
    if not old:
        return rows
    days = await default_days(session)
    expired = {id(row) for row in old if terms[row.tenant_id.int].expires(row.occurred_at, days, now)}
    late = [row for row in old if id(row) not in expired]
    if late:
        leaves = await _leaves(session, late)
        for row in late:
            place = (row.tenant_id.int, row.event_id.int)
            if place not in leaves:
                continue
            if leaves[place] == leaf_hash(row.evidence.encode()):
                known.setdefault(place, MetRow(row.digest))
            else:
                # Salts may have gone with the event, so nothing tells whether this one is it: nothing of it is kept,
                # for it may be what was erased before.
                expired.add(id(row))
    return [row for row in rows if id(row) not in expired]


async def _leaves(session: Session, rows: Sequence[SealedRow]) -> dict[tuple[int, int], bytes]:
    ids = [row.event_id for row in rows]
    bounds = (min(ids, key=_number), max(ids, key=_number))
    found = await session.rows("known_leaves", [row.tenant_id for row in rows], ids, *bounds)
    return {(row["tenant_id"].int, row["event_id"].int): row["leaf_hash"] for row in found}
