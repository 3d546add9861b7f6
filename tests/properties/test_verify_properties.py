"""Verification: an honest store is verified, and every single tampering with its file is found."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tenaudit.audit import StoreError
from tenaudit.audit.integrity import CompactRange
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance import an_event

OTHER = UUID(int=2)
WITHOUT_LEAF = "(tenant_id, event_id) NOT IN (SELECT tenant_id, event_id FROM leaves)"
# What no single file can show of itself is documented at SqliteStore.verify.
TABLES = {
    "events": None,
    "leaves": None,
    "logs": None,
    "checkpoints": None,
    "retention_records": None,
    "conflicts": {"tenant_id", "event_id", "content_hash", "record"},
}
many = settings(max_examples=220, suppress_health_check=[HealthCheck.function_scoped_fixture])
some = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def build(path):
    """Two tenants, several checkpoints, a conflict, events behind the last checkpoint, a purge and a hold."""
    async with SqliteStore.open(path) as store:
        await store.append([an_event(n, payload={"n": n, "x": [1.5, None, 1e16]}) for n in range(5)])
        await store.seal()
        await store.append([an_event(n, tenant_id=OTHER, actor_id=None, severity="warn") for n in range(3)])
        await store.append([an_event(9), an_event(0, payload={"other": 1})])
        await store.seal()
        await store.append([an_event(7, redactions=("mask:payload.x",))])
        await store.append([an_event(n, occurred_at=datetime(2001, 1, n, tzinfo=UTC)) for n in (20, 22)])
        await store.purge()
        await store.set_retention(90, tenant_id=OTHER)
        await store.hold(OTHER, reason="case", by="legal")


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    path = tmp_path_factory.mktemp("honest") / "audit.db"
    asyncio.run(build(path))
    assert report(path).verified
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return path.read_bytes()


def report(path, tenant=None):
    async def main():
        async with SqliteStore.open(path) as store:
            return await store.verify(tenant)

    return asyncio.run(main())


def tampered(tmp_path, honest, *statements):
    """Return the report on a copy of the honest file after SQL has been at it; None if SQLite did not allow it."""
    path = tmp_path / f"{uuid4()}.db"
    path.write_bytes(honest)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = bytes
        before = contents(connection)
        try:
            for statement, *values in statements:
                connection.execute(statement, values)
        except sqlite3.IntegrityError:
            return None
        if contents(connection) == before:
            return None
    found = report(path)
    for side in tmp_path.glob(f"{path.name}*"):
        side.unlink()
    return found


def contents(connection):
    return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in [*TABLES, "meta"]}


def rows_of(honest, table):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(honest)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
        return [dict(zip(columns, row, strict=True)) for row in connection.execute(f"SELECT * FROM {table}")], keys


def is_of_purged(honest, table, row):
    """Tell whether a row is the leaf of an event that a purge took."""
    there = {(one["tenant_id"], one["event_id"]) for one in rows_of(honest, "events")[0]}
    return table == "leaves" and (row["tenant_id"], row["event_id"]) not in there


def other_value(data, value, others):
    """Draw another value of the same type: near it, another row's, or plain wrong."""
    if isinstance(value, bytes):
        near = [bytes([value[0] ^ 1]) + value[1:] if value else b"x", value[:-1], b"", value + b"\x00"]
    elif isinstance(value, int):
        near = [value + 1, value - 1, -value - 1, 0, 2**53, 2**62]
    else:
        text = value or ""
        near = [text + "x", text.upper(), text[:-1], text + "\x00", text.replace("1", "2"), "", "{}", "[1"]
    return data.draw(st.sampled_from([one for one in [*near, *others] if one != value]))


def where(keys):
    return " AND ".join(f"{key} = ?" for key in keys)


