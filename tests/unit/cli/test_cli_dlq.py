"""`tenaudit audit dlq`: what is told of dead letters, what is not, and what a replay does with them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from base64 import b64decode
from contextlib import closing

import pytest

from tenaudit.audit import AppendResult, SinkRejected, StoreError
from tenaudit.audit.consumer import Partition, SourceRecord, encode_event, event_headers
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.backends.sqlite.dead_letters import SqliteDeadLetters
from tenaudit.cli import main
from tenaudit.cli.audit_dlq_work import Replay
from tenaudit.testing.conformance import an_event

STORE = "sqlite:///audit.db"
PLACE = Partition("audit.events", 2)
POISON = b'{"secret": "\x1b[2J\xff"}'


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TENAUDIT_STORE", "TENAUDIT_DEAD_LETTERS"):
        monkeypatch.delenv(name, raising=False)


def bury(*values, path="audit.db", stored=()):
    async def made():
        async with SqliteStore.open("audit.db") as store, SqliteDeadLetters(path) as letters:
            await store.append(stored)
            for offset, value in enumerate(values):
                record = value if isinstance(value, SourceRecord) else SourceRecord(PLACE, offset, value)
                await letters.put(record, "not_json")

    asyncio.run(made())


def left(path="audit.db"):
    async def found():
        async with SqliteDeadLetters(path) as letters:
            return [(letter.id, letter.reason, letter.replays) for letter in await letters.page()]

    return asyncio.run(found())


def count():
    async def found():
        async with SqliteStore.open("audit.db") as store:
            assert (await store.verify()).verified
            return await store.count()

    return asyncio.run(found())


def answer(capsys, *words):
    code = main(["audit", "dlq", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_list_tells_where_and_why_and_nothing_of_what_is_inside(capsys):
    bury(POISON, None)
    assert main(["audit", "dlq", "list", "--store", STORE]) == 0
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["id", "reason", "position"]
    assert first.split()[:5] == ["1", "not_json", "audit.events/2@0", "19", "1"]
    assert second.split()[:4] == ["2", "not_json", "audit.events/2@1", "-"]
    assert "secret" not in first


def test_a_list_as_json_is_paged(capsys):
    bury(*[b"{%d" % n for n in range(5)])
    code, page = answer(capsys, "list", "--store", STORE, "--limit", "2")
    assert code == 0
    assert page["next_after"] == 2
    first = page["dead_letters"][0]
    assert first["first_seen"] == first["last_seen"] > "2020-"
    assert {name: first[name] for name in first if not name.endswith("_seen")} == {
        "id": 1,
        "reason": "not_json",
        "topic": "audit.events",
        "partition": 2,
        "offset": 0,
        "size": 2,
        "is_whole": True,
        "replays": 0,
    }
    assert main(["audit", "dlq", "list", "--store", STORE, "--limit", "2", "--after", "2"]) == 0
    assert capsys.readouterr().err == "there are more dead letters; go on with --after 4\n"
    _, page = answer(capsys, "list", "--store", STORE, "--limit", "2", "--after", "4")
    assert [letter["id"] for letter in page["dead_letters"]] == [5]
    assert page["next_after"] is None


def test_a_store_without_dead_letters_has_an_empty_list(capsys):
    bury()
    assert answer(capsys, "list", "--store", STORE) == (0, {"dead_letters": [], "next_after": None})


def test_what_is_inside_is_shown_on_demand_and_cannot_act_on_a_terminal(capsys):
    bury(SourceRecord(PLACE, 7, POISON, b"key\n", (("format", b"x"), ("none", None))))
    assert main(["audit", "dlq", "show", "1", "--store", STORE]) == 0
    said = capsys.readouterr().out
    assert "not_json" in said
    assert "secret" not in said
    assert main(["audit", "dlq", "show", "1", "--store", STORE, "--payload"]) == 0
    whole = capsys.readouterr().out
    assert whole == said + (
        'key        key\\n\nheader format x\nheader none -\nvalue      {"secret": "\\x1b[2J\\xff"}\n'
    )


def test_what_is_inside_as_json_is_exact(capsys):
    bury(SourceRecord(PLACE, 7, POISON, b"key\n", (("format", b"x"), ("none", None))))
    _, told = answer(capsys, "show", "1", "--store", STORE)
    assert "value" not in told
    _, told = answer(capsys, "show", "1", "--store", STORE, "--payload")
    assert b64decode(told["value"]) == POISON
    assert b64decode(told["key"]) == b"key\n"
    assert told["headers"] == [["format", "eA=="], ["none", None]]


def test_a_deletion_mark_is_shown_as_nothing(capsys):
    bury(None)
    assert main(["audit", "dlq", "show", "1", "--store", STORE, "--payload"]) == 0
    assert capsys.readouterr().out.endswith("key        -\nvalue      -\n")


def test_a_replay_stores_what_can_be_stored_and_keeps_the_rest(capsys):
    first, second, third = an_event(1), an_event(2), an_event(3)
    other = third.model_copy(update={"action": "order.changed"})
    bury(
        encode_event(first),
        SourceRecord(PLACE, 1, encode_event(second), headers=tuple(event_headers(second))),
        POISON,
        encode_event(other),
        SourceRecord(PLACE, 4, encode_event(first), headers=(("content-type", b"text/plain"),)),
        b"x" * (2**20 + 1),
        stored=[second, third],
    )
    assert main(["audit", "dlq", "replay", "--all", "--store", STORE]) == 1
    assert capsys.readouterr().out == (
        "3 audit.events/2@2: refused still: not_json\n"
        "4 audit.events/2@3: refused still: conflict\n"
        "5 audit.events/2@4: refused still: unknown_format\n"
        "6 audit.events/2@5: refused still: too_large\n"
        "stored 1, duplicates 1, refused 4\n"
    )
    assert left() == [(3, "not_json", 1), (4, "conflict", 1), (5, "unknown_format", 1), (6, "too_large", 1)]
    assert count() == 3


def test_a_replay_by_ids_touches_no_other(capsys):
    bury(encode_event(an_event(1)), encode_event(an_event(2)), POISON)
    code, told = answer(capsys, "replay", "2", "2", "--store", STORE)
    assert (code, told) == (
        0,
        {"stored": 1, "duplicates": 0, "refused": 0, "problems": [], "problems_omitted": 0},
    )
    assert [letter for letter, *_ in left()] == [1, 3]
    code, told = answer(capsys, "replay", "1", "3", "--store", STORE)
    assert code == 1
    assert told["problems"] == [{"id": 3, "reason": "not_json"}]
    assert count() == 2


def test_an_id_that_is_not_there_stops_a_replay_before_it_begins(capsys):
    bury(encode_event(an_event(1)))
    assert main(["audit", "dlq", "replay", "1", "9", "--store", STORE]) == 2
    assert capsys.readouterr().err == "error: there is no dead letter 9; see tenaudit audit dlq list\n"
    assert left() == [(1, "not_json", 0)]
    assert main(["audit", "dlq", "show", "9", "--store", STORE]) == 2
    assert "no dead letter 9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (AppendResult(0, 0, 0, 1), "expired"),
        (SinkRejected([an_event(1).event_id]), "refused_by_store"),
        (OverflowError("too large"), "refused_by_store"),
    ],
)
def test_what_a_store_will_not_hold_stays_with_its_reason(answer, reason):
    class Stubborn:
        async def append(self, events):
            assert events == [an_event(1)]
            if isinstance(answer, Exception):
                raise answer
            return answer

    bury(encode_event(an_event(1)))

    async def replayed():
        async with SqliteDeadLetters("audit.db") as letters:
            replay = Replay(Stubborn(), letters)
            for letter in await letters.page():
                await replay.take(letter)
            return replay.to_json()

    assert asyncio.run(replayed())["problems"] == [{"id": 1, "reason": reason}]
    assert left() == [(1, reason, 1)]


def test_a_store_that_fails_ends_a_replay_and_takes_no_letter():
    class Broken:
        async def append(self, _events):
            raise StoreError("away")

    bury(encode_event(an_event(1)))

    async def replayed():
        async with SqliteDeadLetters("audit.db") as letters:
            (letter,) = await letters.page()
            await Replay(Broken(), letters).take(letter)

    with pytest.raises(StoreError, match="away"):
        asyncio.run(replayed())
    assert left() == [(1, "not_json", 0)]


def test_a_letter_that_another_replay_took_meanwhile_is_no_trouble(capsys):
    bury(POISON, POISON)
    with closing(sqlite3.connect("audit.db")) as connection, connection:
        connection.execute(
            "CREATE TRIGGER taken AFTER UPDATE ON dead_letters BEGIN DELETE FROM dead_letters WHERE id = 2; END"
        )
    code, told = answer(capsys, "replay", "--all", "--store", STORE)
    assert (code, told["refused"]) == (1, 1)
    assert left() == [(1, "not_json", 1)]


def test_many_that_are_refused_are_counted_and_not_all_named(capsys):
    bury(*[b"{%d" % n for n in range(205)])
    code, told = answer(capsys, "replay", "--all", "--store", STORE)
    assert (code, told["refused"], len(told["problems"]), told["problems_omitted"]) == (1, 205, 100, 105)
    assert main(["audit", "dlq", "replay", "--all", "--store", STORE]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["and 105 more", "stored 0, duplicates 0, refused 205"]


def test_dead_letters_of_a_file_of_their_own(tmp_path, monkeypatch, capsys):
    bury(encode_event(an_event(1)), path="dead.db")
    monkeypatch.setenv("TENAUDIT_DEAD_LETTERS", f"sqlite:///{tmp_path}/dead.db")
    assert main(["audit", "dlq", "list"]) == 0
    assert "not_json" in capsys.readouterr().out
    monkeypatch.setenv("TENAUDIT_STORE", STORE)
    assert main(["audit", "dlq", "replay", "--all"]) == 0
    assert left("dead.db") == []
    assert count() == 1


def test_what_is_discarded_is_gone_and_said_and_nothing_else(capsys):
    bury(*[b"{%d" % n for n in range(4)])
    assert main(["audit", "dlq", "discard", "2", "9", "--store", STORE, "--yes"]) == 2
    assert capsys.readouterr().err == "error: there is no dead letter 9; see tenaudit audit dlq list\n"
    assert main(["audit", "dlq", "discard", "2", "--store", STORE]) == 2
    assert [letter for letter, *_ in left()] == [1, 2, 3, 4]
    capsys.readouterr()
    assert main(["audit", "dlq", "discard", "2", "2", "--store", STORE, "--yes"]) == 0
    assert capsys.readouterr().out == "2 audit.events/2@1: discarded: not_json\ndiscarded 1\n"
    assert [letter for letter, *_ in left()] == [1, 3, 4]


def test_only_what_was_replayed_in_vain_is_discarded_together(capsys):
    bury(*[b"{%d" % n for n in range(3)])
    assert answer(capsys, "replay", "1", "3", "--store", STORE)[0] == 1
    assert answer(capsys, "discard", "--all-replayed", "--store", STORE, "--yes") == (0, {"discarded": [1, 3]})
    assert answer(capsys, "discard", "--all-replayed", "--store", STORE, "--yes") == (0, {"discarded": []})
    assert [letter for letter, *_ in left()] == [2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["list"], "nothing is named; add --store URL or --dead-letters URL"),
        (["list", "--store", "audit.db"], "--store is no URL"),
        (["list", "--dead-letters", "mysql://u:s3cr3t@h/d"], "cannot be kept in mysql:"),
        (["list", "--store", "postgresql://u:s3cr3t@127.0.0.1:1/d"], "PostgreSQL failed: ConnectionRefusedError"),
        (["list", "--dead-letters", "postgres:d"], "cannot be kept in postgres:"),
        (["list", "--store", "sqlite:audit.db"], "needs three slashes"),
        (["list", "--store", "sqlite:///"], "needs three slashes"),
        (["list", "--store", "sqlite:///:memory:"], "needs three slashes"),
        (["list", "--store", "sqlite:///no.db"], "there is no file no.db; check --store"),
        (["list", "--dead-letters", "sqlite:///folder"], "there is no file folder; check --dead-letters"),
        (["list", "--store", "sqlite:///text.db"], "text.db: file is not a database"),
        (["replay", "--all"], "Missing option '--store'"),
        (["replay", "--store", STORE], "name the ids of dead letters, or --all"),
        (["replay", "1", "--all", "--store", STORE], "name the ids of dead letters, or --all"),
        (["replay", "--all", "--store", "sqlite:///no.db"], "there is no store at no.db"),
        (["discard", "--store", STORE, "--yes"], "name the ids of dead letters, or --all-replayed"),
        (["discard", "1", "--all-replayed", "--store", STORE, "--yes"], "or --all-replayed"),
        (["discard", "1", "--store", STORE], "add --yes"),
        (["discard", "--all-replayed", "--store", STORE], "add --yes"),
        (["discard", "1", "--yes"], "nothing is named"),
    ],
)
def test_what_cannot_be_done_is_one_line(words, says, tmp_path, capsys):
    bury()
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("no database " * 100)
    assert main(["audit", "dlq", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert says in said.err
    assert "s3cr3t" not in said.err
