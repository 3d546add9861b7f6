"""Kubernetes, GitHub, CloudEvents and our own exports, from disk to store and back, through the command line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from uuid import UUID

import pytest

from tenaudit.audit import AuditEvent
from tenaudit.audit.importers import tenant_of_organization
from tenaudit.audit.mappers import to_cloudevents
from tenaudit.cli import main

DATA = Path(__file__).parent.parent / "data"
CLUSTER = UUID(int=7, version=4)
SAMPLES = {
    "kubernetes": (DATA / "kubernetes" / "audit.ndjson", ("--tenant", CLUSTER), 8, 6),
    "github": (DATA / "github" / "audit.json", (), 4, 4),
}


@pytest.fixture
def cli(tmp_path, capsys):
    """Run a command on one of the test's stores; return exit code and what it printed."""

    def run(*argv, store="audit"):
        head = 2 if argv[0] == "audit" else 1
        options = ("--store", f"sqlite:///{tmp_path}/{store}.db", "--json")
        code = main([*map(str, argv[:head]), *options, *map(str, argv[head:])])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else said.err

    return run


def events_in(cli, store="audit"):
    code, page = cli("audit", "query", "--limit", 500, store=store)
    assert code == 0
    return page["events"]


@pytest.mark.parametrize("name", SAMPLES)
def test_two_imports_store_everything_once(cli, name):
    path, options, read, stored = SAMPLES[name]
    for new in (stored, 0):
        code, report = cli("import", "--format", name, *options, path)
        assert (code, report["read"], report["stored"], report["duplicates"]) == (0, read, new, stored - new)
        assert report["read"] == stored + sum(report["passed"].values())
    assert len(events_in(cli)) == stored
    assert cli("audit", "verify")[1]["verified"] is True


def test_earlier_stages_of_kubernetes_are_passed_over_and_counted(cli):
    path, options, _, _ = SAMPLES["kubernetes"]
    _, report = cli("import", "--format", "kubernetes", *options, path)
    assert report["passed"] == {"request_received": 1, "response_started": 1}


def test_an_interrupted_import_goes_on_where_it_was(cli, tmp_path):
    path, options, _, stored = SAMPLES["kubernetes"]
    lines = path.read_text().splitlines(keepends=True)
    half = tmp_path / "half.ndjson"
    half.write_text("".join(lines[:4]))
    _, first = cli("import", "--format", "kubernetes", *options, half)
    half.write_text("".join(lines))
    _, rest = cli("import", "--format", "kubernetes", *options, half)
    assert first["stored"] + rest["stored"] == stored
    assert rest["duplicates"] == first["stored"] > 0


def test_kubernetes_needs_a_tenant_before_anything_is_made(cli, tmp_path):
    code, line = cli("import", "--format", "kubernetes", SAMPLES["kubernetes"][0])
    assert (code, line) == (2, "error: no record of kubernetes says whose it is; give --tenant\n")
    assert not (tmp_path / "audit.db").exists()


def test_a_broken_line_is_refused_by_file_line_and_reason_and_the_rest_goes_on(cli, tmp_path, capsys):
    path, options, _, stored = SAMPLES["kubernetes"]
    lines = path.read_text().splitlines()
    log = tmp_path / "audit.log"
    log.write_text("\n".join([lines[0], "", "{cut", *lines[1:], '{"kind": "Pod"}']))
    code, report = cli("import", "--format", "kubernetes", *options, log)
    assert (code, report["stored"], report["refused"]) == (1, stored, {"invalid_json": 1, "not_an_audit_event": 1})
    assert [(one["path"], one["line"], one["record"], one["reason"]) for one in report["problems"]] == [
        (str(log), 3, 1, "invalid_json"),
        (str(log), 11, 9, "not_an_audit_event"),
    ]
    store = f"sqlite:///{tmp_path}/audit.db"
    assert main(["import", "--format", "kubernetes", "--store", store, "--tenant", str(CLUSTER), str(log)]) == 1
    said = capsys.readouterr().out
    assert f"{log}:3: invalid_json: " in said
    assert "passed      2\n" in said


