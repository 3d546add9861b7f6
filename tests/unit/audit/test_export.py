"""Exports: each format is read back by its readers, no cell is a formula, and the end says it is whole."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tenaudit.audit import AuditEvent
from tenaudit.audit.export import COLUMNS, EXPORT_FORMATS, csv_field, defused, restored
from tenaudit.testing.conformance.events import an_event


def test_the_columns_are_the_wire_form() -> None:
    assert tuple(an_event(0).record()) == COLUMNS


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_what_a_spreadsheet_would_run_is_text(start: str) -> None:
    field = csv_field(f"{start}HYPERLINK()")
    (cell,) = next(csv.reader(io.StringIO(field, newline="")))
    assert cell == f"'{start}HYPERLINK()"
    assert restored(cell) == f"{start}HYPERLINK()"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, ""), ("", '""'), ("a", "a"), ("a,b", '"a,b"'), ('a"b', '"a""b"'), ("a\nb", '"a\nb"'), (" a", '" a"'),
        ("a;b", '"a;b"'), (7, "7"), (True, "true"), ([], "[]"), ({"a": [1, "é"]}, '"{""a"":[1,""é""]}"'),
        ("'=1", "''=1"), ("1=1", "1=1"),
    ],
)  # fmt: skip
def test_fields(value, field: str) -> None:
    assert csv_field(value) == field


def test_a_quote_that_was_there_stays_one() -> None:
    for text in ("'tis", "'", "''=1", "", "plain", "=1"):
        assert restored(defused(text)) == text


def test_a_field_that_redaction_removed_is_empty() -> None:
    record = an_event(0).record()
    del record["actor_id"]
    (row,) = csv.reader(io.StringIO(EXPORT_FORMATS["csv"].line(record).decode(), newline=""))
    assert row[COLUMNS.index("actor_id")] == ""
    assert len(row) == len(COLUMNS)


def test_a_line_of_ndjson_is_the_event() -> None:
    event = an_event(3, payload={"text": "a\nb\u2028c é"})
    line = EXPORT_FORMATS["ndjson"].line(event.record())
    assert line.count(b"\n") == 1
    assert AuditEvent.model_validate_json(line) == event


def test_the_ends() -> None:
    assert json.loads(EXPORT_FORMATS["ndjson"].end(7)) == {"tenaudit_export": {"complete": True, "events": 7}}
    assert EXPORT_FORMATS["csv"].end(7) == b"#complete,7" + b"," * (len(COLUMNS) - 2) + b"\r\n"
