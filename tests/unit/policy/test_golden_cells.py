"""Golden cells: a matrix answers as somebody wrote down, or each cell that does not is named."""

from __future__ import annotations

import json

import pytest

from tenaudit.errors import ConfigurationError
from tenaudit.policy import GoldenCell, GoldenFault, PolicyMatrix, check_golden, golden_cells, golden_toml, load_golden

MATRIX = PolicyMatrix.from_mapping({"Editor": ["read", "write"], "Reader": ["read"]})
CELL = '[[cell]]\nrole = "{}"\ncapability = "{}"\nexpect = "{}"\n'


def written(folder, *cells, name="golden.toml"):
    path = folder / name
    path.write_text("# golden\n" + "".join(CELL.format(*cell) for cell in cells), encoding="utf-8")
    return path


def test_a_file_of_right_answers_has_no_fault(tmp_path):
    cells = load_golden(written(tmp_path, ("Editor", "write", "allow"), ("Reader", "write", "deny")))
    assert check_golden(MATRIX, cells) == ()
    assert cells == (
        GoldenCell("Editor", "write", allow=True, place=f"{tmp_path}/golden.toml:2"),
        GoldenCell("Reader", "write", allow=False, place=f"{tmp_path}/golden.toml:6"),
    )


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (("Reader", "write", True), "mismatch: Reader write: expected allow, the matrix says deny"),
        (("Editor", "write", False), "mismatch: Editor write: expected deny, the matrix says allow"),
        (("Raeder", "write", False), "unknown_role: Raeder write: the matrix has no such role"),
        (("Reader", "wriet", False), "unknown_capability: Reader wriet: no role of the matrix grants it"),
    ],
)
def test_each_wrong_cell_is_named(cell, fault):
    faults = check_golden(MATRIX, [GoldenCell("Editor", "read", allow=True), GoldenCell(*cell, place="g.toml:7")])
    assert [str(each) for each in faults] == [f"g.toml:7: {fault}"]


def test_a_cell_that_is_given_twice_is_named_even_when_it_agrees():
    cell = GoldenCell("Reader", "read", allow=True)
    assert [str(fault) for fault in check_golden(MATRIX, [cell, cell])] == [
        "repeated: Reader read: this cell has been given before"
    ]


def test_one_fault_does_not_hide_the_next():
    cells = [
        GoldenCell("Reader", "write", allow=True),
        GoldenCell("No", "x", allow=False),
        GoldenCell("Reader", "x", allow=True),
    ]
    assert [fault.kind for fault in check_golden(MATRIX, cells)] == ["mismatch", "unknown_role", "unknown_capability"]


def test_a_complete_check_names_each_cell_that_is_not_written():
    cells = [GoldenCell("Editor", "read", allow=True), GoldenCell("Reader", "read", allow=True)]
    assert check_golden(MATRIX, cells) == ()
    assert check_golden(MATRIX, cells, complete=True) == (
        GoldenFault("missing", "Editor", "write", "no golden cell; the matrix says allow"),
        GoldenFault("missing", "Reader", "write", "no golden cell; the matrix says deny"),
    )


def test_a_matrix_writes_its_own_golden_file(tmp_path):
    path = tmp_path / "golden.toml"
    path.write_text(golden_toml(golden_cells(MATRIX)), encoding="utf-8")
    assert check_golden(MATRIX, load_golden(path), complete=True) == ()
    assert path.read_text().startswith('[[cell]]\nrole = "Editor"\ncapability = "read"\nexpect = "allow"\n\n[[cell]]\n')
    assert [cell.place for cell in load_golden(path)] == [f"{path}:{line}" for line in (1, 6, 11, 16)]


def test_a_fault_is_json_too():
    fault = GoldenFault("mismatch", "R", "c", "words", "g:1")
    assert fault.to_json() == {"kind": "mismatch", "role": "R", "capability": "c", "detail": "words", "place": "g:1"}


def test_a_json_file_is_read(tmp_path):
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"cell": [{"role": "Reader", "capability": "read", "expect": "deny"}]}))
    (fault,) = check_golden(MATRIX, load_golden(str(path)))
    assert str(fault) == f"{path}: mismatch: Reader read: expected deny, the matrix says allow"


def test_cells_that_are_written_inline_are_named_by_the_file(tmp_path):
    path = tmp_path / "golden.toml"
    path.write_text('cell = [{ role = "Reader", capability = "read", expect = "allow" }]\n')
    assert [cell.place for cell in load_golden(path)] == [str(path)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.toml", "[[cell]\n", "line 1"),
        ("g.json", "{", "Expecting property name"),
        ("g.json", "[" * 100_000, "recursion"),
        ("g.json", "[]", "must have a list of cells named cell"),
        ("g.toml", "", "must have a list of cells named cell"),
        ("g.toml", "cell = 3\n", "must have a list of cells named cell"),
        ("g.toml", "cell = []\nx = 1\n", "and nothing else"),
        ("g.toml", "cell = [3]\n", "g.toml: cell 1 must have"),
        ("g.toml", CELL.format("R", "c", "allow") + "[[cell]]\n", "g.toml:5: cell 2 must have the strings"),
        ("g.toml", CELL.format("R", "c", "allow") + "x = 1\n", "g.toml:1: cell 1 must have the strings"),
        ("g.toml", CELL.format("R", "c", "allow").replace('"c"', "3"), "cell 1 must have the strings"),
        ("g.toml", CELL.format("R", "c", "maybe"), 'g.toml:1: cell 1: expect must be "allow" or "deny", not \'maybe\''),
        ("g.toml", CELL.format("R", "c", "Allow"), "not 'Allow'"),
    ],
)
def test_a_file_out_of_form_is_refused_with_its_place(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_golden(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert message in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    for name in ("absent.toml", "latin.toml", "."):
        with pytest.raises(ConfigurationError):
            load_golden(tmp_path / name)
