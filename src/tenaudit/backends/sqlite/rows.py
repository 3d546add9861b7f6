"""An event as a row and back; a row that was tampered with never raises here, it just fits nothing."""

from __future__ import annotations

import json
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit.audit import StoreError
from tenaudit.audit.event import unchecked_event
from tenaudit.audit.integrity import CanonicalError, canonical_json, leaf_hash
from tenaudit.audit.integrity.row_leaf import BROKEN, ROW_COLUMNS, proven_leaf
from tenaudit.audit.integrity.stored import content_hash, holds_nul, parsed_json, storable_record

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from tenaudit.audit import AuditEvent

__all__ = [
    "SealedRow",
    "actual_leaf",
    "event_from_row",
    "evidence_text",
    "is_evidence",
    "uuid_or_text",
]

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
    "payload",
    "redactions",
    "producer_id",
    "seq",
)
_values = itemgetter(*_COLUMNS)
_leaf_values = itemgetter(*ROW_COLUMNS)


class SealedRow:
    """An event ready to be inserted: its parameters and its leaf hash.

    Raises:
        CanonicalError: the event was not validated and holds what no row can give back as it was.
    """

    __slots__ = ("leaf", "parameters")

    def __init__(self, event: AuditEvent, key: bytes) -> None:
        record = storable_record(event)
        canonical = canonical_json(record)
        if b"\\u0000" in canonical and holds_nul(record):
            raise CanonicalError("U+0000 cannot be stored everywhere, so it is stored nowhere")
        self.leaf = leaf_hash(canonical)
        self.parameters: dict[str, Any] = {
            **record,
            "payload": canonical_json(record["payload"]).decode(),
            "redactions": canonical_json(record["redactions"]).decode(),
            "content_hash": content_hash(key, self.leaf),
        }


def actual_leaf(row: Mapping[str, Any], key: bytes) -> bytes:
    """Return the leaf hash of a row as it is now; an impossible one when the row is broken."""
    return proven_leaf(_leaf_values(row), row["content_hash"], key)


def evidence_text(row: SealedRow) -> str:
    """Return the JSON kept of an event whose id was taken by another content."""
    return canonical_json({name: value for name, value in row.parameters.items() if name != "content_hash"}).decode()


def is_evidence(row: Mapping[str, Any], tenant_id: str, key: bytes) -> bool:
    """Tell whether a kept second content is what was written."""
    try:
        kept = json.loads(row["record"])
        whole = canonical_json(kept).decode() == row["record"]
        known = {**kept, "content_hash": row["content_hash"]}
        about = (kept["tenant_id"], kept["event_id"]) == (tenant_id, row["event_id"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return False
    return whole and about and actual_leaf(known, key) != BROKEN


def event_from_row(row: sqlite3.Row) -> AuditEvent:
    """Return the event of a row.

    Raises:
        StoreError: the row cannot be read as an event; verification names it too.
    """
    try:
        fields = dict(zip(_COLUMNS, _values(row), strict=True))
        fields["event_id"] = UUID(fields["event_id"])
        fields["tenant_id"] = UUID(fields["tenant_id"])
        fields["occurred_at"] = datetime.fromisoformat(fields["occurred_at"])
        fields["payload"] = parsed_json(fields["payload"])
        fields["redactions"] = tuple(parsed_json(fields["redactions"]))
        return unchecked_event(fields)
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"event {row['event_id']!r} cannot be read; verify the store") from error


def uuid_or_text(text: str) -> UUID | str:
    """Return the UUID, or the raw text where tampering left none; bytes that are no text are shown escaped."""
    try:
        return UUID(text)
    except ValueError:
        return text.encode("utf-8", "backslashreplace").decode()
