"""Proofs of the file: what is done to its subtrees is found, older files get theirs, and purges leave them valid."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from tenaudit.audit.proofs import BrokenProof, UnknownEvent
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tenaudit.testing.conformance.retention_suite import NOW, aged

# Without an actor there are no salts, as in old files.
EVENTS = [an_event(number, actor_id=None) for number in range(600)]
IDS = [event.event_id for event in EVENTS]


@pytest.fixture
def path(tmp_path):
    async def fill():
        async with SqliteStore.open(tmp_path / "audit.db") as store:
            await store.append(EVENTS)
            await store.append([an_event(number, actor_id=None, tenant_id=OTHER_TENANT) for number in range(256)])
            await store.seal()

    asyncio.run(fill())
    return tmp_path / "audit.db"


def change(path, *statements):
    with closing(sqlite3.connect(path)) as file, file:
        return [file.execute(statement).fetchall() for statement in statements]


def asked(path, call):
    async def main():
        async with SqliteStore.open(path) as store:
            return await call(store)

    return asyncio.run(main())


def proofs(path):
    return asked(path, lambda store: store.prove_events(TENANT, IDS))


def problems(path):
    report = asked(path, lambda store: store.verify())
    return [(one.tenant_id, one.kind, one.detail) for one in report.problems]


def test_each_tenant_keeps_its_own(path):
    assert change(path, "SELECT tenant_id, level, place FROM subtrees ORDER BY 1, 2, 3") == [
        [(str(TENANT), 8, 0), (str(TENANT), 8, 1), (str(OTHER_TENANT), 8, 0)]
    ]
    assert problems(path) == []


def test_without_subtrees_the_proofs_are_the_same(path):
    whole = proofs(path)
    change(path, "DELETE FROM subtrees")
    assert proofs(path) == whole
    assert problems(path) == []


def test_an_altered_subtree_makes_no_proof_and_is_named(path):
    change(path, f"UPDATE subtrees SET root = zeroblob(32) WHERE tenant_id = '{TENANT}' AND place = 1")
    with pytest.raises(BrokenProof, match=f"{TENANT} do not lead to its checkpoint at 600"):
        asked(path, lambda store: store.prove_event(TENANT, IDS[0]))
    said = "the hash kept of entries 256 to 511 is another one"
    assert problems(path) == [(TENANT, "subtree", said)]
    # Within these entries a proof is made of their leaves.
    assert asked(path, lambda store: store.prove_event(TENANT, IDS[300])).holds()


def test_an_altered_subtree_makes_no_proof_of_growth(path):
    async def grown(store):
        await store.append([an_event(number) for number in range(600, 900)])
        await store.seal()
        return await store.prove_growth(TENANT, 600)

    assert asked(path, grown).holds()
    change(path, f"UPDATE subtrees SET root = zeroblob(32) WHERE tenant_id = '{TENANT}' AND place = 0")
    with pytest.raises(BrokenProof):
        asked(path, lambda store: store.prove_growth(TENANT, 600))


@pytest.mark.parametrize("root", ["x'00'", "zeroblob(33)"])
def test_a_subtree_that_is_no_hash_makes_no_proof(path, root):
    change(path, f"UPDATE subtrees SET root = {root} WHERE tenant_id = '{TENANT}'")
    with pytest.raises(BrokenProof):
        asked(path, lambda store: store.prove_event(TENANT, IDS[0]))
    assert [(tenant, kind) for tenant, kind, _ in problems(path)] == [(TENANT, "subtree")] * 2


def test_a_subtree_that_the_log_does_not_have_is_named_and_does_not_stop_it(path):
    change(path, f"INSERT INTO subtrees VALUES ('{TENANT}', 8, 2, zeroblob(32))")
    said = "a hash is kept of entries 512 to 767, which the log has not"
    assert problems(path) == [(TENANT, "subtree", said)]
    more = [an_event(number) for number in range(600, 800)]
    assert asked(path, lambda store: store.append(more)) == (200, 0, 0, 0)
    assert problems(path) == [(TENANT, "subtree", "the hash kept of entries 512 to 767 is another one")]


@pytest.mark.parametrize("statement", ["DELETE FROM leaves WHERE idx = 500", "UPDATE leaves SET leaf_hash = x'00'"])
def test_a_log_without_its_leaves_makes_no_proof(path, statement):
    change(path, statement)
    with pytest.raises(BrokenProof):
        asked(path, lambda store: store.prove_event(TENANT, IDS[501]))


def test_an_altered_checkpoint_makes_no_proof(path):
    change(path, "UPDATE checkpoints SET root = zeroblob(32)")
    with pytest.raises(BrokenProof):
        asked(path, lambda store: store.prove_event(TENANT, IDS[0]))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_that_is_older_than_its_subtrees_gets_them(path, version):
    whole = proofs(path)
    kept = change(path, "SELECT * FROM subtrees")
    change(path, "DROP TABLE subtrees", f"PRAGMA user_version = {version}")
    if version < 3:
        change(path, "ALTER TABLE events DROP COLUMN salts", "ALTER TABLE events DROP COLUMN commitments")
    if version == 1:
        drop = [f"ALTER TABLE logs DROP COLUMN {name}" for name in ("retention_days", "purged_before", "held")]
        change(path, "DROP TABLE retention_default", "DROP TABLE retention_records", *drop)
    assert proofs(path) == whole
    assert change(path, "SELECT * FROM subtrees") == kept
    assert problems(path) == []


def test_a_log_with_a_gap_is_opened_all_the_same(path):
    change(path, "DROP TABLE subtrees", "PRAGMA user_version = 3", "DELETE FROM leaves WHERE idx = 300")
    assert {kind for _, kind, _ in problems(path)} >= {"missing"}
    assert change(path, f"SELECT place FROM subtrees WHERE tenant_id = '{TENANT}'") == [[(0,)]]


def test_what_a_purge_leaves_is_proven_as_before(tmp_path):
    old, young = [aged(n, 31) for n in range(300)], [aged(n, 1) for n in range(300, 600)]

    async def main():
        async with SqliteStore.open(tmp_path / "a.db", clock=ManualClock(NOW.timestamp())) as store:
            await store.append([one for pair in zip(old, young, strict=True) for one in pair])
            await store.seal()
            before = await store.prove_events(TENANT, [event.event_id for event in young])
            await store.purge()
            after = await store.prove_events(TENANT, [event.event_id for event in young], 600)
            assert after == before
            assert len(after.proofs) == 300
            with pytest.raises(UnknownEvent):
                await store.prove_event(TENANT, old[0].event_id, 600)
            await store.seal()
            assert (await store.prove_growth(TENANT, 600)).holds()
            assert (await store.verify()).verified

    asyncio.run(main())
