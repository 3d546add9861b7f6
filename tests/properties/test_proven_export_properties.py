"""Whatever is done to an export with proofs, it is found: no byte, line or order of it is free."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.export_check import ExportReport, Leniency
from tenaudit.audit.personal import PersonalFields
from tests.unit.audit.exported_trail import Trail, checked

TRAIL = Trail(7, 7, personal=PersonalFields())
EXPORT = TRAIL.export()
FILE = b"".join(EXPORT)


def is_verified(raw, **given):
    lines = raw.splitlines(keepends=True)
    if not raw.endswith(b"\n"):
        lines[-1:] = [b""]
    report = checked(lines, **given)
    return isinstance(report, ExportReport) and report.verified


def test_as_it_is_it_verifies():
    assert is_verified(FILE)


@given(st.integers(0, len(FILE) - 1), st.integers(0, 7))
def test_no_bit_of_the_file_is_free(place, bit):
    changed = bytearray(FILE)
    changed[place] ^= 1 << bit
    assert not is_verified(bytes(changed))


@given(st.permutations(range(len(EXPORT))))
def test_no_other_order_of_the_lines_verifies(order):
    assert is_verified(b"".join(EXPORT[place] for place in order)) == (order == sorted(order))


@given(st.lists(st.integers(0, len(EXPORT) - 2), max_size=9))
def test_a_whole_export_is_verified_only_with_each_line_once(places):
    lines = [EXPORT[place] for place in places]
    for events in {len(places), 7}:
        whole = is_verified(b"".join([*lines, TRAIL.end(events)]))
        assert whole == (places == list(range(7)))


@given(st.lists(st.integers(0, 6), max_size=9), st.booleans())
def test_a_part_is_verified_only_with_lines_once_and_in_order(places, descending):
    order = "desc" if descending else "asc"
    end = TRAIL.end(len(places), whole=False, order=order)
    wanted = sorted(set(places), reverse=descending)
    assert is_verified(b"".join([*(EXPORT[place] for place in places), end])) == (places == wanted)


@given(st.integers(1, len(FILE)))
def test_what_is_cut_off_is_found(bytes_left):
    assert is_verified(FILE[:bytes_left]) == (bytes_left == len(FILE))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=9), below, max_size=3),
    max_leaves=9,
)


@given(st.integers(0, 6), st.sampled_from([*json.loads(EXPORT[0]), "more"]), _json)
def test_no_value_of_a_line_is_another(place, name, value):
    whole = json.loads(EXPORT[place])
    tampered = whole | {name: value}
    lines = [*EXPORT[:place], json.dumps(tampered).encode() + b"\n", *EXPORT[place + 1 :]]
    # A number is the same number in another spelling.
    same = json.dumps(whole.get(name, ...), default=str) == json.dumps(value) or (
        type(value) is float and whole.get(name) == value
    )
    assert is_verified(b"".join(lines), leniency=Leniency(unproven=False)) == same
