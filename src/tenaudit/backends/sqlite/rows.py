"""An event as a row and back; a row that was tampered with never raises here, it just fits nothing."""

from __future__ import annotations

import json
import os
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit.audit import StoreError
from tenaudit.audit.event import unchecked_event
from tenaudit.audit.integrity import CanonicalError, canonical_json, leaf_hash
from tenaudit.audit.integrity.commitments import SALT_BYTES, MetRow, is_again, places_text, sealed_leaf
from tenaudit.audit.integrity.row_leaf import BROKEN, ROW_COLUMNS, proven_leaf
from tenaudit.audit.integrity.stored import content_hash, holds_nul, parsed_json, storable_record

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from tenaudit.audit import AuditEvent
    from tenaudit.audit.personal import PersonalFields

__all__ = [
    "SealedRow",
    "actual_leaf",
    "event_from_row",
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
# Another salt each time the same event comes would make it another evidence.
_NOT_EVIDENCE = {"salts": None, "commitments": None}


class SealedRow:
    """An event ready to be inserted: its parameters and its leaf hash.

    Raises:
        CanonicalError: the event was not validated and holds what no row can give back as it was.
    """

    __slots__ = ("_key", "evidence", "leaf", "parameters")

    def __init__(self, event: AuditEvent, key: bytes, personal: PersonalFields | None = None) -> None:
        record = storable_record(event)
        canonical = canonical_json(record)
        if b"\\u0000" in canonical and holds_nul(record):
            raise CanonicalError("U+0000 cannot be stored everywhere, so it is stored nowhere")
        self._key = key
        self.evidence = canonical.decode()
        salts = commitments = None
        if personal is not None and (places := personal.places(event)):
            salts, commitments = os.urandom(SALT_BYTES * len(places)), places_text(places)
            self.leaf = sealed_leaf(self.evidence, places, salts)
        else:
            self.leaf = leaf_hash(canonical)
        self.parameters: dict[str, Any] = {
            **record,
            "payload": canonical_json(record["payload"]).decode(),
            "redactions": canonical_json(record["redactions"]).decode(),
            "content_hash": content_hash(key, self.leaf),
            "salts": salts,
            "commitments": commitments,
        }

    def is_again(self, row: sqlite3.Row) -> bool:
        """Tell whether it is the event of a row of the table."""
        return is_again(self.evidence, MetRow(row["content_hash"], row["salts"], row["commitments"]), self._key)

    def evidence_parameters(self) -> dict[str, Any]:
        """Return what is kept of an event whose id was taken by another content, the same whenever it comes."""
        kept = {name: value for name, value in self.parameters.items() if name not in {"content_hash", *_NOT_EVIDENCE}}
        digest = content_hash(self._key, leaf_hash(self.evidence.encode()))
        return {**kept, "content_hash": digest, "record": canonical_json(kept).decode()}


def actual_leaf(row: Mapping[str, Any], key: bytes) -> bytes:
    """Return the leaf hash of a row as it is now; an impossible one when the row is broken."""
    return proven_leaf(_leaf_values(row), row["content_hash"], key, row["salts"], row["commitments"])


def is_evidence(row: Mapping[str, Any], tenant_id: str, key: bytes) -> bool:
    """Tell whether a kept second content is what was written."""
    try:
        kept = json.loads(row["record"])
        whole = canonical_json(kept).decode() == row["record"]
        known = {**kept, "content_hash": row["content_hash"], **_NOT_EVIDENCE}
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
