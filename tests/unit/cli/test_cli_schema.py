"""`tenaudit schema`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tenaudit.cli import main

EVENTS = """
from pydantic import BaseModel
from tenaudit.audit import SchemaRegistry, event_type

REGISTRY = SchemaRegistry()
NOTHING = SchemaRegistry()


@REGISTRY.event_type("order.created", version=2, durability="durable")
class Created(BaseModel):
    amount: int
    note: str = ""


@event_type("{action}")
class Default(BaseModel):
    number: int
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*argv):
        code = main(["schema", *argv])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def module(tmp_path):
    """A module of this test's own in the current directory, gone afterwards."""
    name = f"events_of_{tmp_path.name}"
    Path(tmp_path, f"{name}.py").write_text(EVENTS.replace("{action}", f"cli.{name}"))
    yield name
    sys.modules.pop(name, None)


def test_an_export_has_every_type_of_a_registry(run, module):
    before = list(sys.path)
    code, out, err = run("export", f"{module}:REGISTRY")
    assert (code, err) == (0, "")
    assert sys.path == before
    events = json.loads(out)["events"]
    assert list(events) == ["order.created"]
    created = events["order.created"]["2"]
    assert created["durability"] == "durable"
    assert created["read"]["required"] == ["amount", "note"]
    assert created["write"]["required"] == ["amount"]


def test_an_export_is_of_the_default_registry_unless_one_is_named(run, module):
    code, out, _ = run("export", module)
    assert code == 0
    assert f"cli.{module}" in json.loads(out)["events"]
    assert "order.created" not in json.loads(out)["events"]


def test_what_cannot_be_exported_is_said_in_one_line(run, module):
    Path("broken_events.py").write_text("raise KeyError('x')\n")
    for argument, said in (
        ("no_such_module_here", "no_such_module_here: it cannot be imported: ModuleNotFoundError"),
        ("broken_events", "broken_events: it cannot be imported: KeyError: 'x'"),
        ("", ": it cannot be imported: ValueError"),
        (f"{module}:EVENTS", "there is no SchemaRegistry of that name"),
        (f"{module}:Created", "there is no SchemaRegistry of that name"),
        (f"{module}:NOTHING", "no event type is registered"),
    ):
        code, out, err = run("export", argument)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {said}") or said in err
        assert err.count("\n") == 1


def written(name, **properties):
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    entry = {"durability": "buffered", "read": schema, "write": schema}
    Path(name).write_text(json.dumps({"events": {"order.created": {"1": entry}}}))


def test_equal_exports_are_compatible(run):
    written("old.json", n={"type": "integer"})
    assert run("check", "old.json", "old.json") == (0, "compatible: changes 0, breaking 0\n", "")
    code, out, _ = run("check", "old.json", "old.json", "--json")
    assert (code, json.loads(out)) == (0, {"compatible": True, "changes": []})


def test_a_breaking_change_is_named_and_the_exit_code_is_1(run):
    written("old.json", n={"type": "integer"}, kind={"enum": ["a"], "type": "string"})
    written("new.json", n={"type": "string"}, kind={"enum": ["a"], "type": "string"})
    code, out, err = run("check", "old.json", "new.json")
    assert (code, err) == (1, "")
    head, read, write, last = out.splitlines()
    assert head.split() == ["verdict", "event", "side", "field", "change", "was", "->", "is", "because"]
    assert read.split()[:5] == ["breaking", "order.created", "v1", "read", "payload.n"]
    assert "integer -> string" in write
    assert last == "NOT compatible: changes 2, breaking 2"
    code, out, _ = run("check", "old.json", "new.json", "--json")
    found = json.loads(out)
    assert (code, found["compatible"]) == (1, False)
    assert [(change["verdict"], change["side"], change["kind"]) for change in found["changes"]] == [
        ("breaking", "read", "type_changed"),
        ("breaking", "write", "type_changed"),
    ]


def test_a_warning_does_not_change_the_exit_code(run):
    written("old.json", kind={"enum": ["a"], "type": "string"})
    written("new.json", kind={"enum": ["a", "b"], "type": "string"})
    code, out, _ = run("check", "old.json", "new.json")
    assert code == 0
    assert "warning" in out
    assert out.endswith("compatible: changes 2, breaking 0\n")


def test_a_type_that_goes_is_named_without_a_version(run):
    written("old.json")
    Path("new.json").write_text('{"events": {}}')
    code, out, _ = run("check", "old.json", "new.json")
    assert code == 1
    assert "order.created  read" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "new.json: No such file or directory; name a file"),
        (b"{", "new.json: not JSON that can be read"),
        (b"\xff", "new.json: not JSON that can be read"),
        (b"[" * 100_000, "new.json: not JSON that can be read"),
        (b"[]", "new must be an object"),
        (b'{"events": {"a.b": {"1": {"durability": "atomic", "read": {"$ref": "x"}, "write": {}}}}}', "leads nowhere"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_2(run, content, said):
    written("old.json")
    if content is not None:
        Path("new.json").write_bytes(content)
        if b"$ref" in content:
            Path("old.json").write_bytes(content)
    code, out, err = run("check", "old.json", "new.json")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
