"""The log inside the file: appending in one transaction, and sealing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.audit import AppendResult, SinkRejected, StoreError
from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity import CanonicalError, Checkpoint, CompactRange, MerkleError
from tenaudit.audit.integrity.audit_log import seal_link, whole_checkpoints
from tenaudit.audit.retention.moments import wall_time
from tenaudit.audit.retention.records import RESERVED_ACTIONS
from tenaudit.audit.retention.steps import DamagedLog
from tenaudit.backends.sqlite.expiry import ExpiryGate
from tenaudit.backends.sqlite.proofs import keep_subtrees
from tenaudit.backends.sqlite.rows import SealedRow, actual_leaf
from tenaudit.backends.sqlite.transaction import transaction
from tenaudit.backends.sqlite.verify import LogCheck, hashes_of, log_origin

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from uuid import UUID

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AuditEvent
    from tenaudit.audit.personal import PersonalFields

__all__ = ["LogFile"]

_HASH = 32


class LogFile:
    """What can be done with the log of a file; every method takes the connection it works on.

    Args:
        statements: the named statements.
        key: secret of the content hashes.
        clock: tells when a checkpoint is sealed, and what has expired.
        personal: what leaves commit to by salted hashes.

    Attributes:
        check: what checks all of it again.
    """

    def __init__(self, statements: dict[str, str], key: bytes, clock: Clock, personal: PersonalFields) -> None:
        self.statements = self._sql = statements
        self._key = key
        self._clock = clock
        self._personal = personal
        self.check = LogCheck(statements, key, clock)

    def append(self, connection: sqlite3.Connection, events: Sequence[AuditEvent]) -> AppendResult:
        """Insert what is new and append its leaves, all in one transaction.

        Raises:
            SinkRejected: events that can never be stored; nothing was written.
            StoreError: the log was tampered with and cannot grow.
        """
        rows = self._sealed_rows(events)
        counts = {"stored": 0, "duplicates": 0, "conflicts": 0, "expired": 0}
        with transaction(connection, "IMMEDIATE"):
            gate = ExpiryGate(connection, self._sql, wall_time(self._clock))
            fresh: dict[str, list[SealedRow]] = {}
            for row in rows:
                if (known := gate.judge(row)) is not None:
                    counts[known] += 1
                elif connection.execute(self._sql["insert_event"], row.parameters).rowcount == 1:
                    fresh.setdefault(row.parameters["tenant_id"], []).append(row)
                    counts["stored"] += 1
                else:
                    counts[self._met_again(connection, row)] += 1
            for tenant_id, new in fresh.items():
                self._extend(connection, tenant_id, new)
        return AppendResult(**counts)

    def sealed_row(self, event: AuditEvent) -> SealedRow:
        """Return the row of an event that tenaudit itself made."""
        return SealedRow(event, self._key)

    def leaf_of(self, row: Any) -> bytes:
        """Return the leaf hash of a row as it is now."""
        return actual_leaf(row, self._key)

    def take(self, connection: sqlite3.Connection, row: SealedRow) -> int:
        """Insert one new event in the transaction that is open, and return its place in the log.

        Raises:
            StoreError: the id is there already, or the log was tampered with and cannot grow.
        """
        if connection.execute(self._sql["insert_event"], row.parameters).rowcount != 1:
            raise StoreError(f"event {row.parameters['event_id']} is there already; try again")
        return self._extend(connection, row.parameters["tenant_id"], [row])

    def _sealed_rows(self, events: Sequence[AuditEvent]) -> list[SealedRow]:
        rows: list[SealedRow] = []
        refused: list[AuditEvent] = []
        reserved: list[AuditEvent] = []
        for event in events:
            if getattr(event, "action", None) in RESERVED_ACTIONS:
                reserved.append(event)
                continue
            try:
                rows.append(SealedRow(event, self._key, self._personal))
            except CanonicalError:
                refused.append(event)
        if refused:
            raise SinkRejected.of(refused, "not_canonical")
        if reserved:
            raise SinkRejected.of(reserved, "reserved_action")
        return rows

    def _met_again(self, connection: sqlite3.Connection, row: SealedRow) -> str:
        if row.is_again(connection.execute(self._sql["met_row"], row.parameters).fetchone()):
            return "duplicates"
        self._keep_evidence(connection, row)
        return "conflicts"

    def _keep_evidence(self, connection: sqlite3.Connection, row: SealedRow) -> None:
        connection.execute(self._sql["insert_conflict"], {**row.evidence_parameters(), "seen_at": self._now()})

    def _now(self) -> str:
        return wire_time(wall_time(self._clock))

    def _extend(self, connection: sqlite3.Connection, tenant_id: str, rows: Sequence[SealedRow]) -> int:
        """Append leaves, and return the place of the first."""
        tree = self._tree(connection, tenant_id)
        connection.executemany(
            self._sql["insert_leaf"],
            [
                {
                    "tenant_id": tenant_id,
                    "idx": tree.size + place,
                    "event_id": row.parameters["event_id"],
                    "leaf_hash": row.leaf,
                }
                for place, row in enumerate(rows)
            ],
        )
        first = tree.size
        tree, completed = tree.grown([row.leaf for row in rows])
        keep_subtrees(connection, self._sql, tenant_id, completed)
        connection.execute(
            self._sql["write_log"], {"tenant_id": tenant_id, "size": tree.size, "frontier": b"".join(tree.hashes)}
        )
        return first

    def _tree(self, connection: sqlite3.Connection, tenant_id: str) -> CompactRange:
        row = connection.execute(self._sql["read_log"], {"tenant_id": tenant_id}).fetchone()
        return CompactRange() if row is None else _restored(row, tenant_id)

    def seal(self, connection: sqlite3.Connection, tenant_id: UUID | None) -> tuple[Checkpoint, ...]:
        """Write a checkpoint for every log that has grown since its last one."""
        sealed = []
        with transaction(connection, "IMMEDIATE"):
            wanted = {"tenant_id": None if tenant_id is None else str(tenant_id)}
            for row in connection.execute(self._sql["grown_logs"], wanted).fetchall():
                checkpoint = Checkpoint(
                    log_origin(row["tenant_id"]), row["size"], _restored(row, row["tenant_id"]).root()
                )
                body, sealed_at = checkpoint.body(), self._now()
                connection.execute(
                    self._sql["insert_checkpoint"],
                    {
                        "tenant_id": row["tenant_id"],
                        "size": checkpoint.size,
                        "root": checkpoint.root,
                        "body": body,
                        "sealed_at": sealed_at,
                    },
                )
                chain = {"tenant_id": row["tenant_id"], "seals": seal_link(row["seals"], body, sealed_at)}
                connection.execute(self._sql["write_seals"], chain)
                sealed.append(checkpoint)
        return tuple(sealed)

    def tips(self, connection: sqlite3.Connection) -> tuple[Checkpoint, ...]:
        """Return the newest checkpoint of each tenant that has one."""
        rows = connection.execute(self._sql["newest_checkpoints"]).fetchall()
        return whole_checkpoints((log_origin(row["tenant_id"]), row["size"], row["root"]) for row in rows)


def _restored(row: sqlite3.Row, tenant_id: str) -> CompactRange:
    try:
        return CompactRange(row["size"], hashes_of(row["frontier"]))
    except MerkleError:
        raise DamagedLog(tenant_id) from None
