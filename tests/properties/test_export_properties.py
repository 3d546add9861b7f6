"""CSV fields: a reader of RFC 4180 gets every text back, and none of them begins as a formula does."""

from __future__ import annotations

import csv
import io
import json

from hypothesis import example, given
from hypothesis import strategies as st

from tenaudit.audit.export import COLUMNS, EXPORT_FORMATS, restored

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12) | st.text(
    "=+-@\t\r\n',\"; a", max_size=6
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts, lambda inner: st.lists(inner, max_size=3)
)


@given(st.lists(texts, min_size=15, max_size=15), st.dictionaries(texts, json_values, max_size=3))
@example(["\r\n", "'", "''", "=", "\n=", "", " ", '"', ",", "a", "b", "c", "d", "e", "f"], {"=": "="})
def test_every_text_comes_back_and_none_is_a_formula(values, payload):
    names = [column for column in COLUMNS if column not in ("payload", "redactions")]
    record = {**dict(zip(names, values, strict=True)), "payload": payload, "redactions": []}
    written = EXPORT_FORMATS["csv"].line(record).decode()
    (row,) = csv.reader(io.StringIO(written, newline=""), strict=True)
    cells = dict(zip(COLUMNS, row, strict=True))
    assert json.loads(cells["payload"]) == payload
    assert [restored(cells[name]) for name in names] == values
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
