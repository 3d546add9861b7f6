"""`tenaudit db`: migrate and status, what each refuses in one line, and the other commands on the same database."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import asyncpg
import pytest

from tenaudit.backends.postgres import PostgresStore
from tenaudit.cli import main
from tenaudit.testing.conformance import an_event
from tests.unit.backends.postgres_databases import ROLES, database, execute, run, user

NAMES = ["events", "partitions", "known_tenants", "dead_letters", "retention", "commitments", "subtrees"]


@pytest.fixture
def tenaudit(capsys):
    def call(*argv, code=0):
        assert main([*argv]) == code, capsys.readouterr().err
        said = capsys.readouterr()
        if code == 2:
            assert said.out == ""
            assert said.err.startswith("error: ")
            assert said.err.count("\n") == 1
        return said

    return call


@pytest.fixture
def dsn(postgres_service):
    with database(postgres_service.dsn) as dsn:
        yield dsn


def states(said):
    return [(one["name"], one["state"]) for one in json.loads(said.out)["migrations"]]


@pytest.mark.services
def test_a_database_is_migrated_and_its_status_told(dsn, tenaudit, monkeypatch):
    assert states(tenaudit("db", "status", "--store", dsn, "--json", code=1)) == [(name, "pending") for name in NAMES]
    told = tenaudit("db", "migrate", "--dsn", dsn).out.splitlines()
    assert told[0].split() == ["version", "name", "state", "applied"]
    assert [line.split()[:3] for line in told[1:]] == [[str(n + 1), name, "applied"] for n, name in enumerate(NAMES)]
    monkeypatch.setenv("TENAUDIT_STORE", dsn)
    first = tenaudit("db", "migrate", "--json").out
    assert json.loads(first)["migrations"][0]["applied_at"].endswith("Z")
    assert tenaudit("db", "status", "--json").out == first
    run(execute(dsn, "INSERT INTO tenaudit.migrations VALUES (9, 'later', '')"))
    assert states(tenaudit("db", "status", "--json", code=1))[-1] == ("later", "unknown")
    assert "version 9, which is of a newer tenaudit; upgrade it" in tenaudit("db", "migrate", code=2).err


@pytest.mark.services
def test_the_other_commands_read_the_store_that_was_migrated(dsn, tenaudit, monkeypatch):
    async def fill(writes):
        async with PostgresStore.connect(writes) as store:
            await store.append([an_event(n) for n in range(3)])
            await store.seal()

    tenaudit("db", "migrate", "--store", dsn)
    assert "is a superuser" in tenaudit("audit", "verify", "--store", dsn, code=2).err
    with user(dsn, *ROLES) as writes:
        run(fill(writes))
        monkeypatch.setenv("TENAUDIT_STORE", writes)
        assert json.loads(tenaudit("audit", "verify", "--json").out)["verified"] is True
        found = json.loads(tenaudit("audit", "query", "--resource-id", "o-1", "--json").out)["events"]
        assert [event["event_id"] for event in found] == [str(an_event(1).event_id)]


@pytest.mark.services
def test_a_database_without_tables_is_told(dsn, tenaudit):
    assert "run tenaudit db migrate" in tenaudit("audit", "query", "--store", dsn, code=2).err


@pytest.mark.services
def test_a_migration_waits_for_another_one_no_longer_than_it_may(dsn, tenaudit):
    with asyncio.Runner() as runner:
        other = runner.run(asyncpg.connect(dsn, timeout=20))
        lock = "SELECT pg_advisory_lock($1)"
        runner.run(other.execute(lock, 0x7E4A0D1A))
        said = tenaudit("db", "migrate", "--store", dsn, "--timeout", "0.4", code=2).err
        assert "no answer within 0.4 s" in said or "LockNotAvailable" in said or "QueryCanceled" in said
        runner.run(other.close(timeout=20))
    assert {state for _, state in states(tenaudit("db", "migrate", "--store", dsn, "--json"))} == {"applied"}


@pytest.mark.parametrize("command", ["migrate", "status"])
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///audit.db", "a SQLite store makes its own tables; name one of PostgreSQL"),
        ("mysql://u:hunter2@host/db", "the store must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("hunter2", "the store must be postgresql://USER"),
        ("", "the store must be postgresql://USER"),
        ("postgresql://u:hunter2@127.0.0.1:1/d", "PostgreSQL failed: ConnectionRefusedError"),
        ("postgres://u:hunter2@127.0.0.1:port/d", "PostgreSQL failed: ValueError"),
    ],
)
def test_what_is_no_database_is_one_line_without_its_password(tenaudit, command, url, says):
    said = tenaudit("db", command, "--store", url, code=2).err
    assert says in said
    assert "hunter2" not in said


def test_the_store_must_be_named(tenaudit, monkeypatch):
    monkeypatch.delenv("TENAUDIT_STORE", raising=False)
    assert "--store" in tenaudit("db", "migrate", code=2).err


def test_the_help_needs_no_asyncpg():
    program = "import sys; sys.modules['asyncpg'] = None; from tenaudit.cli import main; sys.exit(main(sys.argv[1:]))"
    for argv in (["db", "--help"], ["db", "migrate", "--help"], ["db", "status", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *argv], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        [sys.executable, "-c", program, "db", "status", "--store", "postgresql://h/d"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert 'pip install "tenaudit[postgres]"' in done.stderr
