"""`tenaudit policy`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenaudit.cli import main
from tenaudit.policy import PolicyMatrix

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "policy-matrix.md"
OLD = """# policy
[roles]
Editor = ["read", "write"]
Reader = [
  "read",
]
[denial_names]
write = "editing"
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.toml").write_text(OLD)
    (tmp_path / "new.toml").write_text(OLD.replace('  "read",\n', '  "read", "write",\n'))
    (tmp_path / "bad.toml").write_text('[roles]\nEditor = ["read", "read"]\n')

    def call(*argv):
        code = main(["policy", *argv])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_the_published_table_is_the_output_of_the_command(run):
    code, out, err = run("matrix")
    assert (code, err) == (0, "")
    assert f"\n\n{out}\n" in DOCS.read_text(encoding="utf-8")
    assert len(out.splitlines()) == 10
    assert run("matrix", "--file", "default", "--format", "markdown")[1] == out


def test_the_table_of_a_file(run):
    assert run("matrix", "--file", "old.toml") == (
        0,
        (
            "| capability | Editor | Reader | denial name |\n"
            "| --- | --- | --- | --- |\n"
            "| `read` | allow | allow | `read` |\n"
            "| `write` | allow | deny | `editing` |\n"
        ),
        "",
    )


def test_the_table_as_json(run):
    code, out, _ = run("matrix", "--file", "old.toml", "--format", "json")
    assert code == 0
    assert json.loads(out) == {
        "content_hash": PolicyMatrix.from_toml("old.toml").content_hash,
        "roles": ["Editor", "Reader"],
        "capabilities": [
            {"name": "read", "denial_name": "read", "granted_by": ["Editor", "Reader"]},
            {"name": "write", "denial_name": "editing", "granted_by": ["Editor"]},
        ],
    }


@pytest.mark.parametrize("name", ["default", "old.toml"])
def test_the_golden_file_of_a_matrix_passes_a_complete_check(run, name):
    code, out, _ = run("matrix", "--file", name, "--format", "golden")
    assert code == 0
    Path("golden.toml").write_text(out)
    cells = out.count("[[cell]]")
    assert run("check", "--file", name, "--golden", "golden.toml", "--complete") == (
        0,
        f"as written: cells {cells}, faults 0\n",
        "",
    )
    code, out, _ = run("check", "--file", name, "--golden", "golden.toml", "--json")
    assert (code, json.loads(out)) == (0, {"ok": True, "cells": cells, "faults": []})


GOLDEN = """[[cell]]
role = "Reader"
capability = "write"
expect = "deny"

[[cell]]
role = "Reader"
capability = "read"
expect = "allow"
"""


def test_each_cell_that_is_not_as_written_is_named(run):
    Path("golden.toml").write_text(GOLDEN)
    assert run("check", "--file", "old.toml", "--golden", "golden.toml")[0] == 0
    assert run("check", "--file", "new.toml", "--golden", "golden.toml") == (
        1,
        (
            "golden.toml:1: mismatch: Reader write: expected deny, the matrix says allow\n"
            "NOT as written: cells 2, faults 1\n"
        ),
        "",
    )
    code, out, _ = run("check", "--file", "new.toml", "--golden", "golden.toml", "--json")
    assert (code, json.loads(out)) == (
        1,
        {
            "ok": False,
            "cells": 2,
            "faults": [
                {
                    "kind": "mismatch",
                    "role": "Reader",
                    "capability": "write",
                    "detail": "expected deny, the matrix says allow",
                    "place": "golden.toml:1",
                }
            ],
        },
    )


def test_a_complete_check_names_what_is_missing(run):
    Path("golden.toml").write_text(GOLDEN)
    code, out, _ = run("check", "--file", "old.toml", "--golden", "golden.toml", "--complete")
    assert code == 1
    assert out.splitlines() == [
        "missing: Editor read: no golden cell; the matrix says allow",
        "missing: Editor write: no golden cell; the matrix says allow",
        "NOT as written: cells 2, faults 2",
    ]


def test_the_built_in_matrix_is_checked_by_default(run):
    Path("golden.toml").write_text(GOLDEN.replace("Reader", "Support").replace('"read"', '"audit_view"'))
    code, out, _ = run("check", "--golden", "golden.toml")
    assert code == 1
    assert out.startswith("golden.toml:1: unknown_capability: Support write: ")


