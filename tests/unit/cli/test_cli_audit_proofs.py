"""`tenaudit audit export --proofs` and `verify EXPORT`: from a store to a file that needs none, and what is refused."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event
from tenaudit.testing.conformance.retention_suite import NOW, aged

COUNT = 520


def stored(events, *, clock=None, purged=False):
    async def write():
        async with SqliteStore.open("audit.db", clock=clock) as store:
            await store.append(events)
            if purged:
                await store.purge()

    asyncio.run(write())


def sign():
    assert main(["audit", "sign", "--store", "sqlite:///audit.db", "--key", "signer.key", "--to", "c", "--once"]) == 0


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    """A folder with a key pair, and nothing in the environment that names a store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENAUDIT_STORE", raising=False)
    assert main(["audit", "key", "audit.example/prod", "--out", "signer.key"]) == 0
    (tmp_path / "verifier.key").write_text(capsys.readouterr().out)
    return tmp_path


@pytest.fixture
def signed(folder, capsys):
    """The same with a store of two tenants, and a signed round."""
    stored([an_event(number) for number in range(COUNT)])
    stored([an_event(number, tenant_id=OTHER_TENANT) for number in range(3)])
    sign()
    capsys.readouterr()
    return folder


def exported(capsys, *words, tenant=TENANT, code=0):
    store = ["--store", "sqlite:///audit.db", "--tenant", str(tenant)]
    assert main(["audit", "export", *store, "--proofs", "--checkpoints", "c", *words]) == code
    told = capsys.readouterr()
    return told.out, told.err


def verified(capsys, text, *words, keys=("verifier.key",)):
    """Return exit code and report of a file, which is checked where there is no store."""
    Path("export.ndjson").write_text(text, encoding="utf-8")
    code = main(["audit", "verify", "export.ndjson", "--json", *[w for key in keys for w in ("--key", key)], *words])
    told = capsys.readouterr()
    return code, json.loads(told.out) if told.out else told.err


def test_a_whole_export_is_proven_without_the_store(signed, capsys):
    text, err = exported(capsys)
    (signed / "audit.db").unlink()
    (signed / "c").unlink()
    code, report = verified(capsys, text)
    assert (code, report["verified"], report["events"], report["tenants"]) == (0, True, COUNT, 1)
    assert (report["proven"], report["size"], report["whole"], err) == (COUNT, COUNT, True, "")
    assert main(["audit", "verify", "export.ndjson", "--key", "verifier.key", "--whole"]) == 0
    said = f"all of the {COUNT} entries that tenant {TENANT} had when they were signed"
    assert capsys.readouterr().out == f"verified: events {COUNT}, problems 0; {said}\n"


def test_it_imports_as_the_same_events(signed, capsys):
    text, _ = exported(capsys, "--order", "asc")
    (signed / "export.ndjson").write_text(text)
    assert main(["import", "--format", "ndjson", "--store", "sqlite:///new.db", "export.ndjson"]) == 0

    async def read():
        async with SqliteStore.open("new.db") as store:
            return await store.get(TENANT, an_event(7).event_id), await store.count(TENANT)

    assert asyncio.run(read()) == (an_event(7), COUNT)


@pytest.mark.parametrize("words", [["--actor", "u-1"], ["--from", "2026-11-24T06:01:00Z"], ["--q", "7"]])
def test_a_filtered_export_is_a_part(signed, capsys, words):
    text, _ = exported(capsys, *words)
    code, report = verified(capsys, text)
    assert (code, report["verified"], report["proven"]) == (0, True, len(text.splitlines()) - 1)
    assert report["whole"] == (words[0] == "--actor")
    claim = json.loads(text.splitlines()[-1])["tenaudit_export"]["proofs"]
    assert claim["whole"] is False


def test_each_tenant_has_its_own(signed, capsys):
    mine, (theirs, _) = exported(capsys)[0], exported(capsys, tenant=OTHER_TENANT)
    assert verified(capsys, theirs, "--tenant", str(OTHER_TENANT))[0] == 0
    code, report = verified(capsys, theirs, "--tenant", str(TENANT))
    assert (code, report["tenants"]) == (1, 0)
    said = f"the export is of tenant {OTHER_TENANT}, and not of {TENANT}"
    assert [(one["kind"], one["detail"]) for one in report["problems"]] == [("checkpoint", said)]
    spliced = mine.splitlines(keepends=True)
    spliced[4] = theirs.splitlines(keepends=True)[0]
    code, report = verified(capsys, "".join(spliced))
    assert (code, report["problems"][0]["detail"]) == (1, "line 5 is of another tenant")


def test_what_came_after_the_signature_is_counted_and_not_passed(signed, capsys):
    stored([an_event(COUNT), an_event(COUNT + 1)])
    text, err = exported(capsys)
    assert err == "not yet proven: 2 events behind the signed checkpoint; sign, and export again\n"
    code, report = verified(capsys, text)
    assert (code, report["proven"], report["uncovered"], report["whole"]) == (1, COUNT, 2, True)
    assert {one["kind"] for one in report["problems"]} == {"uncovered"}
    assert main(["audit", "verify", "export.ndjson", "--key", "verifier.key", "--allow-unproven"]) == 0
    assert capsys.readouterr().out.endswith("when they were signed; 2 that came later are not covered yet\n")
    sign()
    capsys.readouterr()
    assert verified(capsys, exported(capsys)[0])[0] == 0


def test_hidden_fields_are_not_proven(signed, capsys):
    text, _ = exported(capsys, "--redact", "resource_id", "--to", "2026-11-24T06:00:03Z")
    code, report = verified(capsys, text)
    assert (code, report["proven"], report["redacted"]) == (1, 0, 3)
    assert {one["kind"] for one in report["problems"]} == {"redacted"}
    assert main(["audit", "verify", "export.ndjson", "--key", "verifier.key", "--allow-unproven"]) == 0
    assert "; the content of 3 with hidden fields is not proven\n" in capsys.readouterr().out


