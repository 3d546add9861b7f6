"""Dead letters as rows of SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.audit.consumer import DeadLetter, Partition
from tenaudit.audit.consumer.kept_record import KeptRecord

if TYPE_CHECKING:
    import sqlite3

    from tenaudit.audit.consumer import SourceRecord

__all__ = ["letter_of", "record_of", "row_of"]


def row_of(kept: KeptRecord, reason: str, now: float) -> dict[str, Any]:
    """Return the row of a record; *now* is in Unix seconds."""
    return {
        "topic": kept.topic,
        "number": kept.number,
        "place": kept.place,
        "digest": kept.digest,
        "record_key": kept.key,
        "value": kept.value,
        "value_bytes": kept.value_bytes,
        "headers": kept.headers,
        "is_whole": int(kept.is_whole),
        "written_ms": kept.written_ms,
        "reason": reason,
        "now": now,
    }


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
    return KeptRecord(
        row["topic"], row["number"], row["place"], row["record_key"], row["value"], row["headers"], row["written_ms"]
    ).record()
