"""Proofs of the database: what is done to its subtrees is found, and older databases get theirs."""

from __future__ import annotations

import pytest

from tenaudit.audit.proofs import BrokenProof
from tenaudit.backends.postgres import PostgresStore, migrate
from tenaudit.testing.conformance import an_event
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT
from tests.unit.backends.postgres_databases import ROLES, database, execute, migrated, run, user

pytestmark = pytest.mark.services

EVENTS = [an_event(number) for number in range(600)]
IDS = [event.event_id for event in EVENTS]
_KEPT = "SELECT tenant_id, level, place, root FROM tenaudit.subtrees ORDER BY 1, 2, 3"


async def fill(dsn):
    async with PostgresStore.connect(dsn) as store:
        await store.append(EVENTS)
        await store.append([an_event(number, tenant_id=OTHER_TENANT) for number in range(256)])
        await store.seal()


@pytest.fixture(scope="module")
def filled(postgres_service):
    with migrated(postgres_service.dsn) as admin:
        with user(admin, *ROLES) as dsn:
            run(fill(dsn))
        yield admin


@pytest.fixture
def admin(postgres_service, filled):
    with database(postgres_service.dsn, template=filled) as admin:
        yield admin


def asked(admin, call, role="tenaudit_reader"):
    async def main(dsn):
        async with PostgresStore.connect(dsn) as store:
            return await call(store)

    with user(admin, role) as dsn:
        return run(main(dsn))


def change(admin, *statements):
    return [[tuple(row) for row in rows] for rows in run(execute(admin, *statements))]


def proofs(admin):
    return asked(admin, lambda store: store.prove_events(TENANT, IDS))


def problems(admin):
    report = asked(admin, lambda store: store.verify())
    return [(one.tenant_id, one.kind, one.detail) for one in report.problems]


def test_without_subtrees_the_proofs_are_the_same(admin):
    whole = proofs(admin)
    assert change(admin, "DELETE FROM tenaudit.subtrees RETURNING place") != [[]]
    assert proofs(admin) == whole
    assert problems(admin) == []


def test_an_altered_subtree_makes_no_proof_and_is_named(admin):
    change(admin, f"UPDATE tenaudit.subtrees SET root = '\\x00' WHERE tenant_id = '{TENANT}' AND place = 1")
    with pytest.raises(BrokenProof, match=f"{TENANT} do not lead to its checkpoint at 600"):
        asked(admin, lambda store: store.prove_event(TENANT, IDS[0]))
    assert problems(admin) == [(TENANT, "subtree", "the hash kept of entries 256 to 511 is another one")]


def test_a_subtree_that_the_log_does_not_have_is_named_and_does_not_stop_it(admin):
    change(admin, f"INSERT INTO tenaudit.subtrees VALUES ('{TENANT}', 8, 2, '\\x00')")
    more = [an_event(number) for number in range(600, 800)]
    assert problems(admin) == [(TENANT, "subtree", "a hash is kept of entries 512 to 767, which the log has not")]
    assert asked(admin, lambda store: store.append(more), "tenaudit_writer") == (200, 0, 0, 0)
    assert problems(admin) == [(TENANT, "subtree", "the hash kept of entries 512 to 767 is another one")]


def test_a_purger_appends_records_that_complete_a_subtree(admin):
    more = [an_event(number) for number in range(600, 767)]
    asked(admin, lambda store: store.append(more), "tenaudit_writer")
    asked(admin, lambda store: store.hold(TENANT, by="u-1", reason="a case"), "tenaudit_purger")
    assert change(admin, f"SELECT max(place) FROM tenaudit.subtrees WHERE tenant_id = '{TENANT}'") == [[(2,)]]
    assert problems(admin) == []


def test_logs_that_are_older_than_their_subtrees_get_them(admin):
    (kept,) = change(admin, _KEPT)
    whole = proofs(admin)
    change(admin, "DROP TABLE tenaudit.subtrees", "DELETE FROM tenaudit.migrations WHERE version = 7")
    run(migrate(admin))
    assert change(admin, _KEPT) == [kept]
    assert proofs(admin) == whole
    assert problems(admin) == []


def test_a_log_with_a_gap_is_migrated_all_the_same(admin):
    change(
        admin,
        f"DELETE FROM tenaudit.leaves WHERE tenant_id = '{TENANT}' AND idx = 300",
        "DROP TABLE tenaudit.subtrees",
        "DELETE FROM tenaudit.migrations WHERE version = 7",
    )
    run(migrate(admin))
    assert change(admin, f"SELECT place FROM tenaudit.subtrees WHERE tenant_id = '{TENANT}'") == [[(0,)]]
    with pytest.raises(BrokenProof):
        asked(admin, lambda store: store.prove_event(TENANT, IDS[301]))