def test_what_was_purged_is_no_gap(folder, capsys):
    old, young = [aged(number, 40) for number in range(5)], [aged(number, 1) for number in range(5, 9)]
    stored([*old, *young], clock=ManualClock(NOW.timestamp()), purged=True)
    sign()
    capsys.readouterr()
    code, report = verified(capsys, exported(capsys)[0])
    assert (code, report["proven"], report["size"], report["purged"], report["whole"]) == (0, 5, 10, 5, True)


@pytest.mark.parametrize(
    ("tampered", "kind", "names"),
    [
        (lambda text: text.replace('"number":7}', '"number":8}'), "changed", str(an_event(7).event_id)),
        (lambda text: "".join(text.splitlines(keepends=True)[1:]), "missing", None),
        (lambda text: text[: len(text) // 2], "truncated", None),
        (lambda text: text.rstrip("\n"), "truncated", None),
        (lambda text: text + "{}\n", "truncated", None),
        (lambda text: text.replace("tenaudit/tenants\\n2", "tenaudit/tenants\\n3"), "checkpoint", None),
        (lambda text: "", "truncated", None),
    ],
)
def test_what_is_done_to_the_file_is_found(signed, capsys, tampered, kind, names):
    code, report = verified(capsys, tampered(exported(capsys)[0]))
    assert (code, report["verified"]) == (1, False)
    assert (kind, names) in [(one["kind"], one["event_id"]) for one in report["problems"]]


def test_another_key_proves_nothing(signed, capsys):
    main(["audit", "key", "audit.example/prod", "--out", "other.key"])
    (signed / "other.pub").write_text(capsys.readouterr().out)
    code, report = verified(capsys, exported(capsys)[0], keys=["other.pub"])
    assert (code, report["problems"][0]["kind"], report["proven"]) == (1, "checkpoint", 0)
    assert verified(capsys, exported(capsys)[0], keys=["other.pub", "verifier.key"])[0] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lambda text: text.replace("{", "{{", 1), "line 1: is no JSON object"),
        (lambda text: "\n" + text, "line 1: is no JSON object"),
        (lambda text: "x" * (2**20 + 9) + "\n" + text, "line 1: is longer than 1048576 bytes"),
        (lambda _: '{"tenaudit_export":{"complete":true,"events":0}}\n', "the export has no proofs; make it with"),
    ],
)
def test_a_file_that_is_no_such_export_is_refused_by_its_line(signed, capsys, text, said):
    code, err = verified(capsys, text(exported(capsys)[0]))
    assert code == 2
    assert err.startswith(f"error: export.ndjson: {said}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify", "e"], "give --key"),
        (["verify", "e", "--key", "k", "--store", "sqlite:///a.db"], "without --store and --checkpoints"),
        (["verify", "e", "--key", "k", "--checkpoints", "e"], "without --store and --checkpoints"),
        (["verify", "--store", "sqlite:///a.db", "--whole"], "--whole and --allow-unproven are for an export"),
        (["verify", "--store", "sqlite:///a.db", "--key", "k"], "--checkpoints and --key go together"),
        (["verify"], "Missing option '--store', or the file of an export"),
        (["verify", "nowhere", "--key", "k"], "'nowhere' does not exist"),
        (["export", "--store", "sqlite:///a.db", "--proofs"], "--proofs and --checkpoints go together"),
        (["export", "--store", "sqlite:///a.db", "--checkpoints", "e"], "--proofs and --checkpoints go together"),
        (
            ["export", "--store", "sqlite:///a.db", "--proofs", "--checkpoints", "e", "--format", "csv"],
            "--proofs needs --format ndjson",
        ),
    ],
)
def test_a_wrong_call_is_told(folder, capsys, words, said):
    (folder / "e").write_text("")
    assert main(["audit", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_is_no_export(signed, capsys):
    assert main(["audit", "verify", ".", "--key", "verifier.key"]) == 2
    assert capsys.readouterr().err.startswith("error: . is no file; ")


def test_the_environment_may_name_a_store_that_an_export_does_not_need(signed, capsys, monkeypatch):
    text, _ = exported(capsys)
    monkeypatch.setenv("TENAUDIT_STORE", "sqlite:///nowhere/audit.db")
    assert verified(capsys, text)[0] == 0


def test_a_checkpoint_that_is_not_the_stores_makes_no_export(signed, capsys):
    with closing(sqlite3.connect("audit.db")) as file, file:
        file.execute("UPDATE checkpoints SET root = zeroblob(32)")
    assert "do not lead to its checkpoint" in exported(capsys, code=2)[1]
    (signed / "audit.db").unlink()
    stored([an_event(0)])
    assert "is not one of this store's; check --checkpoints" in exported(capsys, code=2)[1]
    assert (
        "c has no checkpoint of tenant" in exported(capsys, tenant="0" * 8 + "-0000-0000-0000-000000000000", code=2)[1]
    )
    (signed / "c").write_text("{}\n")
    assert "is no round of checkpoints" in exported(capsys, code=2)[1]


def test_a_second_history_does_not_fit_what_was_signed(signed, capsys):
    (signed / "audit.db").unlink()
    stored([an_event(number, payload={"other": number}) for number in range(COUNT)])

    async def seal():
        async with SqliteStore.open("audit.db") as store:
            await store.seal()

    asyncio.run(seal())
    out, err = exported(capsys, code=2)
    assert (out, "is not one of this store's" in err) == ("", True)
