"""What somebody may do to a store who can write all its tables, reads its keys and knows how it works.

Each attack is on one tenant, by a random generator, and says how it must be told: which events, one of which has to be
named, or by which kinds of problem of that tenant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from tenaudit.audit.event import wire_time
from tenaudit.audit.integrity import Checkpoint, CompactRange, canonical_json
from tenaudit.audit.integrity.audit_log import seal_link
from tenaudit.audit.integrity.commitments import commitment
from tenaudit.audit.integrity.row_leaf import ROW_COLUMNS, row_leaf
from tenaudit.audit.integrity.stored import content_hash

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

TABLES = ("events", "leaves", "logs", "checkpoints", "conflicts", "subtrees")


class Told(NamedTuple):
    """How an attack must be told."""

    events: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ()
    only_when_signed: bool = False


@dataclass
class Victim:
    """A tenant's rows in a store that was opened by its owner.

    Args:
        ask: runs SQL with `?` for values and gives back rows as dictionaries.
        schema: what stands before a table's name.
        tenant: whose rows they are.
        key: the store's secret of content hashes.
        signed: how many entries of the log were signed last.
    """

    ask: Callable[..., list[dict[str, Any]]]
    schema: str
    tenant: UUID
    key: bytes
    signed: int

    def rows(self, table: str, order: str) -> list[dict[str, Any]]:
        return self.ask(f"SELECT * FROM {self.schema}{table} WHERE tenant_id = ? ORDER BY {order}", self.tenant)

    def delete(self, table: str, column: str, value: Any) -> None:
        self.ask(f"DELETE FROM {self.schema}{table} WHERE tenant_id = ? AND {column} = ?", self.tenant, value)

    def update(self, table: str, changes: dict[str, Any], column: str, value: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in changes)
        self.ask(
            f"UPDATE {self.schema}{table} SET {names} WHERE tenant_id = ? AND {column} = ?",
            *changes.values(),
            self.tenant,
            value,
        )

    def insert(self, table: str, row: dict[str, Any]) -> None:
        marks = ", ".join("?" for _ in row)
        self.ask(f"INSERT INTO {self.schema}{table} ({', '.join(row)}) VALUES ({marks})", *row.values())

    def log(self) -> list[dict[str, Any]]:
        return self.rows("leaves", "idx")

    def event(self, event_id: Any) -> dict[str, Any]:
        found = self.ask(
            f"SELECT * FROM {self.schema}events WHERE tenant_id = ? AND event_id = ?", self.tenant, event_id
        )
        return found[0]

    def hashes(self, row: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return the leaf hash and the content hash that a row would have."""
        told = row | {name: str(row[name]) for name in ("event_id", "tenant_id")}
        if not isinstance(row["occurred_at"], str):
            told["occurred_at"] = wire_time(row["occurred_at"])
        leaf = row_leaf([told[name] for name in ROW_COLUMNS], row["salts"], row["commitments"])
        return leaf, content_hash(self.key, leaf)

    def regrow(self) -> None:
        """Make head, subtrees, checkpoints and the chain over them fit the leaves as they are now."""
        leaves = [row["leaf_hash"] for row in self.log()]
        tree, completed = CompactRange().grown(leaves)
        self.ask(f"DELETE FROM {self.schema}subtrees WHERE tenant_id = ?", self.tenant)
        for subtree in completed:
            self.insert("subtrees", {"tenant_id": self.tenant, **subtree._asdict()})
        head: dict[str, Any] = {"size": tree.size, "frontier": b"".join(tree.hashes), "seals": b"", "sealed": 0}
        for row in self.rows("checkpoints", "size"):
            if row["size"] > tree.size:
                self.delete("checkpoints", "size", row["size"])
                continue
            root = CompactRange().extend(leaves[: row["size"]]).root()
            body = Checkpoint(f"tenaudit/tenant/{self.tenant}", row["size"], root).body()
            self.update("checkpoints", {"root": root, "body": body}, "size", row["size"])
            head["seals"] = seal_link(head["seals"], body, row["sealed_at"])
            head["sealed"] = row["size"]
        if not self.schema:
            head.pop("sealed", None)
        self.update("logs", head, "tenant_id", self.tenant)


def edit(victim: Victim, chance: random.Random) -> Told:
    leaf = chance.choice(victim.log())
    event = victim.event(leaf["event_id"])
    column = chance.choice(["actor_id", "action", "resource_id", "outcome", "severity", "payload", "redactions", "seq"])
    other = {"payload": '{"amount":1}', "redactions": '["x"]', "seq": 10**6, "outcome": "denied", "severity": "error"}
    changes: dict[str, Any] = {column: other.get(column, "another.one")}
    if chance.random() < 0.5:
        # The keyed hash too, from the key that lies in the store.
        changes["content_hash"] = victim.hashes(event | changes)[1]
    victim.update("events", changes, "event_id", leaf["event_id"])
    return Told(frozenset({str(leaf["event_id"])}))


def edit_with_leaf(victim: Victim, chance: random.Random) -> Told:
    leaf = chance.choice(victim.log())
    changes: dict[str, Any] = {"payload": canonical_json({"amount": chance.randrange(10**6)}).decode()}
    hashed, changes["content_hash"] = victim.hashes(victim.event(leaf["event_id"]) | changes)
    victim.update("events", changes, "event_id", leaf["event_id"])
    victim.update("leaves", {"leaf_hash": hashed}, "idx", leaf["idx"])
    return Told(kinds=("checkpoint",))


