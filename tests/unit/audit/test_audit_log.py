"""What verification says of a log, without any store."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest

from tenaudit.audit.integrity import CompactRange, root_of
from tenaudit.audit.integrity.audit_log import LoggedLeaf, SealedRoot, event_leaf, find_problems, seal_link
from tenaudit.testing.conformance import an_event

TENANT = UUID(int=1)
HASHES = [hashlib.sha256(bytes([n])).digest() for n in range(5)]


def leaf(index, stored=None, actual=None):
    stored = HASHES[index] if stored is None else stored
    return LoggedLeaf(index, UUID(int=100 + index), stored, stored if actual is None else actual)


def gone(index):
    return LoggedLeaf(index, UUID(int=100 + index), HASHES[index], None)


def kinds(leaves, sealed=(), strangers=(), size=5, frontier=None):
    problems = find_problems(TENANT, leaves, sealed, strangers, size, frontier)
    return [(problem.kind, problem.event_id.int if problem.event_id else None) for problem in problems]


WHOLE = [leaf(n) for n in range(5)]
SEALED = [SealedRoot(size, root_of(HASHES[:size])) for size in (2, 5)]
FRONTIER = CompactRange().extend(HASHES).hashes


def test_a_log_that_fits_has_no_problems():
    assert kinds(WHOLE, SEALED, frontier=FRONTIER) == []
    assert kinds([], size=0, frontier=()) == []
    assert kinds(WHOLE, SEALED[:1]) == []


@pytest.mark.parametrize(
    ("leaves", "more", "found"),
    [
        ([*WHOLE[:2], leaf(2, actual=bytes(32)), *WHOLE[3:]], {}, [("changed", 102)]),
        ([*WHOLE[:2], gone(2), *WHOLE[3:]], {}, [("missing", 102)]),
        ([*WHOLE[:2], *WHOLE[3:]], {}, [("missing", None)]),
        (WHOLE[:4], {}, [("truncated", None)]),
        ([], {}, [("truncated", None)]),
        (WHOLE[:4], {"size": 4}, [("truncated", None)]),
        (WHOLE, {"size": 4, "sealed": SEALED[:1]}, [("inserted", 104)]),
        (WHOLE, {"size": 0, "sealed": []}, [("inserted", 100)]),
        (WHOLE, {"size": 6}, [("truncated", None)]),
        (WHOLE, {"strangers": [UUID(int=7)]}, [("inserted", 7)]),
        (WHOLE, {"sealed": [SealedRoot(2, bytes(32))]}, [("checkpoint", None)]),
        (WHOLE, {"sealed": [SealedRoot(0, bytes(32))]}, [("checkpoint", None)]),
        (WHOLE, {"sealed": [SealedRoot(-3, bytes(32)), SEALED[1]]}, [("checkpoint", None)]),
        (WHOLE, {"sealed": [SealedRoot(9, bytes(32))]}, [("truncated", None)]),
        (WHOLE, {"frontier": FRONTIER[::-1]}, [("checkpoint", None)]),
        (WHOLE, {"frontier": ()}, [("checkpoint", None)]),
        ([LoggedLeaf(-1, UUID(int=99), HASHES[0], HASHES[0]), *WHOLE], {}, [("inserted", 99)]),
        ([leaf(0, HASHES[1]), leaf(1, HASHES[0]), *WHOLE[2:]], {}, [("checkpoint", None)]),
    ],
)
def test_what_does_not_fit_is_named(leaves, more, found):
    assert kinds(leaves, **{"sealed": SEALED} | more) == found


def test_an_empty_log_that_has_a_checkpoint_was_cut_off():
    assert kinds([], sealed=SEALED, size=0) == [("truncated", None)]


def test_long_logs_are_held_against_every_checkpoint():
    hashes = [hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(3000)]
    leaves = [LoggedLeaf(n, UUID(int=n + 1), one, one) for n, one in enumerate(hashes)]
    sizes = (1, 2, 1023, 1024, 1025, 2048, 3000)
    sealed = [SealedRoot(size, root_of(hashes[:size])) for size in sizes]
    assert kinds(leaves, sealed, size=3000, frontier=CompactRange().extend(hashes).hashes) == []
    for place, one in enumerate(sealed):
        wrong = [*sealed[:place], SealedRoot(one.size, bytes(32)), *sealed[place + 1 :]]
        assert kinds(leaves, wrong, size=3000) == [("checkpoint", None)]


def test_every_field_of_an_event_is_in_its_leaf():
    plain = an_event(0)
    leaves = {event_leaf(plain.record())}
    for field in plain.record():
        changed = {**plain.record(), field: "other"}
        leaves.add(event_leaf(changed))
    assert len(leaves) == 1 + len(plain.record())


def test_the_chain_of_checkpoints_depends_on_each_part_and_on_the_order():
    links = {seal_link(a, b, c) for a in (b"", b"x") for b in ("", "y") for c in ("", "z")}
    assert len(links) == 8
    assert seal_link(seal_link(b"", "a", "1"), "b", "2") != seal_link(seal_link(b"", "b", "2"), "a", "1")
    assert seal_link(b"", "ab", "c") != seal_link(b"", "a", "bc")
