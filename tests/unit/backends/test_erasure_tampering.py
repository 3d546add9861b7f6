"""What somebody does to erased values, or as if by an erasure, is found: only what a record tells of may be gone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from tenaudit.audit.integrity.commitments import commitment
from tenaudit.backends.postgres import PostgresStore
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import TENANT, an_event
from tests.unit.backends.postgres_databases import ROLES, database, execute, migrated, run, user

WHO = "alice"
EVENTS = [an_event(n, actor_id=WHO if n == 1 else "bob", payload={"client_ip": "192.0.2.7"}) for n in range(3)]
HERS, HIS = (str(EVENTS[n].event_id) for n in (1, 2))
PLACES = '\'["/actor_id","/payload/client_ip"]\''
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


def hidden_of(salts):
    """Return what an erasure of his actor would leave."""
    kept = {"/actor_id": commitment(salts[:16], '"bob"'), "/payload/client_ip": salts[16:].hex()}
    return json.dumps(kept, separators=(",", ":"))


async def found(store):
    problems = (await store.verify()).problems
    named = [(problem.kind, None if problem.event_id is None else str(problem.event_id)) for problem in problems]
    known = {str(event.event_id) for event in EVENTS}
    return sorted(((kind, one if one in known else None) for kind, one in named), key=str)


@attacks
def test_the_embedded_store_finds_it(tmp_path, statements, told):
    path = tmp_path / "a.db"

    async def filled():
        async with SqliteStore.open(path) as store:
            await store.append(EVENTS)
            await store.seal()

    async def main(work):
        async with SqliteStore.open(path) as store:
            return await work(store)

    run(filled())
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute(f"CREATE TABLE kept AS {ERASED.format(events='events')}")
        (salts,) = file.execute("SELECT salts FROM events WHERE event_id = ?", [HIS]).fetchone()
    run(main(erased))
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        names = {"events": "events", "records": "retention_records", "zeros": "zeroblob(32)"}
        file.executescript(statements.format(**names, hidden=hidden_of(salts)))
    assert run(main(found)) == told


@pytest.fixture(scope="module")
def template(postgres_service):
    with migrated(postgres_service.dsn) as dsn:
        yield dsn


@pytest.mark.services
@attacks
def test_postgresql_finds_it(postgres_service, template, statements, told):
    async def main(owner, dsn):
        async with PostgresStore.connect(dsn) as store:
            await store.append(EVENTS)
            await store.seal()
            await execute(owner, f"CREATE TABLE kept AS {ERASED.format(events='tenaudit.events')}")
            ((row,),) = await execute(owner, f"SELECT salts FROM tenaudit.events WHERE event_id = '{HIS}'")
            await erased(store)
            names = {
                "events": "tenaudit.events",
                "records": "tenaudit.retention_records",
                "zeros": "decode(repeat('00', 32), 'hex')",
            }
            filled = statements.format(**names, hidden=hidden_of(row["salts"]))
            await execute(owner, *filled.split("; "))
            return await found(store)

    with (
        database(postgres_service.dsn, template=template) as owner,
        user(owner, *ROLES, "tenaudit_purger") as dsn,
    ):
        assert run(main(owner, dsn)) == told
