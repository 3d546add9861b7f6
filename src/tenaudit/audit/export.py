"""Events as a file: NDJSON for programs, CSV for spreadsheets; both end by saying that they are whole.

Rules of this file: pure; records in, bytes out, one at a time.

| format | a line | the last line |
| --- | --- | --- |
| `ndjson` | the wire form of an event, as `AuditEvent` and the importers read it | `{"tenaudit_export":{...}}` |
| `csv` | RFC 4180 with a head; objects and lists are JSON text, null is an empty field | `#complete`, the count |
"""

from __future__ import annotations

import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit.audit.event import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["COLUMNS", "EXPORT_FORMATS", "PROOF", "TRAILER", "ExportFormat", "csv_field", "defused", "restored"]

COLUMNS: tuple[str, ...] = tuple(AuditEvent.model_fields)
"""The columns of CSV, in the order of the wire form."""

TRAILER = "tenaudit_export"
"""The one member of the last object of an NDJSON export; no event has it."""

PROOF = "tenaudit_proof"
"""The member that an NDJSON export with proofs adds to an event; no event has it."""

# What a spreadsheet takes for a formula at the start of a cell, and the quote that keeps it from doing so.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "'")
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
# RFC 4180 section 2, rules 5 to 7; and what readers strip or split at unless it is quoted.
_QUOTED = re.compile(r'[",\r\n;\t]|\A\s|\s\Z|\A\Z')


class ExportFormat(NamedTuple):
    """One format of exports.

    Args:
        content_type: the media type of the whole.
        suffix: what the file's name ends with.
        head: the bytes before the first event.
        line: makes the bytes of one record.
        end: makes the bytes that say how many events there were.
    """

    content_type: str
    suffix: str
    head: bytes
    line: Callable[[Mapping[str, Any]], bytes]
    end: Callable[[int], bytes]


def defused(text: str) -> str:
    """Return *text* with a quote before it where a spreadsheet would take it for a formula.

    A quote that was there gets another, so that `restored` gives every text back.

    >>> defused("=1+1"), defused("'tis"), defused("1-1")
    ("'=1+1", "''tis", '1-1')
    """
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def restored(text: str) -> str:
    """Return what `defused` was given.

    >>> restored("'=1+1")
    '=1+1'
    """
    return text.removeprefix("'")


def csv_field(value: Any) -> str:
    """Return a JSON value as a field of CSV; null is empty, the empty text is quoted.

    >>> csv_field("a,b"), csv_field(None), csv_field([1]), csv_field("-1")
    ('"a,b"', '', '[1]', "'-1")
    """
    if value is None:
        return ""
    text = defused(value) if isinstance(value, str) else _json(value)
    if _QUOTED.search(text) is None:
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _csv_line(fields: list[str]) -> bytes:
    return (",".join(fields) + "\r\n").encode()


def _csv_record(record: Mapping[str, Any]) -> bytes:
    # Redaction may have taken a field away.
    return _csv_line([csv_field(record.get(column)) for column in COLUMNS])


def _csv_end(events: int) -> bytes:
    return _csv_line(["#complete", str(events), *[""] * (len(COLUMNS) - 2)])


def _ndjson_record(record: Mapping[str, Any]) -> bytes:
    return f"{_json(record)}\n".encode()


def _ndjson_end(events: int) -> bytes:
    return _ndjson_record({TRAILER: {"complete": True, "events": events}})


EXPORT_FORMATS: Mapping[str, ExportFormat] = MappingProxyType(
    {
        "ndjson": ExportFormat("application/x-ndjson", "ndjson", b"", _ndjson_record, _ndjson_end),
        # RFC 7111 and RFC 4180 section 3 name the parameters.
        "csv": ExportFormat(
            "text/csv; charset=utf-8; header=present", "csv", _csv_line(list(COLUMNS)), _csv_record, _csv_end
        ),
    }
)
"""Every format, by the name that `format` takes."""
