"""`tenaudit audit erase`: one tenant or all, and what keeps it from its work is told."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import pytest

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("TENAUDIT_STORE", f"sqlite:///{tmp_path}/audit.db")
    monkeypatch.setenv("TENAUDIT_SUBJECT", "alice")

    async def filled():
        async with SqliteStore.open(tmp_path / "audit.db") as made:
            await made.append([an_event(n, actor_id="alice", payload={"by": "alice"}) for n in range(3)])
            await made.append([an_event(n, actor_id="alice", tenant_id=OTHER_TENANT) for n in range(2)])
            await made.hold(OTHER_TENANT, reason="case", by="legal")

    asyncio.run(filled())
    return tmp_path / "audit.db"


def erased(capsys, *words):
    code = main(["audit", "erase", *words])
    out, err = capsys.readouterr()
    return code, out or err


def test_in_all_tenants_but_for_one_that_is_held(store, capsys):
    code, out = erased(capsys, "--json", "--dry-run")
    told = json.loads(out)
    assert (code, told["dry_run"], told["values"], told["held"]) == (1, True, 3, [str(OTHER_TENANT)])
    code, out = erased(capsys)
    lines = out.splitlines()
    assert code == 1
    assert lines[0].startswith(f"tenant {TENANT}: values 3 of 3 events erased, at 20")
    assert lines[1].split("  ")[0] == "not reached"
    assert lines[2].startswith("fields of events")
    assert f"tenant {OTHER_TENANT} is held, so nothing of it went; tenaudit audit hold list says by whom" in lines
    assert "alice" not in out


def test_of_one_tenant(store, capsys):
    assert erased(capsys, "--tenant", str(TENANT))[0] == 0
    code, out = erased(capsys, "--tenant", str(TENANT), "--json")
    assert (code, json.loads(out)["values"]) == (0, 0)
    code, err = erased(capsys, "--tenant", str(OTHER_TENANT))
    assert (code, err) == (
        2,
        f"error: tenant {OTHER_TENANT} is held: nothing of it is erased; tenaudit audit hold list says by whom\n",
    )


def test_an_altered_event_is_left_and_told(store, capsys):
    with sqlite3.connect(store) as file:
        file.execute("UPDATE events SET action = 'x.y' WHERE tenant_id = ? AND seq = 1", [str(TENANT)])
    code, out = erased(capsys, "--tenant", str(TENANT))
    assert code == 1
    assert "events 1 were altered and are left; verify the store\n" in out
    assert out.endswith("something was left; erase again\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tenant", "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e99"], "the store has no tenant"),
        (["--subject", " "], "subject must be a text of 1 to"),
        (["--batch", "0"], "is not in the range"),
        (["--by", ""], "by must be a text of 1 to"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(store, capsys, words, said):
    code, err = erased(capsys, *words)
    assert code == 2
    assert said in err
