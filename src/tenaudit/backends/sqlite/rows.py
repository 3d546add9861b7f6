"""An event as a row and back; a row that was tampered with never raises here, it just fits nothing."""

from __future__ import annotations

import hmac
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit.audit import AuditEvent, StoreError
from tenaudit.audit.integrity import canonical_json
from tenaudit.audit.integrity.audit_log import event_leaf

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

__all__ = ["SealedRow", "actual_leaf", "content_hash", "event_from_row", "uuid_or_text"]

_COLUMNS = (
    "event_id",
    "tenant_id",
    "occurred_at",
    "actor_id",
    "actor_type",
    "action",
    "resource_type",
    "resource_id",
    "outcome",
    "severity",
    "service",
    "trace_id",
    "schema_version",
    "producer_id",
    "seq",
)
_BROKEN = b""


def content_hash(key: bytes, leaf: bytes) -> bytes:
    """Return the keyed hash that tells a duplicate from a conflict, and that only the store can make."""
    return hmac.digest(key, leaf, "sha256")


class SealedRow:
    """An event ready to be inserted: its parameters and its leaf hash."""

    __slots__ = ("leaf", "parameters")

    def __init__(self, event: AuditEvent, key: bytes) -> None:
        record = event.record()
        self.leaf = event_leaf(record)
        self.parameters: dict[str, Any] = {
            **record,
            "payload": canonical_json(record["payload"]).decode(),
            "redactions": canonical_json(record["redactions"]).decode(),
            "content_hash": content_hash(key, self.leaf),
        }


def _record(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the wire form of a row, None when its JSON is not exactly what was written."""
    record: dict[str, Any] = {column: row[column] for column in _COLUMNS}
    try:
        for column in ("payload", "redactions"):
            record[column] = json.loads(row[column])
            if canonical_json(record[column]).decode() != row[column]:
                return None
    except (ValueError, TypeError, RecursionError):
        return None
    return record


def actual_leaf(row: sqlite3.Row, key: bytes) -> bytes:
    """Return the leaf hash of a row as it is now; an impossible one when the row is broken."""
    record = _record(row)  # type: ignore[arg-type]
    if record is None:
        return _BROKEN
    try:
        leaf = event_leaf(record)
    except ValueError:
        return _BROKEN
    return leaf if row["content_hash"] == content_hash(key, leaf) else _BROKEN


def event_from_row(row: sqlite3.Row) -> AuditEvent:
    """Return the event of a row.

    Raises:
        StoreError: the row cannot be read as an event; verification names it too.
    """
    try:
        return AuditEvent.model_construct(
            **{column: row[column] for column in _COLUMNS}
            | {
                "event_id": UUID(row["event_id"]),
                "tenant_id": UUID(row["tenant_id"]),
                "occurred_at": datetime.fromisoformat(row["occurred_at"]),
                "payload": json.loads(row["payload"]),
                "redactions": tuple(json.loads(row["redactions"])),
            }
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"event {row['event_id']!r} cannot be read; verify the store") from error


def uuid_or_text(text: str) -> UUID | str:
    """Return the UUID, or the raw text where tampering left none."""
    try:
        return UUID(text)
    except ValueError:
        return text
