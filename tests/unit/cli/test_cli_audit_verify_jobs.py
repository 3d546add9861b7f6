"""Verifying in parts: together they say what one run says, and each refusal is one line."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from uuid import UUID

import pytest

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.testing.conformance.events import TENANT, an_event

TENANTS = [UUID(int=TENANT.int + number) for number in range(7)]


@pytest.fixture
def store(tmp_path):
    async def filled():
        async with SqliteStore.open(tmp_path / "audit.db") as made:
            for tenant in TENANTS:
                await made.append([an_event(number, tenant_id=tenant) for number in range(5)])
            await made.seal()

    asyncio.run(filled())
    return f"sqlite:///{tmp_path}/audit.db"


def verified(capsys, *words):
    code = main(["audit", "verify", "--json", *words])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else err


def test_several_processes_find_what_one_does(store, tmp_path, capsys):
    assert verified(capsys, "--store", store, "--jobs", "3") == verified(capsys, "--store", store)
    with closing(sqlite3.connect(tmp_path / "audit.db", isolation_level=None)) as file:
        for tenant in TENANTS[1:3]:
            file.execute("UPDATE events SET outcome = 'denied' WHERE tenant_id = ? AND seq = 2", [str(tenant)])
    (code, told), (_, alone) = verified(capsys, "--store", store, "--jobs", "3"), verified(capsys, "--store", store)
    problems = told.pop("problems")
    assert (code, len(problems)) == (1, 2)
    assert sorted(problems, key=str) == sorted(alone.pop("problems"), key=str)
    assert told == alone


def test_the_parts_are_all_tenants_once(store, capsys):
    reports = [verified(capsys, "--store", store, "--part", f"{number}/4")[1] for number in (1, 2, 3, 4)]
    assert [sum(report[name] for report in reports) for name in ("events", "tenants")] == [35, 7]


def test_a_store_that_no_process_can_use_is_told_once(tmp_path, capsys):
    (tmp_path / "audit.db").write_text("no database")
    code, err = verified(capsys, "--store", f"sqlite:///{tmp_path}/audit.db", "--jobs", "2")
    assert (code, err) == (2, f"error: {tmp_path}/audit.db is no SQLite file; check --store\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--part", "0/3"], "must be K/N, such as 1/4"),
        (["--part", "4/3"], "must be K/N, such as 1/4"),
        (["--part", "1"], "must be K/N, such as 1/4"),
        (["--jobs", "0"], "is not in the range"),
        (["--jobs", "2", "--part", "1/2"], "leave out --part"),
        (["--jobs", "2", "--tenant", str(TENANT)], "leave out --part and --jobs"),
        (["--part", "1/2", "--tenant", str(TENANT)], "leave out --part and --jobs"),
    ],
)
def test_what_makes_no_parts_is_refused(store, capsys, words, said):
    code, err = verified(capsys, "--store", store, *words)
    assert code == 2
    assert said in err