def delete(victim: Victim, chance: random.Random) -> Told:
    leaf = chance.choice(victim.log())
    victim.delete("events", "event_id", leaf["event_id"])
    return Told(frozenset({str(leaf["event_id"])}))


def delete_with_leaf(victim: Victim, chance: random.Random) -> Told:
    leaf = chance.choice(victim.log()[:-1])
    victim.delete("events", "event_id", leaf["event_id"])
    victim.delete("leaves", "idx", leaf["idx"])
    return Told(kinds=("missing",))


def insert(victim: Victim, chance: random.Random) -> Told:
    event = victim.event(chance.choice(victim.log())["event_id"])
    number = UUID(str(event["event_id"])).int ^ (1 + chance.getrandbits(40))
    event["event_id"] = UUID(int=number)
    if "log_index" in event:
        event["log_index"] = len(victim.log())
    event["content_hash"] = victim.hashes(event)[1]
    victim.insert("events", event)
    return Told(frozenset({str(event["event_id"])}))


def insert_with_leaf(victim: Victim, chance: random.Random) -> Told:
    told = insert(victim, chance)
    (event_id,) = told.events
    log = victim.log()
    leaf = victim.hashes(victim.event(UUID(event_id)))[0]
    row = log[-1] | {"idx": len(log), "event_id": UUID(event_id), "leaf_hash": leaf}
    victim.insert("leaves", row)
    return told


def erase_in_secret(victim: Victim, chance: random.Random) -> Told:
    """Take a value out as an erasure does, so that the leaf stays what it was, but for the record in the log."""
    leaf = chance.choice(victim.log())
    event = victim.event(leaf["event_id"])
    hidden = commitment(event["salts"], canonical_json(event["actor_id"]).decode())
    changes = {"actor_id": None, "salts": None, "commitments": f'{{"/actor_id":"{hidden}"}}'}
    victim.update("events", changes, "event_id", leaf["event_id"])
    return Told(frozenset({str(leaf["event_id"])}))


def swap_contents(victim: Victim, chance: random.Random) -> Told:
    one, two = (leaf["event_id"] for leaf in chance.sample(victim.log(), 2))
    names = ("actor_id", "resource_id", "payload", "seq", "trace_id", "occurred_at", "content_hash")
    names += ("salts", "commitments")
    first, second = ({name: victim.event(which)[name] for name in names} for which in (one, two))
    victim.update("events", second, "event_id", one)
    victim.update("events", first, "event_id", two)
    return Told(frozenset({str(one), str(two)}))


def reorder(victim: Victim, chance: random.Random) -> Told:
    one, two = chance.sample(victim.log(), 2)
    # Out of the way first: no two entries may have one place.
    for row, place in ((one, 10**9), (two, one["idx"]), (one, two["idx"])):
        victim.update("leaves", {"idx": place}, "leaf_hash", row["leaf_hash"])
        if victim.schema:
            victim.update("events", {"log_index": place}, "event_id", row["event_id"])
    return Told(kinds=("checkpoint",))


def cut_tail(victim: Victim, chance: random.Random) -> Told:
    kept = chance.randrange(1, victim.signed)
    for leaf in victim.log()[kept:]:
        victim.delete("events", "event_id", leaf["event_id"])
        victim.delete("leaves", "idx", leaf["idx"])
    victim.regrow()
    return Told(kinds=("truncated",), only_when_signed=True)


def drop(victim: Victim, _chance: random.Random) -> Told:
    for table in TABLES:
        victim.ask(f"DELETE FROM {victim.schema}{table} WHERE tenant_id = ?", victim.tenant)
    return Told(kinds=("truncated",), only_when_signed=True)


def replace_checkpoint(victim: Victim, chance: random.Random) -> Told:
    rows = victim.rows("checkpoints", "size")
    row = chance.choice(rows)
    body = Checkpoint(f"tenaudit/tenant/{victim.tenant}", row["size"], chance.randbytes(32))
    victim.update("checkpoints", {"root": body.root, "body": body.body()}, "size", row["size"])
    if chance.random() < 0.5:
        seals = b""
        for each in victim.rows("checkpoints", "size"):
            seals = seal_link(seals, each["body"], each["sealed_at"])
        victim.update("logs", {"seals": seals}, "tenant_id", victim.tenant)
    return Told(kinds=("checkpoint",))


def second_history(victim: Victim, chance: random.Random) -> Told:
    """Write an event anew, and everything that follows from it: who has not seen the first history sees nothing."""
    leaf = chance.choice(victim.log()[: victim.signed])
    event = victim.event(leaf["event_id"])
    payload = {**json.loads(event["payload"]), "amount": chance.randrange(10**6)}
    changes: dict[str, Any] = {"payload": canonical_json(payload).decode()}
    hashed, changes["content_hash"] = victim.hashes(event | changes)
    victim.update("events", changes, "event_id", leaf["event_id"])
    victim.update("leaves", {"leaf_hash": hashed}, "idx", leaf["idx"])
    victim.regrow()
    return Told(kinds=("checkpoint",), only_when_signed=True)


ATTACKS = (
    edit,
    edit_with_leaf,
    delete,
    delete_with_leaf,
    insert,
    insert_with_leaf,
    erase_in_secret,
    swap_contents,
    reorder,
    cut_tail,
    drop,
    replace_checkpoint,
    second_history,
)