def test_a_denial_is_explained_with_the_lines_of_the_rules(run):
    assert run("explain", "--role", "reader", "--role", "Boss\x1b[2J", "write", "--file", "old.toml") == (
        0,
        (
            "DENIED: write (no_role_grants)\n"
            "unknown role: Boss\\x1b[2J, which grants nothing\n"
            "missing: write; a denied client may read missing_role editing\n"
            "would grant: Editor (old.toml:3)\n"
        ),
        "",
    )


def test_a_grant_is_explained_with_the_line_of_its_rule(run):
    assert run("explain", "--role", "Reader", "read", "--file", "old.toml") == (
        0,
        "allowed: read (granted)\ngranted by: Reader (old.toml:5)\n",
        "",
    )


def test_the_built_in_matrix_has_no_lines(run):
    assert run("explain", "gdpr_manage") == (
        0,
        (
            "DENIED: gdpr_manage (no_role_grants)\n"
            "missing: gdpr_manage; a denied client may read missing_role gdpr_manage\n"
            "would grant: SuperAdmin\n"
            "would grant: Admin\n"
        ),
        "",
    )
    code, out, _ = run("explain", "--role", "Admin", "gdpr_manage", "--json")
    assert code == 0
    assert json.loads(out) == {
        "allowed": True,
        "capability": "gdpr_manage",
        "reason": "granted",
        "granted_by": ["Admin"],
        "would_grant": ["SuperAdmin", "Admin"],
        "unknown_roles": [],
        "missing_role": None,
        "rules": [{"role": "SuperAdmin", "place": None}, {"role": "Admin", "place": None}],
    }


def test_an_explanation_as_json_has_the_lines(run):
    code, out, _ = run("explain", "--role", "Reader", "read", "--file", "old.toml", "--json")
    assert code == 0
    assert json.loads(out)["rules"] == [
        {"role": "Editor", "place": "old.toml:3"},
        {"role": "Reader", "place": "old.toml:5"},
    ]


def test_a_rule_whose_name_is_written_with_escapes_has_the_file_alone(run):
    Path("escaped.toml").write_text('[roles]\nEditor = ["wr\\u0069te"]\n')
    assert run("explain", "write", "--file", "escaped.toml")[1].endswith("would grant: Editor (escaped.toml)\n")


def test_a_capability_that_nobody_grants_is_explained(run):
    code, out, _ = run("explain", "--role", "Admin", "launch")
    assert code == 0
    assert out == (
        "DENIED: launch (unknown_capability)\nmissing: launch; a denied client may read missing_role launch\n"
    )


def test_a_difference_is_exit_code_one(run):
    assert run("diff", "old.toml", "new.toml") == (1, "Reader write: deny -> allow\n", "")
    code, out, _ = run("diff", "new.toml", "old.toml", "--json")
    assert code == 1
    assert json.loads(out) == {
        "cells": [{"role": "Reader", "capability": "write", "before": "allow", "after": "deny"}],
        "roles_added": [],
        "roles_removed": [],
        "capabilities_added": [],
        "capabilities_removed": [],
        "denial_names": [],
    }


@pytest.mark.parametrize("name", ["default", "old.toml"])
def test_no_difference_is_exit_code_zero(run, name):
    assert run("diff", name, name) == (0, "no answer and no name changes\n", "")
    code, out, _ = run("diff", name, name, "--json")
    assert (code, any(json.loads(out).values())) == (0, False)


@pytest.mark.parametrize(
    "argv",
    [
        ["matrix", "--file", "{}"],
        ["check", "--file", "{}", "--golden", "golden.toml"],
        ["explain", "read", "--file", "{}"],
        ["diff", "default", "{}"],
        ["diff", "{}", "default"],
    ],
)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bad.toml", "bad.toml:2: 'read' is listed twice for Editor"),
        (
            "absent.toml",
            "absent.toml: No such file or directory; name a TOML file, or `default` for the built-in matrix",
        ),
        ("latin.toml", "latin.toml: 'utf-8' codec can't decode byte 0xe9 in position 5: invalid continuation byte"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(run, argv, name, message):
    Path("golden.toml").write_text(GOLDEN)
    Path("latin.toml").write_bytes(b"# caf\xe9\n")
    assert run(*(word.format(name) for word in argv)) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    "argv", [["matrix", "--format", "xml"], ["check"], ["explain"], ["diff", "default"], ["bogus"], ["matrix", "x"]]
)
def test_bad_usage_is_one_line(run, argv):
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_help_lists_the_commands(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"  {name} " in out for name in ("check", "diff", "explain", "matrix"))