def test_the_organization_of_github_is_the_tenant(cli):
    path, _, _, _ = SAMPLES["github"]
    cli("import", "--format", "github", path)
    tenants = {event["tenant_id"] for event in events_in(cli)}
    assert tenants == {str(tenant_of_organization("octo-org")), str(tenant_of_organization("octo-corp"))}


@pytest.mark.parametrize("name", ["ndjson", "cloudevents"])
def test_an_export_in_another_store_is_the_same_events(cli, tmp_path, name):
    cli("import", "--format", "cloudtrail", DATA / "cloudtrail")
    exported = events_in(cli)
    shaped = exported if name == "ndjson" else [to_cloudevents(AuditEvent(**event)) for event in exported]
    path = tmp_path / "export.ndjson.gz"
    path.write_bytes(gzip.compress("".join(f"{json.dumps(one)}\n" for one in shaped).encode()))
    code, report = cli("import", "--format", name, path, store="copy")
    assert (code, report["stored"]) == (0, len(exported))
    assert events_in(cli, store="copy") == exported
    assert cli("audit", "verify", store="copy")[1]["verified"] is True


def test_a_folder_is_searched_for_lines_too(cli, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    entries = json.loads(SAMPLES["github"][0].read_text())
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in entries[:2]))
    (folder / "b.ndjson").write_text("".join(f"{json.dumps(one)}\n" for one in entries[2:]))
    (folder / "notes.txt").write_text("no log")
    code, report = cli("import", "--format", "github", folder)
    assert (code, report["files"], report["stored"], report["skipped"]) == (0, 2, 4, 1)


def test_ndjson_that_is_not_ours_is_refused_with_the_format_that_it_is(cli):
    code, report = cli("import", "--format", "ndjson", SAMPLES["kubernetes"][0])
    assert (code, report["stored"], report["refused"]) == (1, 0, {"other_format": 8})
    assert "--format kubernetes" in report["problems"][0]["detail"]


def test_only_the_tenant_that_is_named_is_taken_from_an_export(cli, tmp_path):
    cli("import", "--format", "github", SAMPLES["github"][0])
    path = tmp_path / "export.ndjson"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in events_in(cli)))
    tenant = tenant_of_organization("octo-corp")
    code, report = cli("import", "--format", "ndjson", "--tenant", tenant, path, store="copy")
    assert (code, report["stored"], report["refused"]) == (1, 1, {"other_tenant": 3})


def test_a_file_larger_than_a_piece_is_streamed_and_its_lines_are_numbered_through(cli, tmp_path):
    entry = json.loads(SAMPLES["github"][0].read_text())[0]
    filler = json.dumps({"note": "x" * 2**20})
    lines = [json.dumps({**entry, "_document_id": "first"}), *[filler] * 17, json.dumps(entry)]
    path = tmp_path / "large.ndjson"
    path.write_text("\n".join(lines))
    code, report = cli("import", "--format", "github", path)
    assert (code, report["files"], report["read"], report["stored"]) == (1, 1, 19, 2)
    assert [one["line"] for one in report["problems"]] == list(range(2, 19))
    # Only a file of lines can go on behind what is broken.
    path.write_bytes(gzip.compress("\n".join(lines).encode(), compresslevel=1)[:-9])
    code, report = cli("import", "--format", "github", path, store="cut")
    assert (code, report["stored"], report["refused"]["broken_gzip"]) == (1, 1, 1)


def test_people_are_told_the_first_refusals_and_how_many_more(cli, tmp_path, capsys):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps({"Records": [7] * 25}))
    (folder / "loop.json").symlink_to(folder / "loop.json")
    store = f"sqlite:///{tmp_path}/audit.db"
    assert main(["import", "--format", "cloudtrail", "--store", store, str(folder)]) == 1
    said = capsys.readouterr().out
    assert f"{folder / 'loop.json'}: unreadable: " in said
    assert f"{folder / 'a.json'} record 3: not_an_object: " in said
    assert "and 6 more; --json names up to 100\n" in said
    assert "passed" not in said
