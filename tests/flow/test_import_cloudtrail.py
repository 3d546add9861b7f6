"""CloudTrail files from disk to store to answer to proof, all through the command line."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from tenaudit.cli import main

DATA = Path(__file__).parent.parent / "data" / "cloudtrail"
RECORDS = sum(len(json.loads(path.read_text())["Records"]) for path in DATA.glob("*.json"))
IAM_FAILURE = "01893fc6-6550-745c-9490-5618a4e128ee"
TENANT = "e27f1339-cc97-52f1-a7d9-bea7624b3168"
COLUMNS = [
    "event_id",
    "occurred_at",
    "actor_id",
    "actor_type",
    "action",
    "resource_type",
    "resource_id",
    "outcome",
    "severity",
    "service",
    "payload",
    "redactions",
    "content_hash",
]


@pytest.fixture
def cli(tmp_path, capsys):
    """Run a command on the test's store; return exit code and what it printed as JSON."""

    def run(*argv):
        head = 2 if argv[0] == "audit" else 1
        store = ("--store", f"sqlite:///{tmp_path}/audit.db", "--json")
        code = main([*map(str, argv[:head]), *store, *map(str, argv[head:])])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else said.err

    return run


def load(cli, *paths):
    return cli("import", "--format", "cloudtrail", *paths)


def test_two_imports_store_everything_once(cli):
    code, report = load(cli, DATA)
    assert code == 0
    assert report | {"seconds": 0} == {
        "files": 2,
        "read": RECORDS,
        "stored": RECORDS,
        "expiring": RECORDS,
        "duplicates": 0,
        "conflicts": 0,
        "expired": 0,
        "refused": {},
        "passed": {},
        "problems": [],
        "problems_omitted": 0,
        "skipped": 2,
        "seconds": 0,
    }
    code, again = load(cli, DATA, *DATA.glob("*.json"))
    assert (code, again["read"], again["stored"], again["duplicates"]) == (0, RECORDS, 0, RECORDS)
    assert cli("audit", "verify") == (0, {"verified": True, "events": RECORDS, "tenants": 1, "problems": []})


def test_the_failures_of_iam_are_found(cli):
    load(cli, DATA)
    code, page = cli("audit", "query", "--action", "iam.*", "--outcome", "failure")
    assert code == 0
    (event,) = page["events"]
    assert (event["event_id"], event["action"], event["tenant_id"]) == (IAM_FAILURE, "iam.delete_login_profile", TENANT)
    assert event["payload"]["errorCode"] == "NoSuchEntityException"
    assert page["next_cursor"] is None


def test_pages_follow_each_other_without_gap_or_overlap(cli):
    load(cli, DATA)
    seen, cursor = [], ()
    while True:
        code, page = cli("audit", "query", "--limit", 10, *cursor)
        assert code == 0
        seen += [event["event_id"] for event in page["events"]]
        if page["next_cursor"] is None:
            break
        cursor = ("--cursor", page["next_cursor"])
    assert len(seen) == len(set(seen)) == RECORDS
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("column", COLUMNS)
def test_one_changed_byte_of_one_row_is_found_and_named(cli, tmp_path, column):
    load(cli, DATA)
    with closing(sqlite3.connect(tmp_path / "audit.db")) as database, database:
        value = database.execute(f"SELECT {column} FROM events WHERE event_id = ?", (IAM_FAILURE,)).fetchone()[0]
        raw = bytearray(value if isinstance(value, bytes) else value.encode())
        raw[len(raw) // 2] ^= 1
        changed = bytes(raw) if isinstance(value, bytes) else raw.decode()
        database.execute(f"UPDATE events SET {column} = ? WHERE event_id = ?", (changed, IAM_FAILURE))
    code, report = cli("audit", "verify")
    assert (code, report["verified"]) == (1, False)
    assert IAM_FAILURE in [problem["event_id"] for problem in report["problems"]]
    assert {problem["tenant_id"] for problem in report["problems"]} == {TENANT}


def test_a_row_that_was_deleted_is_named(cli, tmp_path):
    load(cli, DATA)
    with closing(sqlite3.connect(tmp_path / "audit.db")) as database, database:
        database.execute("DELETE FROM events WHERE event_id = ?", (IAM_FAILURE,))
    code, report = cli("audit", "verify", "--tenant", TENANT)
    assert code == 1
    assert [(problem["kind"], problem["event_id"]) for problem in report["problems"]] == [("missing", IAM_FAILURE)]


def test_gzip_holds_the_same_events(cli, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    for path in DATA.glob("*.json"):
        (logs / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert load(cli, logs)[1]["stored"] == RECORDS
    assert load(cli, DATA)[1]["duplicates"] == RECORDS


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'{"Records": [{"eventID"', "invalid_json"),
        (b'{"Digest": 1}', "no_records"),
        (gzip.compress(os.urandom(2000))[:-50], "broken_gzip"),
        (b"\x00\xff", "not_utf8"),
        (b'{"Records": ' + b"[" * 200_000, "json_too_deep"),
    ],
)
def test_a_broken_file_between_two_good_ones_is_refused_by_name(cli, tmp_path, broken, reason):
    logs = tmp_path / "logs"
    logs.mkdir()
    for place, path in zip(("1.json", "3.json"), DATA.glob("*.json"), strict=True):
        shutil.copy(path, logs / place)
    (logs / "2.json").write_bytes(broken)
    code, report = load(cli, logs)
    assert (code, report["files"], report["stored"], report["refused"]) == (1, 3, RECORDS, {reason: 1})
    (problem,) = report["problems"]
    assert (problem["path"], problem["record"], problem["reason"]) == (str(logs / "2.json"), None, reason)
    assert cli("audit", "verify")[0] == 0


