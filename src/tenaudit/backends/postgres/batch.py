"""A batch on its way in: sealed, cut into parts that one transaction bears, and searched for what is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tenaudit.audit import AuditEvent, SinkRejected
from tenaudit.audit.integrity import CanonicalError
from tenaudit.audit.retention.records import RESERVED_ACTIONS
from tenaudit.backends.postgres.log import append_rows
from tenaudit.backends.postgres.pool import PostgresPool, PostgresRefusal
from tenaudit.backends.postgres.rows import SealedRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from tenaudit.audit.personal import PersonalFields

__all__ = ["parts", "refused_events", "sealed_rows", "staged_rows", "tenants_of"]

_LARGEST_WRITE = 2000
# A third of a millisecond: the transaction that is under way meanwhile has many answers to take.
_STAGED_SLICE = 16
_LARGEST_WRITE_BYTES = 16 * 2**20


def sealed_rows(events: Sequence[AuditEvent], key: bytes, personal: PersonalFields) -> list[SealedRow]:
    """Return the rows of events.

    Raises:
        SinkRejected: some have no canonical JSON, hold U+0000 or an action that is the store's own; it names them all.
    """
    rows: list[SealedRow] = []
    refused: list[AuditEvent] = []
    reserved: list[AuditEvent] = []
    for event in events:
        if getattr(event, "action", None) in RESERVED_ACTIONS:
            reserved.append(event)
            continue
        try:
            rows.append(SealedRow(event, key, personal))
        except CanonicalError:
            refused.append(event)
    if refused:
        raise SinkRejected.of(refused, "not_canonical")
    if reserved:
        raise SinkRejected.of(reserved, "reserved_action")
    return rows


async def staged_rows(events: Sequence[AuditEvent], key: bytes, personal: PersonalFields) -> list[SealedRow]:
    """Return the rows of events, and let others run in between.

    Raises:
        SinkRejected: as `sealed_rows`, of the events it has come to.
    """
    rows: list[SealedRow] = []
    for start in range(0, len(events), _STAGED_SLICE):
        rows += sealed_rows(events[start : start + _STAGED_SLICE], key, personal)
        await asyncio.sleep(0)
    return rows


def parts(rows: Sequence[SealedRow]) -> Iterator[Sequence[SealedRow]]:
    """Cut rows into parts of at most 2000 rows and 16 MiB; a larger row is a part of its own."""
    part: list[SealedRow] = []
    size = 0
    for row in rows:
        if part and (len(part) >= _LARGEST_WRITE or size + row.size > _LARGEST_WRITE_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += row.size
    if part:
        yield part


def tenants_of(rows: Sequence[SealedRow]) -> list[UUID]:
    """Return whose rows they are, in order."""
    return sorted({row.tenant_id.int: row.tenant_id for row in rows}.values())


async def refused_events(pool: PostgresPool, rows: Sequence[SealedRow], now: datetime) -> list[UUID]:
    """Return the events that PostgreSQL refuses also alone, found by halves; nothing is written.

    Raises:
        StoreError: PostgreSQL failed, or gave no answer in time.
    """
    refused: list[UUID] = []
    waiting = [rows]
    while waiting:
        part = waiting.pop()
        try:
            async with pool.transaction(tenants_of(part), end="ROLLBACK") as session:
                await append_rows(session, part, frozenset(), now)
        except PostgresRefusal:
            if len(part) == 1:
                refused.append(part[0].event_id)
            else:
                waiting += (part[: len(part) // 2], part[len(part) // 2 :])
    return refused
