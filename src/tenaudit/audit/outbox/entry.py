"""An event as the outbox keeps it: one JSON text, its ids, and the shard that keeps its tenant's order.

Rules of this file: pure.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from tenaudit.audit.event import AuditEvent
from tenaudit.audit.ports import SinkRejected

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

__all__ = ["SHARDS", "OutboxEntry", "entries_of", "entry_of", "event_of_text", "shard_of"]

# As many relays can work at once. It is part of the data: another number would give a tenant a second shard, and
# with it a second order.
SHARDS = 32


class OutboxEntry(NamedTuple):
    """What is inserted for one event."""

    shard: int
    event_id: UUID
    tenant_id: UUID
    text: str


def shard_of(tenant_id: UUID) -> int:
    """Return the shard of a tenant: 0 to `SHARDS` - 1, the same in every process and version.

    >>> from uuid import UUID
    >>> shard_of(UUID("7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"))
    20
    """
    return zlib.crc32(tenant_id.bytes) % SHARDS


def entry_of(event: AuditEvent) -> OutboxEntry:
    """Return the entry of an event.

    Raises:
        ValueError: the event was not validated and is no JSON.
    """
    try:
        text = json.dumps(event.record(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
        return OutboxEntry(shard_of(event.tenant_id), event.event_id, event.tenant_id, text)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the event is no JSON: {type(error).__name__}") from None


def entries_of(events: Iterable[AuditEvent]) -> list[OutboxEntry]:
    """Return the entries of a batch.

    Raises:
        SinkRejected: `not_json`, with every event that is none.
    """
    entries: list[OutboxEntry] = []
    refused: list[UUID] = []
    for event in events:
        try:
            entries.append(entry_of(event))
        except ValueError:
            refused.append(event.event_id)
    if refused:
        raise SinkRejected(refused, "not_json")
    return entries


def event_of_text(text: str | bytes) -> AuditEvent | None:
    """Return the event of an entry's text; None when it is none, as after tampering or a downgrade."""
    try:
        return AuditEvent.model_validate_json(text)
    except (ValidationError, RecursionError):
        return None