def test_a_broken_record_is_refused_by_name_and_place(cli, tmp_path):
    good = json.loads(next(DATA.glob("*s2m4*")).read_text())["Records"]
    deep = {"a": "end"}
    for _ in range(100):
        deep = {"a": deep}
    path = tmp_path / "mixed.json"
    wrong = [7, {**good[0], "eventTime": "soon"}, {**good[0], "requestParameters": deep}]
    path.write_text(json.dumps({"Records": [good[0], *wrong, good[1]]}))
    code, report = load(cli, path)
    assert (code, report["read"], report["stored"]) == (1, 5, 2)
    assert [(problem["record"], problem["reason"]) for problem in report["problems"]] == [
        (1, "not_an_object"),
        (2, "invalid_time"),
        (3, "payload_too_deep"),
    ]


def test_the_same_id_with_other_content_is_a_conflict(cli, tmp_path):
    (record, _) = json.loads(next(DATA.glob("*s2m4*")).read_text())["Records"]
    path = tmp_path / "forged.json"
    path.write_text(json.dumps({"Records": [record, {**record, "sourceIPAddress": "192.0.2.1"}]}))
    code, report = load(cli, path)
    assert (code, report["read"], report["stored"], report["conflicts"]) == (1, 2, 1, 1)


def test_long_numbers_are_stored_as_text_and_tagged(cli, tmp_path):
    (record, _) = json.loads(next(DATA.glob("*s2m4*")).read_text())["Records"]
    path = tmp_path / "long.json"
    path.write_text(json.dumps({"Records": [{**record, "requestParameters": {"size": 2**63, "wide": 1e16}}]}))
    assert load(cli, path)[0] == 0
    (event,) = cli("audit", "query")[1]["events"]
    assert event["payload"]["requestParameters"] == {"size": str(2**63), "wide": "1e+16"}
    assert event["redactions"] == [
        "payload.requestParameters.size:stringified",
        "payload.requestParameters.wide:stringified",
    ]
    assert cli("audit", "verify")[0] == 0


def test_several_tenants_are_merged_and_paging_needs_one(cli):
    other = UUID(int=7, version=4)
    load(cli, DATA)
    load(cli, "--tenant", other, DATA)
    code, page = cli("audit", "query", "--limit", 9)
    events = page["events"]
    assert (code, len(events), page["next_cursor"]) == (0, 9, None)
    assert {event["tenant_id"] for event in events} == {TENANT, str(other)}
    assert [event["event_id"] for event in events] == sorted((e["event_id"] for e in events), reverse=True)
    (_, mine) = cli("audit", "query", "--tenant", other, "--limit", 500)
    assert {event["tenant_id"] for event in mine["events"]} == {str(other)}
    code, line = cli("audit", "query", "--cursor", "AAAA")
    assert code == 2
    assert "--tenant" in line
    assert cli("audit", "verify")[1]["tenants"] == 2


def test_bad_input_is_one_line_and_makes_no_store(cli, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for argv, says in (
        (("import", "--format", "nope", DATA), "known are cloudevents, cloudtrail"),
        (("import", "--format", "cloudtrail", tmp_path / "none"), "does not exist"),
        (("import", "--format", "cloudtrail", empty), "no .json, .jsonl, .ndjson or .gz file"),
        (("import", "--format", "cloudtrail", "--tenant", "x", DATA), "not a valid UUID"),
    ):
        code, line = cli(*argv)
        assert code == 2
        assert line.startswith("error: ")
        assert line.count("\n") == 1
        assert says in line
    assert not (tmp_path / "audit.db").exists()


def test_wrong_filters_are_all_named(cli):
    load(cli, DATA)
    code, line = cli("audit", "query", "--outcome", "maybe", "--limit", 0, "--action", "IAM")
    assert code == 2
    assert all(name in line for name in ("--outcome", "--limit", "--action"))
    code, line = cli("audit", "query", "--cursor", "AAAA")
    assert code == 2
    assert "--cursor" in line
    code, line = cli("audit", "verify", "--tenant", UUID(int=0))
    assert code == 2
    assert "no tenant" in line


def test_people_get_text(tmp_path, capsys):
    store = ("--store", f"sqlite:///{tmp_path}/audit.db")
    assert main(["import", "--format", "cloudtrail", *store, str(DATA)]) == 0
    assert f"stored      {RECORDS}" in capsys.readouterr().out
    assert main(["audit", "query", *store, "--action", "iam.delete_login_profile", "--outcome", "failure"]) == 0
    assert IAM_FAILURE in capsys.readouterr().out
    assert main(["audit", "verify", *store]) == 0
    assert capsys.readouterr().out == f"verified: events {RECORDS}, tenants 1, problems 0\n"
