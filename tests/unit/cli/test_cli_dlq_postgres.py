"""`tenaudit audit dlq` on a PostgreSQL: the store's dead letters, shown, replayed and discarded by those who may."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest

from tenaudit.audit.consumer import Partition, SourceRecord, encode_event
from tenaudit.backends.postgres import PostgresDeadLetters, PostgresStore
from tenaudit.cli import main
from tenaudit.testing.conformance import an_event
from tests.unit.backends.postgres_databases import ROLES, migrated, run, user

pytestmark = pytest.mark.services

PLACE = Partition("audit.events", 2)


@pytest.fixture(scope="module")
def owner(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


@pytest.fixture
def operator(owner, monkeypatch):
    """A user who may do everything, named by the variable."""
    with user(owner, *ROLES, "tenaudit_purger") as dsn:
        monkeypatch.setenv("TENAUDIT_STORE", dsn)
        monkeypatch.delenv("TENAUDIT_DEAD_LETTERS", raising=False)
        yield dsn


def bury(dsn, *values):
    async def main():
        async with PostgresDeadLetters(dsn) as letters:
            for letter in await letters.page():
                await letters.delete(letter.id)
            for offset, value in enumerate(values):
                await letters.put(SourceRecord(PLACE, offset, value), "invalid_event")
            return [letter.id for letter in await letters.page()]

    return run(main())


def answer(capsys, *words):
    code = main(["audit", "dlq", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_letters_of_the_store_are_shown_replayed_and_discarded(operator, capsys):
    event = an_event(1)
    good, bad = bury(operator, encode_event(event), b"{\xff")
    _, page = answer(capsys, "list")
    assert [letter["id"] for letter in page["dead_letters"]] == [good, bad]
    _, shown = answer(capsys, "show", bad, "--payload")
    assert b64decode(shown["value"]) == b"{\xff"

    code, told = answer(capsys, "replay", "--all")
    assert (code, told["stored"], told["problems"]) == (1, 1, [{"id": bad, "reason": "not_json"}])
    assert answer(capsys, "list")[1]["dead_letters"][0]["replays"] == 1
    assert answer(capsys, "discard", "--all-replayed", "--yes") == (0, {"discarded": [bad]})
    assert answer(capsys, "list") == (0, {"dead_letters": [], "next_after": None})

    async def stored():
        async with PostgresStore.connect(operator) as store:
            return await store.get(event.tenant_id, event.event_id)

    assert run(stored()) == event


def test_a_replay_by_a_writer_stores_the_event_keeps_the_letter_and_says_who_may_end_it(
    owner, operator, monkeypatch, capsys
):
    (letter,) = bury(operator, encode_event(an_event(2)))
    with user(owner, "tenaudit_writer") as writer:
        monkeypatch.setenv("TENAUDIT_STORE", writer)
        assert main(["audit", "dlq", "replay", "--all"]) == 2
        assert "may not delete dead letters; grant tenaudit_purger" in capsys.readouterr().err
    monkeypatch.setenv("TENAUDIT_STORE", operator)
    assert answer(capsys, "replay", letter)[1] == {
        "stored": 0, "duplicates": 1, "refused": 0, "problems": [], "problems_omitted": 0,
    }  # fmt: skip


def test_a_reader_is_shown_no_payload(owner, operator, monkeypatch, capsys):
    (letter,) = bury(operator, b"a secret")
    with user(owner, "tenaudit_reader") as reader:
        monkeypatch.setenv("TENAUDIT_STORE", reader)
        assert answer(capsys, "list")[1]["dead_letters"][0]["id"] == letter
        assert main(["audit", "dlq", "show", str(letter), "--payload"]) == 2
        said = capsys.readouterr()
    assert "denies it (42501)" in said.err
    assert "secret" not in said.out + said.err


def test_letters_of_a_postgresql_may_belong_to_a_store_in_a_file(operator, tmp_path, monkeypatch, capsys):
    bury(operator, encode_event(an_event(3)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.ndjson").write_text("")
    assert main(["import", "--format", "ndjson", "--store", "sqlite:///audit.db", "--json", "."]) == 0
    capsys.readouterr()
    words = ("replay", "--all", "--store", "sqlite:///audit.db", "--dead-letters", operator)
    assert answer(capsys, *words)[1]["stored"] == 1