@many
@given(data=st.data())
def test_every_edited_column_is_found(honest, tmp_path, data):
    table = data.draw(st.sampled_from([*TABLES, "events", "events"]))
    rows, keys = rows_of(honest, table)
    row = data.draw(st.sampled_from(rows))
    column = data.draw(st.sampled_from(sorted(TABLES[table] or row)))
    # The id of what went is the one thing that nothing proves.
    assume(not (column == "event_id" and is_of_purged(honest, table, row)))
    broken_text = not isinstance(row[column], bytes | int) and data.draw(st.integers(0, 9)) == 0
    new = "CAST(x'c328' AS TEXT)" if broken_text else "?"
    values = [] if broken_text else [other_value(data, row[column], [one[column] for one in rows])]
    found = tampered(
        tmp_path, honest, (f"UPDATE {table} SET {column} = {new} WHERE {where(keys)}", *values, *(row[k] for k in keys))
    )
    assume(found is not None)
    assert not found.verified, (table, column, values)
    if table == "events":
        assert row["event_id"] in {str(problem.event_id) for problem in found.problems}


@some
@given(data=st.data())
def test_every_deleted_row_is_found(honest, tmp_path, data):
    table = data.draw(st.sampled_from(["events", "leaves", "logs", "checkpoints", "retention_records"]))
    rows, keys = rows_of(honest, table)
    row = data.draw(st.sampled_from(rows))
    found = tampered(tmp_path, honest, (f"DELETE FROM {table} WHERE {where(keys)}", *(row[k] for k in keys)))
    assert not found.verified, (table, row)
    if table in ("events", "leaves") and not is_of_purged(honest, table, row):
        assert row["event_id"] in {str(problem.event_id) for problem in found.problems}


@some
@given(data=st.data())
def test_every_inserted_event_is_found_and_named(honest, tmp_path, data):
    rows, _ = rows_of(honest, "events")
    row = dict(data.draw(st.sampled_from(rows)))
    row["event_id"] = str(data.draw(st.sampled_from([an_event(n).event_id for n in (3, 7, 50)])))
    row["tenant_id"] = str(data.draw(st.sampled_from([OTHER, an_event(0).tenant_id, UUID(int=3)])))
    marks = ", ".join("?" for _ in row)
    found = tampered(tmp_path, honest, (f"INSERT INTO events ({', '.join(row)}) VALUES ({marks})", *row.values()))
    assume(found is not None)
    assert not found.verified
    assert row["event_id"] in {str(problem.event_id) for problem in found.problems}


@some
@given(data=st.data())
def test_swapped_contents_are_found_and_both_named(honest, tmp_path, data):
    rows, keys = rows_of(honest, "events")
    left, right = data.draw(st.lists(st.sampled_from(rows), min_size=2, max_size=2, unique_by=id))
    assume((left["tenant_id"], left["event_id"]) != (right["tenant_id"], right["event_id"]))
    columns = [column for column in left if column not in keys]
    sets = ", ".join(f"{column} = ?" for column in columns)
    statement = f"UPDATE events SET {sets} WHERE {where(keys)}"
    found = tampered(
        tmp_path,
        honest,
        (statement, *(right[c] for c in columns), *(left[k] for k in keys)),
        (statement, *(left[c] for c in columns), *(right[k] for k in keys)),
    )
    named = {str(problem.event_id) for problem in found.problems}
    assert {left["event_id"], right["event_id"]} <= named


@some
@given(place=st.integers(0, 5), other=st.integers(0, 5))
def test_reordered_leaves_are_found_by_the_checkpoints(honest, tmp_path, place, other):
    assume(place != other)
    tenant = str(an_event(0).tenant_id)
    move = "UPDATE leaves SET idx = ? WHERE tenant_id = ? AND idx = ?"
    found = tampered(
        tmp_path, honest, (move, -1, tenant, place), (move, place, tenant, other), (move, other, tenant, -1)
    )
    assert [problem.kind for problem in found.problems] == ["checkpoint"] * len(found.problems)
    assert not found.verified


