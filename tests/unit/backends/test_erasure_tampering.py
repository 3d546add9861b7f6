"""What somebody does to erased values, or as if by an erasure, is found: only what a record tells of may be gone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from tenaudit.audit.erasure.steps import ErasureHeld
from tenaudit.audit.erasure.subject import Subject
from tenaudit.audit.integrity.commitments import commitment, openings_of, places_text
from tenaudit.audit.personal import PersonalFields
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import TENANT, an_event
from tests.unit.backends.postgres_databases import ROLES, database, execute, migrated, run, user

WHO = "alice"
EVENTS = [
    an_event(n, actor_id=WHO if n == 1 else "bob", payload={"client_ip": "192.0.2.7", "flags": ["Y", "N"]})
    for n in range(3)
]
HERS, HIS = (str(EVENTS[n].event_id) for n in (1, 2))
PERSONAL = PersonalFields(["payload.flags[*]"])
NAMES = PERSONAL.places(EVENTS[0])
PLACES = f"'{places_text(NAMES)}'"
ERASED = f"SELECT * FROM {{events}} WHERE event_id = '{HERS}'"
ATTACKS = {
    "a value goes as by an erasure, and no record tells of it": (
        f"UPDATE {{events}} SET actor_id = NULL, salts = NULL, commitments = '{{hidden}}' WHERE event_id = '{HIS}'",
        [("erasure", HIS)],
    ),
    "a value goes with its hash": (
        f"UPDATE {{events}} SET actor_id = NULL, salts = NULL, commitments = NULL WHERE event_id = '{HIS}'",
        [("changed", HIS)],
    ),
    "another value stands where one was erased": (
        f"UPDATE {{events}} SET actor_id = 'carol' WHERE event_id = '{HERS}'",
        [("changed", HERS)],
    ),
    "an erased value is back from a backup": (
        f"DELETE FROM {{events}} WHERE event_id = '{HERS}'; INSERT INTO {{events}} SELECT * FROM kept",
        [("erasure", HERS)],
    ),
    "the record of an erasure is gone": (
        "DELETE FROM {records}",
        [("erasure", HERS)],
    ),
    "the record of an erasure tells of more": (
        "UPDATE {records} SET record = replace(record, '[[1,1]]', '[[1,2]]')",
        [("changed", None), ("erasure", HERS)],
    ),
    "salts are others": (
        f"UPDATE {{events}} SET salts = {{zeros}} WHERE event_id = '{HIS}'",
        [("changed", HIS)],
    ),
    "places are others": (
        f"UPDATE {{events}} SET commitments = replace({PLACES}, 'actor', 'resource') WHERE event_id = '{HIS}'",
        [("changed", HIS)],
    ),
    "a payload is written in another way": (
        f"UPDATE {{events}} SET payload = replace(payload, ':', ': ') WHERE event_id = '{HERS}'",
        [("changed", HERS)],
    ),
    "a text stands for a list": (
        f"UPDATE {{events}} SET payload = replace(payload, '[\"Y\",\"N\"]', '\"YN\"') WHERE event_id = '{HIS}'",
        [("changed", HIS)],
    ),
    "salts stand where erased rows have them": (
        f"UPDATE {{events}} SET salts = NULL, commitments = '{{moved}}' WHERE event_id = '{HIS}'",
        [("changed", HIS)],
    ),
    "places are no list": (
        f"UPDATE {{events}} SET commitments = '[' WHERE event_id = '{HIS}'",
        [("changed", HIS)],
    ),
}
attacks = pytest.mark.parametrize(("statements", "told"), ATTACKS.values(), ids=ATTACKS)


async def erased(store):
    await store.erase(WHO, tenant_id=TENANT)
    await store.seal()
    assert (await store.verify()).verified


def written(statements, salts, **names):
    """Return the statements with what an erasure of his actor would leave, and with all salts as it leaves salts."""
    opened = openings_of(salts, places_text(NAMES))
    kept = opened | {"/actor_id": commitment(salts[:16], '"bob"')}
    texts = {name: json.dumps(one, separators=(",", ":")) for name, one in (("hidden", kept), ("moved", opened))}
    return statements.format(**names, **texts)


@pytest.mark.parametrize("salts", ["'0123456789abcdef'", "5", "1.5", "x'00'", "NULL"])
@pytest.mark.parametrize("commitments", ['\'["/payload","/payload/a"]\'', "5", "x'5b'", "'[['", "'{}'", "NULL"])
def test_columns_of_any_type_are_told_and_stop_nothing(tmp_path, salts, commitments):
    """Whoever has the file can make its tables anew, without types."""
    path = tmp_path / "a.db"

    async def main(work):
        async with SqliteStore.open(path, personal=PERSONAL) as store:
            return await work(store)

    async def filled(store):
        await store.append(EVENTS)
        await store.seal()

    async def used(store):
        assert await found(store) == [("changed", HIS)]
        assert sum(await store.append(EVENTS)) == 3
        report = await store.erase("bob", tenant_id=TENANT)
        assert (report.events, report.altered, report.complete) == (1, 1, False)
        assert ("changed", HIS) in await found(store)
        left = await store.get(TENANT, EVENTS[2].event_id)
        assert left.actor_id == "bob"

    run(main(filled))
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.executescript(
            "CREATE TABLE loose AS SELECT * FROM events; DROP TABLE events; ALTER TABLE loose RENAME TO events;"
            "CREATE UNIQUE INDEX events_key ON events (tenant_id, event_id);"
            f"UPDATE events SET salts = {salts}, commitments = {commitments} WHERE event_id = '{HIS}'"
        )
    run(main(used))


async def found(store):
    problems = (await store.verify()).problems
    named = [(problem.kind, None if problem.event_id is None else str(problem.event_id)) for problem in problems]
    known = {str(event.event_id) for event in EVENTS}
    return sorted(((kind, one if one in known else None) for kind, one in named), key=str)


@attacks
def test_the_embedded_store_finds_it(tmp_path, statements, told):
    path = tmp_path / "a.db"

    async def filled():
        async with SqliteStore.open(path, personal=PERSONAL) as store:
            await store.append(EVENTS)
            await store.seal()

    async def main(work):
        async with SqliteStore.open(path, personal=PERSONAL) as store:
            return await work(store)

    run(filled())
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute(f"CREATE TABLE kept AS {ERASED.format(events='events')}")
        (salts,) = file.execute("SELECT salts FROM events WHERE event_id = ?", [HIS]).fetchone()
    run(main(erased))
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        names = {"events": "events", "records": "retention_records", "zeros": "zeroblob(64)"}
        file.executescript(written(statements, salts, **names))
    assert run(main(found)) == told


@pytest.fixture(scope="module")
def template(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


@pytest.mark.services
@attacks
def test_postgresql_finds_it(postgres_service, template, statements, told):
    async def main(owner, dsn):
        async with PostgresStore.connect(dsn, personal=PERSONAL) as store:
            await store.append(EVENTS)
            await store.seal()
            await execute(owner, f"CREATE TABLE kept AS {ERASED.format(events='tenaudit.events')}")
            ((row,),) = await execute(owner, f"SELECT salts FROM tenaudit.events WHERE event_id = '{HIS}'")
            await erased(store)
            names = {
                "events": "tenaudit.events",
                "records": "tenaudit.retention_records",
                "zeros": "decode(repeat('00', 64), 'hex')",
            }
            await execute(owner, *written(statements, row["salts"], **names).split("; "))
            return await found(store)

    with (
        database(postgres_service.dsn, template=template) as owner,
        user(owner, *ROLES, "tenaudit_purger") as dsn,
    ):
        assert run(main(owner, dsn)) == told


async def held_meanwhile(store):
    """Place a hold when an erasure has looked already whether there is one."""
    await store.append([*EVENTS, an_event(1, actor_id="carol")])
    async with store._erasure_steps(Subject("bob"), TENANT, "officer", datetime.now(UTC)) as steps:
        assert not (await steps.mentions()).held
        await store.hold(TENANT, reason="case", by="legal")
        for step in (steps.erase([event.event_id for event in EVENTS]), steps.remove_others()):
            with pytest.raises(ErasureHeld):
                await step
    assert (await store.get(TENANT, EVENTS[2].event_id)).actor_id == "bob"


def test_a_hold_that_comes_meanwhile_keeps_all_in_the_embedded_store(tmp_path):
    async def main():
        async with SqliteStore.open(tmp_path / "a.db", personal=PERSONAL) as store:
            await held_meanwhile(store)

    run(main())


@pytest.mark.services
def test_a_hold_that_comes_meanwhile_keeps_all_in_postgresql(postgres_service, template):
    async def main(dsn):
        async with PostgresStore.connect(dsn, personal=PERSONAL) as store:
            await held_meanwhile(store)

    with (
        database(postgres_service.dsn, template=template) as owner,
        user(owner, *ROLES, "tenaudit_purger") as dsn,
    ):
        run(main(dsn))


def test_a_person_stands_in_no_log_of_ours():
    assert "alice" not in f"{Subject('alice')!r} {Subject('alice')}"
