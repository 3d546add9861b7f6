"""An event as bytes and back, each under a sequence number and a checksum of its own.

Pure. Format 1: a record is `seq`, `length`, `id` (8 + 4 + 16 bytes, big endian), CRC-32 over these and the body (4
bytes), and the body: the event as JSON. A chunk is records in a row, without gaps: what one row of a segment holds.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from pydantic import ValidationError

from tenaudit.audit import AuditEvent, SinkRejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

__all__ = ["FORMAT", "MOST_IN_CHUNK", "Placed", "Record", "chunked", "decoded", "encoded", "unchunked"]

FORMAT = 1
# One damaged page can take the chunk along that it is in, so a chunk is no longer than it has to be for speed.
MOST_IN_CHUNK = 512
_CHUNK_BYTES = 128 * 1024

_HEAD = struct.Struct(">QI16s")
_CRC = struct.Struct(">I")
_SEQ = struct.Struct(">Q")
_BODY_AT = _HEAD.size + _CRC.size

# An event that is ready to be written: its id and its JSON. A plain tuple, since it is made for every event.
Record = tuple[bytes, bytes]


class Placed(NamedTuple):
    """A record that was read, with its number."""

    seq: int
    id: bytes
    body: bytes


def encoded(events: Sequence[AuditEvent]) -> list[Record]:
    """Return the records of *events*.

    Raises:
        SinkRejected: events that are no JSON.
    """
    to_json = AuditEvent.__pydantic_serializer__.to_json
    records: list[Record] = []
    refused: list[UUID] = []
    for event in events:
        try:
            # A field of another type is written as it is; reading it back says whether it is an event.
            records.append((event.event_id.bytes, to_json(event, warnings=False)))
        except Exception:  # noqa: BLE001 - an event that was not validated may hold any object
            refused.append(event.event_id)
    if refused:
        raise SinkRejected(refused, "not_json")
    return records


def decoded(body: bytes) -> AuditEvent | None:
    """Return the event of a record, None when it is none that this version knows."""
    try:
        return AuditEvent.model_validate_json(body)
    except ValidationError:
        return None


def chunked(records: Sequence[Record], first: int) -> Iterator[tuple[int, bytes]]:
    """Yield each chunk of *records*, which are numbered from *first* on, after the number of its first record.

    Example:
        >>> [(number, len(chunk)) for number, chunk in chunked([(b"i" * 16, b"{}")] * 513, 1)]
        [(1, 17408), (513, 34)]
    """
    parts: list[bytes] = []
    size = 0
    begin = first
    for seq, (event_id, body) in enumerate(records, first):
        head = _HEAD.pack(seq, len(body), event_id)
        parts += (head, _CRC.pack(crc32(body, crc32(head))), body)
        size += len(body)
        if size >= _CHUNK_BYTES or seq - begin == MOST_IN_CHUNK - 1:
            yield begin, b"".join(parts)
            parts, size, begin = [], 0, seq + 1
    if parts:
        yield begin, b"".join(parts)


def unchunked(first: object, chunk: object) -> Iterator[Placed]:
    """Yield the records of a chunk that are exactly what was written; a damaged file may give anything for a chunk.

    After a damaged record the next one is found by its number, so one flipped bit costs one record.
    """
    if not isinstance(first, int) or not isinstance(chunk, bytes) or len(chunk) < _BODY_AT:
        return
    place = 0
    own = _SEQ.unpack_from(chunk)[0]
    # One of the two may be damaged.
    begin = own if _whole(chunk, 0, own) else first
    for seq in range(max(begin, 0), min(begin + MOST_IN_CHUNK, 2**63)):
        if place >= len(chunk):
            return
        found = _whole(chunk, place, seq)
        if found is None and (again := chunk.find(_SEQ.pack(seq), place)) >= 0:
            place = again
            found = _whole(chunk, place, seq)
        if found is not None:
            yield found
            place += _BODY_AT + len(found.body)


def _whole(chunk: bytes, place: int, seq: int) -> Placed | None:
    """Return the record at *place* when it is whole and number *seq*."""
    if place + _BODY_AT > len(chunk):
        return None
    number, length, event_id = _HEAD.unpack_from(chunk, place)
    start = place + _BODY_AT
    if number != seq or start + length > len(chunk):
        return None
    body = chunk[start : start + length]
    known = _CRC.unpack_from(chunk, place + _HEAD.size)[0]
    return Placed(seq, event_id, body) if crc32(body, crc32(chunk[place : place + _HEAD.size])) == known else None
