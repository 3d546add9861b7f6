"""`tenaudit audit export`, `tail` and `stats` on a store: whole, clean at their ends, one line for bad input."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tenaudit.audit import AuditEvent
from tenaudit.audit.mappers import to_cloudevents, to_ecs, to_ocsf
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.cli import main
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

EVENTS = 600
SECONDS = 30


def fill(folder: Path, *events: AuditEvent) -> str:
    async def write() -> None:
        async with SqliteStore.open(folder / "audit.db") as store:
            await store.append(events)

    asyncio.run(write())
    return f"sqlite:///{folder}/audit.db"


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return fill(tmp_path, *(an_event(n, outcome="denied" if n % 2 else "success") for n in range(EVENTS)))


def test_an_export_is_every_event_and_says_so(store_url: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["audit", "export", "--store", store_url, "--order", "asc"]) == 0
    said = capfdbinary.readouterr()
    *lines, end = said.out.splitlines()
    assert [AuditEvent.model_validate_json(line).seq for line in lines] == list(range(EVENTS))
    assert json.loads(end) == {"tenaudit_export": {"complete": True, "events": EVENTS}}
    assert said.err == b""


def test_an_export_as_csv(store_url: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    command = ["audit", "export", "--store", store_url, "--format", "csv", "--outcome", "denied", "--tenant"]
    assert main([*command, str(TENANT)]) == 0
    rows = list(csv.reader(io.StringIO(capfdbinary.readouterr().out.decode(), newline="")))
    assert (len(rows), rows[0][0], rows[-1][:2]) == (EVENTS // 2 + 2, "event_id", ["#complete", str(EVENTS // 2)])
    assert main([*command, str(OTHER_TENANT)]) == 0
    assert len(capfdbinary.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(("shape", "mapper"), [("cloudevents", to_cloudevents), ("ecs", to_ecs), ("ocsf", to_ocsf)])
def test_an_export_in_the_shape_of_another_system_is_its_records_and_nothing_else(
    store_url: str, shape: str, mapper: Any, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    command = ["audit", "export", "--store", store_url, "--format", shape, "--order", "asc", "--outcome", "denied"]
    assert main(command) == 0
    said = capfdbinary.readouterr()
    wanted = [mapper(an_event(n, outcome="denied")) for n in range(1, EVENTS, 2)]
    assert [json.loads(line) for line in said.out.splitlines()] == wanted
    assert said.err == b"exported 300 events\n"


def test_stats_as_json_and_as_a_table(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "stats", "--store", store_url, "--outcome", "denied", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "events": 300, "complete": True, "oldest": "2026-11-24T06:00:01.000000Z", "actions": {"order.created": 300},
        "outcomes": {"denied": 300}, "severities": {"info": 300}, "days": {"2026-11-24": 300},
    }  # fmt: skip
    assert main(["audit", "stats", "--store", store_url]) == 0
    said = capsys.readouterr()
    assert [line.split() for line in said.out.splitlines()] == [
        ["kind", "name", "events"], ["action", "order.created", "600"], ["outcome", "denied", "300"],
        ["outcome", "success", "300"], ["severity", "info", "600"], ["day", "2026-11-24", "600"], ["all", "-", "600"],
    ]  # fmt: skip
    assert said.err == ""


def test_an_empty_store_has_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = fill(tmp_path)
    assert main(["audit", "export", "--store", url]) == 0
    assert capfd.readouterr().out == '{"tenaudit_export":{"complete":true,"events":0}}\n'
    assert main(["audit", "stats", "--store", url, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["events"] == 0


@pytest.mark.parametrize("command", ["export", "stats", "tail"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--outcome", "none"], "--outcome must be success"),
        (["--min-severity", "loud"], "--min-severity must be one of"),
        (["--q", "x" * 1025], "--q must be at most 1024"),
        (["--limit", "5"], "No such option"),
        (["--tenant", "me"], "--tenant"),
    ],
)
def test_bad_input_is_one_line(
    store_url: str, command: str, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", command, "--store", store_url, *options]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err


@pytest.mark.parametrize("command", ["export", "stats", "tail"])
def test_among_several_tenants_one_is_named(
    tmp_path: Path, store_url: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path, an_event(1, tenant_id=OTHER_TENANT))
    assert main(["audit", command, "--store", store_url]) == 2
    assert capsys.readouterr().err == "error: the store has 2 tenants; name one with --tenant\n"


def test_a_bad_format_and_a_store_that_is_not_there(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "export", "--store", store_url, "--format", "xml"]) == 2
    assert capsys.readouterr().err == "error: --format must be one of ndjson, csv, cloudevents, ecs, ocsf\n"
    assert main(["audit", "export", "--store", store_url, "--format", ""]) == 2
    assert "--format must be one of" in capsys.readouterr().err
    assert main(["audit", "tail", "--store", f"{store_url}.gone"]) == 2
    assert capsys.readouterr().err.startswith("error: there is no store at")


def test_a_count_that_met_its_bound_says_so(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "stats", "--store", store_url, "--max-events", "7"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].split() == ["all", "-", "7"]
    oldest = "2026-11-24T06:09:53.000000Z"
    assert said.err == f"there are more events; counted were the newest, back to {oldest}\n"
    assert main(["audit", "stats", "--store", store_url, "--max-events", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tenaudit.cli", "audit", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Wait for the end, and return the exit code and what was said on standard error."""
    assert process.stderr is not None
    with process:
        said = process.stderr.read()
        return process.wait(SECONDS), said


