"""`tenaudit audit key`, `sign` and `verify --checkpoints`: from a new key to a tenant that was dropped."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

SECONDS = 30


def stored(folder, *events):
    async def write():
        async with SqliteStore.open(folder / "audit.db") as store:
            await store.append(events)

    asyncio.run(write())


@pytest.fixture
def signed(tmp_path, monkeypatch, capsys):
    """A folder with a store of two tenants, a key pair and a signed round."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENAUDIT_STORE", "sqlite:///audit.db")
    stored(tmp_path, an_event(0), an_event(1), an_event(0, tenant_id=OTHER_TENANT))
    assert main(["audit", "key", "audit.example/prod", "--out", "signer.key"]) == 0
    (tmp_path / "verifier.key").write_text(capsys.readouterr().out)
    assert main(["audit", "sign", "--key", "signer.key", "--to", "c.ndjson", "--copy", "copy.ndjson", "--once"]) == 0
    assert capsys.readouterr().out == "signed 2\n"
    return tmp_path


def verified(capsys, *words):
    code = main(["audit", "verify", "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_what_was_signed_holds_and_a_tenant_that_is_dropped_is_named(signed, capsys):
    code, report = verified(capsys, "--checkpoints", "c.ndjson", "--key", "verifier.key")
    assert (code, report["verified"], report["tenants"]) == (0, True, 2)
    with closing(sqlite3.connect("audit.db")) as file, file:
        for table in ("events", "leaves", "logs", "checkpoints"):
            file.execute(f"DELETE FROM {table} WHERE tenant_id = ?", [str(TENANT)])
    assert verified(capsys)[0] == 0
    key = (signed / "verifier.key").read_text().strip()
    code, report = verified(capsys, "--checkpoints", "copy.ndjson", "--key", key)
    assert code == 1
    assert [(one["tenant_id"], one["kind"]) for one in report["problems"]] == [(str(TENANT), "truncated")]
    assert main(["audit", "sign", "--key", "signer.key", "--to", "c.ndjson", "--once"]) == 2
    assert f"that of tenant {TENANT}, signed at 2 entries, is gone" in capsys.readouterr().err


def test_a_file_that_was_changed_or_is_of_another_key_is_no_proof(signed, capsys):
    main(["audit", "key", "audit.example/prod", "--out", "other.key"])
    (signed / "other.pub").write_text(capsys.readouterr().out)
    code, report = verified(capsys, "--checkpoints", "c.ndjson", "--key", "other.pub")
    assert code == 1
    assert "none is of a trusted key" in report["problems"][0]["detail"]
    (signed / "c.ndjson").write_text((signed / "c.ndjson").read_text().replace("\\n2\\n", "\\n3\\n", 1))
    code, report = verified(capsys, "--checkpoints", "c.ndjson", "--key", "verifier.key")
    assert (code, [one["kind"] for one in report["problems"]]) == (1, ["checkpoint"])


def test_a_key_is_changed_without_a_gap(signed, capsys):
    main(["audit", "key", "audit.example/2027", "--out", "new.key"])
    (signed / "new.pub").write_text(capsys.readouterr().out)
    stored(signed, an_event(2))
    assert main(["audit", "sign", "--key", "new.key", "--to", "c.ndjson", "--once"]) == 2
    assert "none is of a trusted key" in capsys.readouterr().err
    sign = ["audit", "sign", "--key", "new.key", "--old-key", "verifier.key", "--to", "c.ndjson", "--once"]
    assert main(sign) == 0
    assert capsys.readouterr().out == "signed 1\n"
    both = ("--key", "verifier.key", "--key", "new.pub")
    assert verified(capsys, "--checkpoints", "c.ndjson", *both)[0] == 0


def test_it_signs_until_it_is_told_to_stop(signed):
    process = subprocess.Popen(
        [sys.executable, "-m", "tenaudit.cli", "audit", "sign", "--key", "signer.key", "--to", "new.ndjson"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    )
    try:
        assert select.select([process.stdout], [], [], SECONDS)[0]
        assert process.stdout.readline() == b"signing; stop with Ctrl-C or SIGTERM\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=SECONDS) == (b"", b"")
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert len((signed / "new.ndjson").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["audit", "verify", "--checkpoints", "c.ndjson"], "--checkpoints and --key go together"),
        (["audit", "verify", "--key", "verifier.key"], "--checkpoints and --key go together"),
        (["audit", "verify", "--checkpoints", "c.ndjson", "--key", "signer.key"], "a secret"),
        (["audit", "verify", "--checkpoints", "c.ndjson", "--key", "nothing"], "give a verifier key"),
        (["audit", "verify", "--checkpoints", "no.ndjson", "--key", "verifier.key"], "does not exist"),
        (["audit", "sign", "--key", "verifier.key", "--to", "c.ndjson", "--once"], "verifier.key: key: not the text"),
        (["audit", "sign", "--key", "c.ndjson", "--to", "c.ndjson", "--once"], "c.ndjson: key: not the text"),
        (["audit", "sign", "--key", "signer.key", "--to", "no/c.ndjson", "--once"], "No such file"),
        (["audit", "sign", "--key", "signer.key", "--to", "c.ndjson", "--copy", "no/c", "--once"], "1 of the copies"),
        (["audit", "sign", "--key", "SIGNER", "--to", "c.ndjson", "--once"], "this is a signer key itself"),
        (["audit", "verify", "--checkpoints", "c.ndjson", "--key", "SIGNER"], "this is a signer key itself"),
        (["audit", "verify", "--checkpoints", "/dev/null", "--key", "verifier.key"], "is no file"),
        (["audit", "verify", "--checkpoints", "empty", "--key", "verifier.key"], "has no signed checkpoint"),
        (["audit", "key", "with space", "--out", "x.key"], "choose another NAME"),
        (["audit", "key", "name", "--out", "signer.key"], "signer.key is there already"),
        (["audit", "key", "name", "--out", "no/x.key"], "No such file"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_that_tells_no_key(signed, capsys, words, said):
    before = (signed / "signer.key").read_text()
    (signed / "empty").touch()
    assert main([before.strip() if word == "SIGNER" else word for word in words]) == 2
    *notes, error = capsys.readouterr().err.splitlines()
    assert said in error
    assert all(note.startswith("note: ") for note in notes)
    assert before.split("+", 4)[4].strip() not in error
    assert (signed / "signer.key").read_text() == before
    assert not (signed / "x.key").exists()
