"""`tenaudit serve`: what it answers, whom it believes, how it ends, and the one line when it cannot begin."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from httpx import ASGITransport, AsyncClient

from tenaudit.audit import AuditQuery, StoreError
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.cli.serve_app import query_service
from tenaudit.cli.serve_http import is_loopback, listen, serve_until, url_of
from tenaudit.testing.conformance import an_event

STORE = "sqlite:///audit.db"
TENANT = str(an_event(0).tenant_id)
AUDITORS = '[roles]\nAuditor = ["audit_view"]\nAdmin = ["order_view"]\n'
ADMIN = {"X-Tenant-ID": TENANT, "X-User-ID": "ada", "X-Roles": "Admin"}
TRUST = 'trust="mesh": who reaches this port is believed to have the tenant and the roles that its headers say'


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENAUDIT_STORE", raising=False)


def fill(count=3):
    async def made():
        async with SqliteStore.open("audit.db") as store:
            await store.append([an_event(n, payload={"card": {"number": "4111111111111111"}}) for n in range(count)])

    asyncio.run(made())


def stored():
    async def found():
        async with SqliteStore.open("audit.db") as store:
            return (await store.search(AuditQuery(an_event(0).tenant_id, order="asc"))).events

    return asyncio.run(found())


def get(url, headers=ADMIN):
    try:
        with urlopen(Request(url, headers=headers), timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@contextmanager
def serving(*words):
    """The command as a process of its own on a free port: its URL, and what stops it."""
    argv = [sys.executable, "-m", "tenaudit.cli", "serve", "--store", STORE, "--port", "0", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()

        def stop(number=signal.SIGTERM):
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
            return process.returncode, out, err

        try:
            first = process.stderr.readline()
            assert first.startswith("serving http://127.0.0.1:"), first
            assert process.stderr.readline() == f"{TRUST}\n"
            yield first.split()[1].removesuffix("/audit/events;"), stop
        finally:
            watchdog.cancel()
            process.kill()


def test_it_answers_by_role_and_records_who_saw_everything(tmp_path):
    fill()
    (tmp_path / "cursor.key").write_text("a secret of the trail, long enough\n\nan older one that still verifies\n")
    with serving("--redact", "payload.card.number", "--cursor-key-file", "cursor.key") as (url, stop):
        status, body = get(f"{url}/audit/events?limit=2")
        assert status == 200
        page = json.loads(body)
        assert [event["payload"]["card"]["number"] for event in page["events"]] == ["4111111111111111"] * 2
        status, body = get(f"{url}/audit/events?limit=2&cursor={page['next_cursor']}")
        assert (status, len(json.loads(body)["events"])) == (200, 1)
        assert get(f"{url}/audit/events", {})[0] == 400
        assert get(f"{url}/audit/events", ADMIN | {"X-Roles": "Cashier"})[0] == 403
        status, body = get(f"{url}/audit/events?action=order.created", ADMIN | {"X-Roles": "Support"})
        masked = [event["payload"]["card"]["number"] for event in json.loads(body)["events"]]
        assert masked == ["****1111"] * 3
        assert get(f"{url}/internal/health", {})[0] == 200
        assert "audit_queue_depth" in get(f"{url}/internal/metrics", {})[1]
        assert stop() == (0, "", "stopped\n")
    actions = [event.action for event in stored()]
    assert actions.count("audit.read_unredacted") == 2
    assert "capability_denied" in actions


def test_a_cursor_outlives_the_process_by_its_key(tmp_path):
    fill()
    (tmp_path / "cursor.key").write_text("a secret of the trail, long enough\n")
    cursors = []
    for words, wanted in ((("--cursor-key-file", "cursor.key"), 200), ((), 400)):
        with serving("--cursor-key-file", "cursor.key") as (url, _):
            cursors.append(json.loads(get(f"{url}/audit/events?limit=2")[1])["next_cursor"])
        with serving(*words) as (url, _):
            assert get(f"{url}/audit/events?limit=2&cursor={cursors[-1]}")[0] == wanted


def test_a_client_that_follows_does_not_hold_up_the_end(tmp_path):
    fill()
    (tmp_path / "policy.toml").write_text(AUDITORS)
    with serving("--policy", "policy.toml") as (url, stop):
        assert get(f"{url}/audit/events", ADMIN)[0] == 403
        with urlopen(Request(f"{url}/audit/tail", headers=ADMIN | {"X-Roles": "Auditor"}), timeout=10) as response:
            assert response.status == 200
            code, out, err = stop(signal.SIGINT)
        assert (code, out) == (0, "")
        assert err == "stopped\n"


def test_in_this_process_it_gives_the_signals_back(capsys):
    fill(1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answers = []

    def ask():
        until = time.monotonic() + 20
        while not answers and time.monotonic() < until:
            with suppress(OSError):
                answers.append(get(f"http://127.0.0.1:{port}/audit/events"))
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    asking = threading.Thread(target=ask)
    try:
        asking.start()
        assert main(["serve", "--store", STORE, "--port", str(port), "--redact", "payload.card.number"]) == 0
    finally:
        asking.join(30)
        signal.signal(signal.SIGTERM, before)
    assert answers[0][0] == 200
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "stopped"


def test_what_cannot_be_stored_now_is_tried_again_by_the_producer():
    class Weak:
        broken = True

        def __init__(self):
            self.events = []

        async def append(self, events):
            if self.broken:
                self.broken = False
                raise StoreError("away")
            self.events += events

        async def tenants(self):
            return ()

    async def served():
        store = Weak()
        async with (
            query_service(store, redactor=None, cursor_keys=[b"k" * 16]) as app,
            AsyncClient(transport=ASGITransport(app), base_url="http://audit") as client,
        ):
            answer = await client.get("/audit/events", headers=ADMIN | {"X-Roles": "Cashier"})
            assert answer.status_code == 403
        return [event.action for event in store.events]

    assert asyncio.run(served()) == ["capability_denied"]


def test_the_policy_of_a_file_decides_and_names_the_roles(tmp_path):
    fill()
    path = tmp_path / "policy.toml"
    path.write_text(AUDITORS)

    async def served():
        async with (
            SqliteStore.open("audit.db") as store,
            query_service(store, redactor=None, cursor_keys=[b"k" * 16], policy=path) as app,
            AsyncClient(transport=ASGITransport(app), base_url="http://audit") as client,
        ):
            answers = [
                (await client.get("/audit/events", headers=ADMIN | {"X-Roles": role})).status_code
                for role in ("Auditor", "Admin", "Support")
            ]
            metrics = (await client.get("/internal/metrics")).text
            return answers, metrics

    answers, metrics = asyncio.run(served())
    assert answers == [200, 403, 403]
    assert "policy_last_reload_timestamp_seconds" in metrics
    assert "security_unknown_roles_total 1.0" in metrics


def test_a_server_that_fails_is_no_clean_end():
    def ready():
        raise RuntimeError("no")

    async def served():
        with listen("127.0.0.1", 0) as bound:
            await serve_until(None, bound, asyncio.Event(), ready)

    with pytest.raises(RuntimeError, match="no"):
        asyncio.run(asyncio.wait_for(served(), 30))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_word_of_trust(host):
    assert is_loopback(host)
    with listen(host, 0) as bound:
        assert url_of(bound).startswith(("http://127.0.0.1:", "http://[::1]:"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--host", "0.0.0.0"], "add --trust mesh"),
        (["--host", "audit.example"], "add --trust mesh"),
        (["--host", "no such host", "--trust", "mesh"], "choose others with --host and --port"),
        (["--host", "a" * 70 + ".example", "--trust", "mesh"], "choose others with --host and --port"),
        (["--host", "192.0.2.1", "--trust", "mesh"], "port 8000 on 192.0.2.1: Cannot assign requested address"),
        (["--trust", "everybody"], "--trust"),
        (["--port", "70000"], "--port"),
        (["--cursor-key-file", "no.key"], "no.key: No such file"),
        (["--cursor-key-file", "empty.key"], "empty.key must hold secrets"),
        (["--cursor-key-file", "large.key"], "at most 64 KiB"),
        (
            ["--cursor-key-file", "short.key", "--port", "0"],
            "--cursor-key-file: line 2 of short.key has less than 16 bytes; write a longer secret",
        ),
        (["--redact", "payload.["], "--redact: "),
        (["--store", "sqlite:///no.db", "--port", "0"], "there is no store at no.db"),
        (["--policy", "no.toml", "--port", "0"], "no.toml"),
        (["--policy", "broken.toml", "--port", "0"], "broken.toml: Invalid value"),
        (["--policy", "blind.toml", "--port", "0"], "blind.toml gives audit_view to no role"),
    ],
)
def test_what_cannot_be_served_is_one_line(words, says, tmp_path, capsys):
    fill(0)
    (tmp_path / "empty.key").write_text("\n \n")
    (tmp_path / "large.key").write_text("k" * 70_000)
    (tmp_path / "short.key").write_text("\nshort\n")
    (tmp_path / "broken.toml").write_text("[roles]\nAdmin = [\n")
    (tmp_path / "blind.toml").write_text('[roles]\nAdmin = ["order_view"]\n')
    assert main(["serve", "--store", STORE, *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert says in said.err


def test_a_port_in_use_is_one_line(capsys):
    fill(0)
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--store", STORE, "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"error: port {port} on 127.0.0.1: Address already in use; choose others with --host and --port\n"
    )


def test_without_uvicorn_it_says_what_to_install():
    code = "import sys; sys.modules['uvicorn'] = None; from tenaudit.cli import main; sys.exit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'error: uvicorn is not installed: pip install "tenaudit[serve]"\n'