def read_line(process: subprocess.Popen[bytes]) -> Any:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_tail_shows_what_arrives_until_it_is_interrupted(tmp_path: Path) -> None:
    url = fill(tmp_path, an_event(5), an_event(6, action="payment.voided"))
    process = started("tail", "--store", url, "--from-start", "--action", "order.*", "--json")
    assert json.loads(read_line(process)) == an_event(5).record()
    fill(tmp_path, an_event(7, action="payment.voided"), an_event(2))
    assert json.loads(read_line(process)) == an_event(2).record()
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, b"")


class Screen(io.StringIO):
    """Standard output of a person who presses Ctrl-C after some lines."""

    lines = 0

    def write(self, text: str) -> int:
        if self.getvalue().count("\n") == self.lines:
            raise KeyboardInterrupt
        return super().write(text)


@pytest.mark.parametrize("option", ["--json", "--from-start"])
def test_pressing_the_keys_is_how_it_ends(
    store_url: str, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen()
    screen.lines = 150
    monkeypatch.setattr(sys, "stdout", screen)
    shown = ["--from-start"] if option == "--json" else []
    assert main(["audit", "tail", "--store", store_url, option, *shown, "--outcome", "success"]) == 130
    assert len(screen.getvalue().splitlines()) == 150
    assert capsys.readouterr().err == ""


def test_a_tail_begins_with_what_comes_next(tmp_path: Path) -> None:
    url = fill(tmp_path, an_event(0))
    process = started("tail", "--store", url, "--json")
    number = 0
    # It says nothing of having begun, so events come until it shows one.
    while not select.select([process.stdout], [], [], 0.2)[0]:
        number += 1
        assert number < 5 * SECONDS
        fill(tmp_path, an_event(number))
    first = json.loads(read_line(process))["seq"]
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, b"")
    assert 0 < first <= number


def test_a_tail_for_people_is_a_line_an_event(tmp_path: Path) -> None:
    url = fill(tmp_path, an_event(1, actor_id="a\x1b[2J\nb", resource_type=None, resource_id=None))
    process = started("tail", "--store", url, "--from-start")
    line = read_line(process).decode()
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, b"")
    assert line == (
        "2026-11-24T06:00:01.000000Z  a\\x1b[2J\\nb  order.created  -  success  info  "
        f"{an_event(1).event_id}\n"
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [["export"], ["tail", "--from-start", "--json"]])
def test_a_reader_that_has_gone_ends_it_without_a_word(tmp_path: Path, arguments: list[str]) -> None:
    # More than a pipe holds, so that something is still being written.
    url = fill(tmp_path, *(an_event(n, payload={"text": "x" * 500}) for n in range(EVENTS)))
    process = started(*arguments, "--store", url)
    assert read_line(process)
    assert process.stdout is not None
    process.stdout.close()
    assert ended(process) == (141, b"")