@pytest.mark.parametrize(
    ("statements", "kind"),
    [
        (["DELETE FROM leaves WHERE idx >= 4"], "truncated"),
        (["DELETE FROM leaves WHERE idx >= 4", f"DELETE FROM events WHERE {WITHOUT_LEAF}"], "truncated"),
        (["DELETE FROM leaves"], "truncated"),
        (["DELETE FROM events"], "missing"),
        (["DELETE FROM events", "DELETE FROM leaves", "DELETE FROM logs"], "truncated"),
        (["DELETE FROM checkpoints"], "checkpoint"),
        (["DELETE FROM checkpoints WHERE size = 5"], "checkpoint"),
        (["UPDATE checkpoints SET sealed_at = '2020-01-01T00:00:00.000000Z'"], "checkpoint"),
        (["UPDATE logs SET size = size - 1"], "inserted"),
        (["UPDATE logs SET size = size + 1"], "truncated"),
        (["UPDATE logs SET frontier = zeroblob(length(frontier))"], "checkpoint"),
        (["UPDATE meta SET value = zeroblob(32) WHERE name = 'content_key'"], "changed"),
        (["DELETE FROM leaves WHERE tenant_id = '00000000-0000-0000-0000-000000000002'"], "truncated"),
    ],
)  # fmt: skip
def test_coarse_tampering_is_found(honest, tmp_path, statements, kind):
    found = tampered(tmp_path, honest, *([statement] for statement in statements))
    assert not found.verified
    assert kind in {problem.kind for problem in found.problems}


def test_a_problem_of_one_tenant_is_no_problem_of_another(honest, tmp_path):
    path = tmp_path / "audit.db"
    path.write_bytes(honest)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE events SET actor_id = 'x' WHERE tenant_id = ?", [str(OTHER)])
    assert report(path, an_event(0).tenant_id).verified
    assert {problem.tenant_id for problem in report(path, OTHER).problems} == {OTHER}


def test_a_damaged_log_takes_no_more_and_says_so(honest, tmp_path):
    path = tmp_path / "audit.db"
    path.write_bytes(honest)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE logs SET frontier = x'00'")

    async def main():
        async with SqliteStore.open(path) as store:
            for call in (store.append([an_event(50)]), store.seal()):
                with pytest.raises(StoreError, match="verify the store"):
                    await call

    asyncio.run(main())


numbers = st.lists(st.integers(0, 30), max_size=8)


@given(st.lists(st.tuples(numbers, st.booleans(), st.booleans()), max_size=6))
def test_an_honest_store_is_always_verified(tmp_path_factory, batches):
    async def main():
        async with SqliteStore.open(tmp_path_factory.mktemp("honest") / "audit.db") as store:
            known = set()
            for batch, other, seal in batches:
                tenant = OTHER if other else an_event(0).tenant_id
                result = await store.append([an_event(n, tenant_id=tenant, payload={"f": n / 3 * 1e16}) for n in batch])
                fresh = {(tenant, n) for n in batch} - known
                known |= fresh
                assert result == (len(fresh), len(batch) - len(fresh), 0, 0)
                if seal:
                    await store.seal()
            found = await store.verify()
            assert (found.verified, found.events) == (True, len(known)), found.problems

    asyncio.run(main())


def test_an_entry_that_stands_twice_hides_no_row(honest, tmp_path):
    """Without its constraint the log names one event twice and another one never; its head is made to fit."""
    tenant = str(an_event(0).tenant_id)
    path = tmp_path / "twice.db"
    path.write_bytes(honest)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("CREATE TABLE loose AS SELECT * FROM leaves")
        file.execute("DROP TABLE leaves")
        file.execute("ALTER TABLE loose RENAME TO leaves")
        (event_id, leaf) = file.execute(
            "SELECT event_id, leaf_hash FROM leaves WHERE tenant_id = ? AND idx = 5", [tenant]
        ).fetchone()
        file.execute(
            "UPDATE leaves SET event_id = ?, leaf_hash = ? WHERE tenant_id = ? AND idx = 6", [event_id, leaf, tenant]
        )
        leaves = [
            row[0] for row in file.execute("SELECT leaf_hash FROM leaves WHERE tenant_id = ? ORDER BY idx", [tenant])
        ]
        tree = CompactRange().extend(leaves)
        file.execute("UPDATE logs SET frontier = ? WHERE tenant_id = ?", [b"".join(tree.hashes), tenant])
    assert "inserted" in {problem.kind for problem in report(path).problems}
