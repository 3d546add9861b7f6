"""What is kept of a record that went to the dead letters, and the record again.

Rules of this file: pure; both ends of every store of dead letters use it, so that a letter means the same in each.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from tenaudit.audit.consumer.ports import Partition, SourceRecord
from tenaudit.audit.consumer.wire import MAX_RECORD_BYTES

__all__ = ["KeptRecord", "storable_text"]

# Of a value that no replay can ever take, only so much is kept, for whoever looks into the cause.
_KEPT_OF_TOO_LARGE = 64 * 1024
_MAX_KEY = 1024
_MAX_HEADERS = 64
_MAX_HEADER_BYTES = 16 * 1024
# The name of a topic has 249 characters at most.
_MAX_TEXT = 250


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record in columns that every database has.

    Args:
        topic: where it was, as text that can be stored.
        number: likewise, the partition.
        place: likewise, the offset.
        key: at most 1 KiB of it.
        value: all of it, or 64 KiB of one that no consumer takes.
        headers: JSON, `[[name, Base64 or null], ...]`, at most 64 and 16 KiB of them.
        written_ms: when it was written, in milliseconds since the Unix epoch.
        value_bytes: bytes of the whole value; None for a deletion mark.
        digest: SHA-256 of the whole value.
        is_whole: whether nothing was cut.

    Example:
        >>> record = SourceRecord(Partition("audit.events", 0), 7, b"{", b"key", (("format", b"x"),))
        >>> KeptRecord.of(record).record() == record
        True
    """

    topic: str
    number: int
    place: int
    key: bytes | None
    value: bytes | None
    headers: str
    written_ms: int | None
    value_bytes: int | None = None
    digest: bytes = b""
    is_whole: bool = True

    @classmethod
    def of(cls, record: SourceRecord) -> KeptRecord:
        """Return what is kept of a record."""
        value, key, headers = record.value, record.key, _bounded(record.headers)
        too_large = value is not None and len(value) > MAX_RECORD_BYTES
        told = [(name, None if told is None else b64encode(told).decode()) for name, told in headers]
        return cls(
            storable_text(record.partition.topic),
            record.partition.number,
            record.offset,
            key and key[:_MAX_KEY],
            value[:_KEPT_OF_TOO_LARGE] if value is not None and too_large else value,
            json.dumps(told),
            record.timestamp_ms,
            None if value is None else len(value),
            # A topic that was deleted and made again has the same positions with other records.
            sha256(value or b"").digest(),
            not too_large and len(key or b"") <= _MAX_KEY and len(headers) == len(record.headers),
        )

    @property
    def size(self) -> int:
        """Bytes that are kept of key, headers and value."""
        return len(self.key or b"") + len(self.headers) + len(self.value or b"")

    def record(self) -> SourceRecord:
        """Return the record.

        Raises:
            ValueError: its headers were tampered with; so does TypeError.
        """
        headers = tuple(
            (name, None if told is None else b64decode(told, validate=True)) for name, told in json.loads(self.headers)
        )
        place = Partition(self.topic, self.number)
        return SourceRecord(place, self.place, self.value, self.key, headers, self.written_ms)


def _bounded(headers: tuple[tuple[str, bytes | None], ...]) -> list[tuple[str, bytes | None]]:
    kept: list[tuple[str, bytes | None]] = []
    room = _MAX_HEADER_BYTES
    for name, told in headers[:_MAX_HEADERS]:
        room -= len(name) + len(told or b"")
        if room < 0:
            break
        kept.append((name, told))
    return kept


def storable_text(text: str) -> str:
    r"""Return text that every database has: one that it refused would hold up the stream for ever.

    >>> storable_text("a\0b")
    'a?b'
    """
    return text[:_MAX_TEXT].replace("\0", "?").encode("utf-8", "replace").decode()
