"""Dead letters as rows: what is kept of a record, and what is told of it."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tenaudit.audit.consumer import Partition, SourceRecord
from tenaudit.audit.consumer.wire import MAX_RECORD_BYTES

if TYPE_CHECKING:
    import sqlite3

__all__ = ["DeadLetter", "letter_of", "record_of", "row_of", "storable"]

# Of a value that no replay can ever take, only so much is kept, for whoever looks into the cause.
_KEPT_OF_TOO_LARGE = 64 * 1024
_MAX_KEY = 1024
_MAX_HEADERS = 64
_MAX_HEADER_BYTES = 16 * 1024
# The name of a topic has 249 characters at most.
_MAX_TEXT = 250


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What is told of a dead letter, without its bytes.

    Args:
        id: names it in this file; never given out twice.
        partition: where the record was.
        offset: its place there.
        reason: why it is here, as one word.
        size: bytes of its value, also of those that were not kept; None for a deletion mark.
        is_whole: False when value, key or headers were too large to be kept in full; it cannot be replayed.
        first_seen: when it came first, in Unix seconds.
        last_seen: when it came last.
        times_seen: how often it came.
        replays: how often it was replayed in vain.

    Example:
        >>> DeadLetter(1, Partition("audit.events", 0), 7, "not_json", 2, True, 0.0, 0.0, 1, 0).reason
        'not_json'
    """

    id: int
    partition: Partition
    offset: int
    reason: str
    size: int | None
    is_whole: bool
    first_seen: float
    last_seen: float
    times_seen: int
    replays: int


def row_of(record: SourceRecord, reason: str, now: float) -> dict[str, Any]:
    """Return what the table keeps of a record; *now* is in Unix seconds."""
    value, key, headers = record.value, record.key, _bounded(record.headers)
    too_large = value is not None and len(value) > MAX_RECORD_BYTES
    is_whole = not too_large and len(key or b"") <= _MAX_KEY and len(headers) == len(record.headers)
    return {
        "topic": storable(record.partition.topic),
        "number": record.partition.number,
        "place": record.offset,
        # A topic that was deleted and made again has the same positions with other records.
        "digest": sha256(value or b"").digest(),
        "record_key": key and key[:_MAX_KEY],
        "value": value[:_KEPT_OF_TOO_LARGE] if value is not None and too_large else value,
        "value_bytes": None if value is None else len(value),
        "headers": json.dumps([(name, None if told is None else b64encode(told).decode()) for name, told in headers]),
        "is_whole": int(is_whole),
        "written_ms": record.timestamp_ms,
        "reason": storable(reason),
        "now": now,
    }


def _bounded(headers: tuple[tuple[str, bytes | None], ...]) -> list[tuple[str, bytes | None]]:
    kept: list[tuple[str, bytes | None]] = []
    room = _MAX_HEADER_BYTES
    for name, told in headers[:_MAX_HEADERS]:
        room -= len(name) + len(told or b"")
        if room < 0:
            break
        kept.append((name, told))
    return kept


def letter_of(row: sqlite3.Row) -> DeadLetter:
    """Return what is told of a row."""
    return DeadLetter(
        row["id"],
        Partition(row["topic"], row["number"]),
        row["place"],
        row["reason"],
        row["value_bytes"],
        bool(row["is_whole"]),
        row["first_seen"],
        row["last_seen"],
        row["times_seen"],
        row["replays"],
    )


def record_of(row: sqlite3.Row) -> SourceRecord:
    """Return the record in a row.

    Raises:
        ValueError: its headers were tampered with; so does TypeError.
    """
    headers = tuple(
        (name, None if told is None else b64decode(told, validate=True)) for name, told in json.loads(row["headers"])
    )
    return SourceRecord(
        Partition(row["topic"], row["number"]),
        row["place"],
        row["value"],
        row["record_key"],
        headers,
        row["written_ms"],
    )


def storable(text: str) -> str:
    """Return text that SQLite has: one that it refused would hold up the stream for ever."""
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode()
