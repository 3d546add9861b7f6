"""An event as a row and back; a row that was tampered with never raises here, it just fits nothing."""

from __future__ import annotations

import json
import os
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit.audit import StoreError
from tenaudit.audit.event import unchecked_event, wire_time
from tenaudit.audit.integrity import CanonicalError, canonical_json, leaf_hash
from tenaudit.audit.integrity.commitments import SALT_BYTES, MetRow, is_again, places_text, sealed_leaf
from tenaudit.audit.integrity.event_text import event_text
from tenaudit.audit.integrity.row_leaf import BROKEN, ROW_COLUMNS, proven_leaf
from tenaudit.audit.integrity.stored import content_hash, holds_nul, parsed_json, storable_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit.audit import AuditEvent
    from tenaudit.audit.personal import PersonalFields

__all__ = ["SealedRow", "actual_leaf", "event_from_row", "is_evidence", "plain_uuid"]

# In the order of the record, which is what a leaf commits to.
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
# In the order of the table; behind the payload follow redactions, producer_id, seq, content_hash and log_index.
_before_payload = itemgetter("tenant_id", "event_id", *_COLUMNS[2 : _COLUMNS.index("payload")])
_leaf_values = itemgetter(*ROW_COLUMNS)
_IDS = (ROW_COLUMNS.index("event_id"), ROW_COLUMNS.index("tenant_id"))
_TIME = ROW_COLUMNS.index("occurred_at")
_PAYLOAD = '"payload":'
_BEHIND_PAYLOAD = ',"producer_id":'


def plain_uuid(value: UUID) -> UUID:
    """Return the standard library's UUID: asyncpg gives out a kind of its own."""
    return UUID(int=value.int)


class SealedRow:
    """An event ready to be inserted.

    Attributes:
        tenant_id: whose it is.
        event_id: which it is.
        occurred_at: when it happened.
        leaf: its leaf hash.
        digest: its keyed content hash.
        evidence: the canonical text of the event.
        values: the row of the table, but for the index in the log and what follows it.
        salts: of the places that its leaf commits to by a salted hash, None without any.
        commitments: these places, None for the actor alone.
        size: bytes of it, near enough to bound a statement.

    Raises:
        CanonicalError: the event was not validated and holds what no row can give back as it was.
    """

    __slots__ = (
        *("_key", "commitments", "digest", "event_id", "evidence", "leaf", "occurred_at", "salts", "size"),
        *("tenant_id", "values"),
    )

    def __init__(self, event: AuditEvent, key: bytes, personal: PersonalFields | None = None) -> None:
        canonical, record = event_text(event), None
        if canonical is None:
            record = storable_record(event)
            canonical = canonical_json(record)
        if b"\\" in canonical and b"\\u0000" in canonical and holds_nul(record or event.record()):
            raise CanonicalError("U+0000 cannot be stored everywhere, so it is stored nowhere")
        self._key = key
        self.tenant_id = event.tenant_id
        self.event_id = event.event_id
        self.occurred_at = event.occurred_at
        self.evidence = evidence = canonical.decode()
        self.salts = self.commitments = None
        if personal is not None and (places := personal.places(event)):
            self.salts, self.commitments = os.urandom(SALT_BYTES * len(places)), places_text(places)
            self.leaf = sealed_leaf(evidence, places, self.salts)
        else:
            self.leaf = leaf_hash(canonical)
        self.digest = content_hash(key, self.leaf)
        self.size = len(canonical) + len(self.salts or b"") + len(self.commitments or "")
        redactions = list(event.redactions) if record is None else record["redactions"]
        self.values = (
            *_before_payload(vars(event)),
            # Encoded once, though two columns need it. Quotes in a text are escaped, so the first of the one name and
            # the last of the other are the record's own.
            evidence[evidence.index(_PAYLOAD) + len(_PAYLOAD) : evidence.rindex(_BEHIND_PAYLOAD)],
            canonical_json(redactions).decode() if redactions else "[]",
            event.producer_id,
            event.seq,
            self.digest,
        )

    def is_again(self, met: SealedRow | MetRow) -> bool:
        """Tell whether it is the event of another row, of its own batch or in the table."""
        if isinstance(met, SealedRow):
            return met.evidence == self.evidence
        return met.digest == self.digest or is_again(self.evidence, met, self._key)

    def evidence_digest(self) -> bytes:
        """Return the keyed hash of the evidence, the same whenever it comes: that of the row has salts in it."""
        return self.digest if self.salts is None else content_hash(self._key, leaf_hash(self.evidence.encode()))


def actual_leaf(row: Mapping[str, Any], key: bytes) -> bytes:
    """Return the leaf hash of a row as it is now; an impossible one when the row is broken."""
    values = [*_leaf_values(row)]
    for place in _IDS:
        values[place] = str(values[place])
    try:
        values[_TIME] = wire_time(values[_TIME])
    except (ValueError, OverflowError):
        return BROKEN
    return proven_leaf(values, row["content_hash"], key, row["salts"], row["commitments"])


def is_evidence(row: Mapping[str, Any], tenant_id: UUID, key: bytes) -> bool:
    """Tell whether a kept second content is what was written."""
    text: str = row["record"]
    if content_hash(key, leaf_hash(text.encode())) != row["content_hash"]:
        return False
    kept = json.loads(text)
    return (kept["tenant_id"], kept["event_id"]) == (str(tenant_id), str(row["event_id"]))


def event_from_row(row: Mapping[str, Any]) -> AuditEvent:
    """Return the event of a row.

    Raises:
        StoreError: the row cannot be read as an event; verification names it too.
    """
    try:
        fields = dict(zip(_COLUMNS, _values(row), strict=True))
        fields["event_id"] = plain_uuid(fields["event_id"])
        fields["tenant_id"] = plain_uuid(fields["tenant_id"])
        fields["payload"] = parsed_json(fields["payload"])
        # Most events have none, and reading none costs as much as a payload.
        fields["redactions"] = () if fields["redactions"] == "[]" else tuple(parsed_json(fields["redactions"]))
        return unchecked_event(fields)
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"event {row['event_id']} cannot be read; verify the store") from error
