"""`tenaudit keys`: from create to rotate, what each refuses, and where a secret never stands."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from tenaudit.backends.sqlite import SqliteApiKeyStore, SqliteStore
from tenaudit.cli import main
from tenaudit.cli.keys_time import end_of, seconds_of, shown_time
from tenaudit.errors import ConfigurationError
from tenaudit.security import ApiKeyAuthenticator

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
OTHER = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e60"
KEY = re.compile(r"(ta_[0-9a-f]{12})_[A-Za-z0-9_-]{43}\n")
VIEW = {
    *("prefix", "tenant_id", "roles", "name", "description", "state", "created_at", "expires_at", "revoked_at"),
    *("rotated_from", "replaced_by"),
}


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("TENAUDIT_KEYS_STORE", f"sqlite:///{tmp_path}/keys.db")
    return tmp_path / "keys.db"


@pytest.fixture
def tenaudit(capsys):
    def call(*argv, code=0):
        assert main(["keys", *argv]) == code, capsys.readouterr().err
        said = capsys.readouterr()
        if code:
            assert said.out == ""
            assert said.err.startswith("error: ")
            assert said.err.count("\n") == 1
        return said

    return call


def make(tenaudit, *argv):
    return json.loads(tenaudit("create", "--tenant", TENANT, "--role", "cashier", "--json", *argv).out)


def listed(tenaudit, *argv):
    return json.loads(tenaudit("list", "--json", *argv).out)["keys"]


def principal(path, key):
    async def ask():
        async with SqliteApiKeyStore.open(path) as store:
            return await ApiKeyAuthenticator(store).authenticate({"x-api-key": key})

    return asyncio.run(ask())


def test_a_key_is_created_and_works(store, tenaudit):
    said = tenaudit("create", "--tenant", TENANT, "--role", "cashier", "--role", "Inventory", "--name", "tills")
    prefix = KEY.fullmatch(said.out)[1]
    assert said.err.startswith(f"{prefix} works without an end; the key is shown this once")
    assert said.out.strip() not in said.err
    found = principal(store, said.out.strip())
    assert (str(found.tenant_id), found.roles, found.actor.id) == (TENANT, {"Cashier", "Inventory"}, prefix)
    (shown,) = listed(tenaudit)
    assert set(shown) == VIEW
    assert (shown["prefix"], shown["name"], shown["state"], shown["roles"]) == (
        *(prefix, "tills", "active"),
        ["Cashier", "Inventory"],
    )


def test_a_new_file_is_its_owners_alone(store, tenaudit):
    before = os.umask(0o022)
    try:
        make(tenaudit)
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in store.parent.iterdir()} == {"0o600"}


def test_the_secret_is_shown_once_and_stored_nowhere(store, tenaudit):
    made = make(tenaudit, "--name", "tills", "--description", "the tills of shop 7")
    rotated = json.loads(tenaudit("rotate", made["prefix"], "--json").out)
    said = [tenaudit("list"), tenaudit("list", "--json"), tenaudit("revoke", made["prefix"])]
    stored = b"".join(path.read_bytes() for path in store.parent.iterdir())
    assert b"the tills of shop 7" in stored
    for one in (made, rotated):
        secret = one["key"][len(one["prefix"]) + 1 :]
        assert len(secret) == 43
        assert secret.encode() not in stored
        assert not any(secret in text for pair in said for text in pair)


def test_the_hash_is_shown_nowhere(store, tenaudit):
    make(tenaudit)
    connection = sqlite3.connect(store)
    (digest,) = connection.execute("SELECT secret_hash FROM api_keys").fetchone()
    connection.close()
    assert len(digest) == 32
    assert digest.hex() not in tenaudit("list").out + tenaudit("list", "--json").out


def test_a_key_has_an_end(store, tenaudit):
    made = make(tenaudit, "--expires", "2099-01-31")
    assert made["expires_at"] == "2099-01-31T00:00:00Z"
    said = tenaudit("create", "--tenant", TENANT, "--role", "Admin", "--expires", "90d")
    end = datetime.fromtimestamp(time.time() + 90 * 86_400, UTC)
    assert f"works until {end:%Y-%m-%dT}" in said.err


def test_revoke(store, tenaudit):
    made = make(tenaudit)
    for _ in range(2):
        assert tenaudit("revoke", made["prefix"]).out == f"revoked: {made['prefix']}\n"
    (shown,) = listed(tenaudit)
    assert shown["state"] == "revoked"
    assert shown["revoked_at"] is not None
    assert "there is no key ta_000000000000" in tenaudit("revoke", "ta_000000000000", code=2).err


def test_rotate_with_an_overlap(store, tenaudit):
    made = make(tenaudit, "--name", "tills", "--expires", "30d")
    said = tenaudit("rotate", made["prefix"])
    prefix = KEY.fullmatch(said.out)[1]
    assert f"{made['prefix']} works for 24h more, or until its end\n" in said.err
    old, new = sorted(listed(tenaudit), key=lambda one: one["rotated_from"] or "")
    assert (old["state"], old["replaced_by"], new["state"], new["rotated_from"]) == (
        *("replaced", prefix, "active"),
        made["prefix"],
    )
    assert (new["name"], new["roles"], new["tenant_id"]) == (old["name"], old["roles"], old["tenant_id"])
    assert principal(store, made["key"]).actor.id == made["prefix"]
    assert principal(store, said.out.strip()).actor.id == prefix
    assert f"was replaced by {prefix}" in tenaudit("rotate", made["prefix"], code=2).err


@pytest.mark.parametrize("span", ["0", "0s"])
def test_rotate_at_once(store, tenaudit, span):
    made = make(tenaudit)
    assert f"{made['prefix']} works no more\n" in tenaudit("rotate", made["prefix"], "--overlap", span).err
    assert {one["prefix"]: one["state"] for one in listed(tenaudit)}[made["prefix"]] == "revoked"


def test_list_by_tenant_and_in_pages(store, tenaudit):
    prefixes = sorted(make(tenaudit)["prefix"] for _ in range(3))
    tenaudit("create", "--tenant", OTHER, "--role", "Support")
    assert [one["prefix"] for one in listed(tenaudit, "--tenant", TENANT)] == prefixes
    said = tenaudit("list", "--tenant", TENANT, "--limit", "2")
    assert f"go on with --after {prefixes[1]}\n" in said.err
    assert [line.split()[0] for line in said.out.splitlines()] == ["prefix", *prefixes[:2]]
    page = json.loads(tenaudit("list", "--tenant", TENANT, "--limit", "2", "--json").out)
    assert page["next_after"] == prefixes[1]
    assert [one["prefix"] for one in listed(tenaudit, "--tenant", TENANT, "--after", prefixes[1])] == prefixes[2:]
    assert "after must be" in tenaudit("list", "--after", "x", code=2).err


def test_an_expired_key_is_listed_as_that(store, tenaudit):
    made = make(tenaudit)
    connection = sqlite3.connect(store)
    with connection:
        connection.execute("UPDATE api_keys SET expires_at = 1e300")
    connection.close()
    assert listed(tenaudit)[0]["expires_at"] == "1e+300"
    connection = sqlite3.connect(store)
    with connection:
        connection.execute("UPDATE api_keys SET expires_at = 5")
    connection.close()
    assert listed(tenaudit)[0]["state"] == "expired"
    assert "has expired" in tenaudit("rotate", made["prefix"], code=2).err


def test_a_role_that_the_vocabulary_does_not_know_is_refused_unless_asked_for(store, tenaudit):
    argv = ("create", "--tenant", TENANT, "--role", "Auditor")
    said = tenaudit(*argv, code=2)
    assert "Auditor is not known; known are SuperAdmin, " in said.err
    assert not store.exists()
    tenaudit(*argv, "--any-role", "--role", "admin")
    assert listed(tenaudit)[0]["roles"] == ["Admin", "Auditor"]


@pytest.mark.parametrize("role", ["a,b", "", "é", "a\nb", "x" * 257])
def test_a_role_that_no_header_carries_is_refused_always(store, tenaudit, role):
    assert "roles" in tenaudit("create", "--tenant", TENANT, "--any-role", "--role", role, code=2).err
    assert not store.exists()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("create", "--role", "Admin"), "--tenant"),
        (("create", "--tenant", TENANT), "--role"),
        (("create", "--tenant", "x", "--role", "Admin"), "UUID"),
        (("create", "--tenant", TENANT, "--role", "Admin", "--expires", "soon"), "90d"),
        (("create", "--tenant", TENANT, "--role", "Admin", "--expires", "2001-01-01"), "future"),
        (("create", "--tenant", TENANT, "--role", "Admin", "--name", "a\x1b[2J"), "name must be"),
        (("create", "--tenant", TENANT, "--role", "Admin", "--description", "x" * 501), "description must be"),
        (("rotate", "ta_000000000000", "--overlap", "-1h"), "24h"),
        (("rotate", "ta_000000000000", "--overlap", "1 day"), "24h"),
        (("list", "--limit", "0"), "--limit"),
        (("revoke", "nothing"), "12 hex digits"),
        (("revoke",), "PREFIX"),
    ],
)
def test_bad_usage_is_one_line(store, tenaudit, argv, says):
    assert says in tenaudit(*argv, code=2).err
    assert not store.exists()


@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_a_whole_key_in_the_place_of_a_prefix_is_not_repeated(store, tenaudit, verb):
    made = make(tenaudit)
    assert made["key"][16:] not in tenaudit(verb, made["key"], code=2).err


@pytest.mark.parametrize("argv", [("list",), ("revoke", "ta_000000000000"), ("rotate", "ta_000000000000")])
@pytest.mark.parametrize("content", [None, b"", b"a text and no database, of some length" * 20])
def test_a_store_that_is_not_there_is_an_error_and_none_is_made(store, tenaudit, argv, content):
    if content is not None:
        store.write_bytes(content)
    assert str(store) in tenaudit(*argv, code=2).err
    assert (store.read_bytes() if store.exists() else None) == content


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("keys.db", "sqlite:///FILE"),
        ("mysql://u:hunter2@h/d", "mysql"),
        ("sqlite:keys.db", "three slashes"),
        ("sqlite:///", "three slashes"),
        ("sqlite:///a\0b", "three slashes"),
        ("sqlite:///:memory:", "name a file"),
        ("sqlite:///no/such/folder/keys.db", "does not exist"),
        ("sqlite:////dev/null", "no SQLite file"),
        ("sqlite:////", "no SQLite file"),
    ],
)
def test_a_url_that_names_no_store_says_how_to_mend_it(tenaudit, tmp_path, monkeypatch, url, says):
    monkeypatch.chdir(tmp_path)
    said = tenaudit("create", "--tenant", TENANT, "--role", "Admin", "--store", url, code=2).err
    assert says in said
    assert "hunter2" not in said
    assert list(tmp_path.iterdir()) == []


def test_without_a_store_the_option_is_asked_for(tenaudit, monkeypatch):
    monkeypatch.delenv("TENAUDIT_KEYS_STORE", raising=False)
    assert "--store" in tenaudit("list", code=2).err


def test_the_store_of_events_is_no_store_of_keys(tmp_path, tenaudit, store):
    async def make_events():
        async with SqliteStore.open(store):
            pass

    asyncio.run(make_events())
    before = store.read_bytes()
    assert "no store of API keys" in tenaudit("list", code=2).err
    assert store.read_bytes() == before


def test_a_missing_driver_is_one_line_that_names_the_extra():
    code = (
        "import sys; sys.modules['asyncpg'] = None\nfrom tenaudit.cli import main\n"
        "sys.exit(main(['keys', 'list', '--store', 'postgresql://u:hunter2@127.0.0.1/d']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'error: asyncpg is not installed: pip install "tenaudit[postgres]"\n'


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("45s", 45), ("30m", 1800), ("24h", 86_400), ("90d", 7_776_000), ("2w", 1_209_600)]
)
def test_a_span_in_seconds(text, seconds):
    assert seconds_of(text) == seconds
    if seconds:
        assert end_of(text, 1000.0) == 1000.0 + seconds


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1y", "-1h", "1.5h", "1 h", "\u0661h", "9999999999s", "999999w", "1h\n"]
)
def test_what_is_no_span(text):
    with pytest.raises(ConfigurationError, match="24h"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [("2027-01-31", "2027-01-31T00:00:00Z"), ("2027-01-31T12:00:00+02:00", "2027-01-31T10:00:00Z")],
)
def test_an_end_by_the_calendar(text, moment):
    assert shown_time(end_of(text, 0.0)) == moment


@pytest.mark.parametrize(
    "text", ["", "0", "0d", "soon", "2027-13-01", "2027-01-31T12:00:00", "1969-01-01", "0001-01-01T00:00:00+23:59"]
)
def test_what_is_no_end(text):
    with pytest.raises(ConfigurationError, match="end"):
        end_of(text, 0.0)


def test_no_time_is_shown_as_none():
    assert shown_time(None) is None
