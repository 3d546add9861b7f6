"""The log in the database: appending in one transaction, and sealing.

The row of a log's head is the lock of its one sequencer: who holds it knows what the tenant has, so what is new can be
told before anything is written.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tenaudit.audit import AppendResult, StoreError
from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity import Checkpoint, CompactRange, MerkleError
from tenaudit.audit.integrity.audit_log import seal_link, whole_checkpoints
from tenaudit.audit.integrity.commitments import MetRow
from tenaudit.audit.retention.steps import DamagedLog
from tenaudit.backends.postgres.expiry import let_in
from tenaudit.backends.postgres.rows import plain_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from tenaudit.backends.postgres.pool import PostgresPool, Session
    from tenaudit.backends.postgres.rows import SealedRow

__all__ = ["append_rows", "frontier_hashes", "log_origin", "read_tips", "seal_logs"]

_HASH = 32
_TIPS_AT_ONCE = 1000
_NO_SUBTREES: list[tuple[Any, ...]] = [()] * 4
_number = attrgetter("int")


class _Sorted:
    """A batch, told apart: what is new, what has come before, and what contradicts it."""

    def __init__(self) -> None:
        self.fresh: dict[int, list[SealedRow]] = {}
        self.conflicts: list[SealedRow] = []
        self.duplicates = 0

    def sort(self, rows: Iterable[SealedRow], known: dict[tuple[int, int], SealedRow | MetRow]) -> None:
        """Sort rows in their order; the first content of an id is the one that counts, in a batch too."""
        for row in rows:
            # As numbers: UUIDs are hashed and compared in Python.
            tenant = row.tenant_id.int
            met = known.setdefault((tenant, row.event_id.int), row)
            if met is row:
                self.fresh.setdefault(tenant, []).append(row)
            elif row.is_again(met):
                self.duplicates += 1
            else:
                self.conflicts.append(row)

    def result(self) -> AppendResult:
        """Return the counts."""
        stored = sum(map(len, self.fresh.values()))
        return AppendResult(stored, self.duplicates, len(self.conflicts), 0)


async def append_rows(
    session: Session, rows: Sequence[SealedRow], begun: frozenset[UUID], now: datetime
) -> AppendResult:
    """Insert what is new and append its leaves; the session is about the tenants of *rows*.

    Args:
        session: the transaction.
        rows: events of one or more tenants.
        begun: tenants of which it is known that they have a log.
        now: the time that periods are counted back from.

    Raises:
        StoreError: the log was tampered with and cannot grow.
    """
    tenants = sorted({row.tenant_id.int: row.tenant_id for row in rows}.values())
    # In order, and before any lock: two batches that begin or lock the same logs never wait for each other in a ring.
    if not begun.issuperset(tenants):
        await session.rows("add_logs", tenants)
    heads = {head["tenant_id"].int: head for head in await session.rows("lock_logs", tenants)}
    if len(heads) < len(tenants):
        raise StoreError("the log of a tenant was taken away; verify the store")
    known = await _known_rows(session, rows)
    admitted = await let_in(session, rows, heads, known, now)
    batch = _Sorted()
    batch.sort(admitted, known)
    if batch.fresh:
        await _extend(session, batch.fresh, heads)
    if batch.conflicts:
        columns = [(row.tenant_id, row.event_id, row.evidence_digest(), row.evidence) for row in batch.conflicts]
        await session.rows("insert_conflicts", *_columns(columns))
    return batch.result()._replace(expired=len(rows) - len(admitted))


async def _known_rows(session: Session, rows: Sequence[SealedRow]) -> dict[tuple[int, int], SealedRow | MetRow]:
    ids = [row.event_id for row in rows]
    first, last = min(ids, key=_number), max(ids, key=_number)
    asked = (_array([row.tenant_id for row in rows]), _array(ids))
    found = await session.rows("find_rows", *asked, first, last)
    return {
        (row["tenant_id"].int, row["event_id"].int): MetRow(row["content_hash"], row["salts"], row["commitments"])
        for row in found
    }


def _array(ids: Iterable[UUID]) -> str:
    """Return the text of an array (PostgreSQL's documentation, section 8.15.2); the hyphens are optional."""
    return "{" + ",".join([f"{one.int:032x}" for one in ids]) + "}"


async def _extend(session: Session, fresh: Mapping[int, Sequence[SealedRow]], heads: Mapping[int, Any]) -> None:
    events: list[tuple[Any, ...]] = []
    leaves: list[bytes] = []
    logs: list[tuple[Any, ...]] = []
    subtrees: list[tuple[Any, ...]] = []
    for tenant, rows in fresh.items():
        tree, tenant_id = _restored(heads[tenant]), rows[0].tenant_id
        added = [row.leaf for row in rows]
        events += [(*row.values, place, row.salts, row.commitments) for place, row in enumerate(rows, tree.size)]
        leaves += added
        tree, completed = tree.grown(added)
        subtrees += [(tenant_id, *subtree) for subtree in completed]
        logs.append((tenant_id, tree.size, b"".join(tree.hashes)))
    kept = _columns(subtrees) if subtrees else _NO_SUBTREES
    if await session.value("extend_logs", events, b"".join(leaves), *_columns(logs), *kept) < len(events):
        raise StoreError("an event came in beside the log while it was locked; try again")


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [*zip(*rows, strict=True)]


async def seal_logs(session: Session, tenants: Sequence[UUID], now: datetime) -> tuple[Checkpoint, ...]:
    """Write a checkpoint for each of the logs that has grown since its last one."""
    sealed: list[Checkpoint] = []
    checkpoints: list[tuple[Any, ...]] = []
    chains: list[tuple[Any, ...]] = []
    for head in await session.rows("lock_logs", tenants):
        if head["size"] <= head["sealed"]:
            continue
        tenant_id = plain_uuid(head["tenant_id"])
        checkpoint = Checkpoint(log_origin(tenant_id), head["size"], _restored(head).root())
        body, sealed_at = checkpoint.body(), wire_time(now)
        checkpoints.append((tenant_id, checkpoint.size, checkpoint.root, body, sealed_at))
        chains.append((tenant_id, seal_link(head["seals"], body, sealed_at), checkpoint.size))
        sealed.append(checkpoint)
    if sealed:
        await session.rows("insert_checkpoints", *_columns(checkpoints))
        await session.rows("write_seals", *_columns(chains))
    return tuple(sealed)


async def read_tips(pool: PostgresPool, tenants: Sequence[UUID], mode: str) -> tuple[Checkpoint, ...]:
    """Return the newest checkpoint of each of the tenants that has one."""
    rows: list[Any] = []
    for start in range(0, len(tenants), _TIPS_AT_ONCE):
        part = tenants[start : start + _TIPS_AT_ONCE]
        async with pool.transaction(part, mode=mode) as session:
            rows += await session.rows("newest_checkpoints", part)
    return whole_checkpoints((log_origin(plain_uuid(row["tenant_id"])), row["size"], row["root"]) for row in rows)


def log_origin(tenant_id: UUID) -> str:
    """Return the name of a tenant's log in its checkpoints."""
    return f"tenaudit/tenant/{tenant_id}"


def frontier_hashes(raw: bytes) -> tuple[bytes, ...]:
    """Return the hashes of a stored frontier."""
    return tuple(raw[place : place + _HASH] for place in range(0, len(raw), _HASH))


def _restored(head: Mapping[str, Any]) -> CompactRange:
    try:
        return CompactRange(head["size"], frontier_hashes(head["frontier"]))
    except MerkleError:
        raise DamagedLog(head["tenant_id"]) from None
