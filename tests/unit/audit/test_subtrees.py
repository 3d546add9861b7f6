"""The subtrees that a log keeps: which ones, how few hashes a proof reads, and what becomes of missing ones."""

from __future__ import annotations

import hashlib

import pytest

from tenaudit.audit.integrity import CompactRange, MerkleError, Subtree, inclusion_spans, leaf_hash, root_of
from tenaudit.audit.integrity.subtree_check import SubtreeCheck
from tenaudit.audit.integrity.subtrees import span_roots

LEAVES = [leaf_hash(str(number).encode()) for number in range(70_000)]
TREE, KEPT = CompactRange().grown(LEAVES)
STORED = {(0, place): leaf for place, leaf in enumerate(LEAVES)} | {(one.level, one.place): one.root for one in KEPT}


def answered(work, stored):
    """Run a generator of asks on a mapping; return its result and how many hashes it was given."""
    given, answer = 0, None
    while True:
        try:
            ranges = work.send(answer)
        except StopIteration as done:
            return done.value, given
        answer = {
            (level, place): stored[level, place]
            for level, first, end in ranges
            for place in range(first, end)
            if (level, place) in stored
        }
        given += len(answer)


def test_every_complete_subtree_of_256_and_of_65536_leaves_is_handed_out():
    assert [(one.level, one.place) for one in KEPT if one.level == 8] == [(8, place) for place in range(273)]
    assert [one for one in KEPT if one.level == 16] == [Subtree(16, 0, root_of(LEAVES[:65_536]))]
    assert all(one.root == root_of(LEAVES[one.place << 8 : (one.place + 1) << 8]) for one in KEPT if one.level == 8)
    assert CompactRange().extend(LEAVES) == TREE


def test_the_root_of_256_leaves_is_the_one_that_is_worked_out_by_hand():
    level = LEAVES[:256]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs]
    assert KEPT[0] == Subtree(8, 0, level[0])


def test_a_proof_reads_few_hashes():
    for index in (0, 255, 256, 40_000, 65_535, 65_536, 69_999):
        spans = inclusion_spans(index, len(LEAVES))
        roots, given = answered(span_roots(spans), STORED)
        assert roots == {(start, end): root_of(LEAVES[start:end]) for start, end in spans}
        assert given <= 3 * 510


def test_what_is_missing_is_made_of_what_is_below():
    spans = inclusion_spans(65_700, len(LEAVES))
    whole, few = answered(span_roots(spans), STORED)
    without = {key: root for key, root in STORED.items() if key not in {(16, 0), (8, 3)}}
    again, more = answered(span_roots(spans), without)
    assert again == whole
    assert few < more <= few + 256 + 256


def test_a_leaf_that_is_missing_is_named():
    stored = {key: root for key, root in STORED.items() if key != (0, 69_990)}
    with pytest.raises(MerkleError, match="none at 69990"):
        answered(span_roots([(69_888, 70_000)]), stored)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (Subtree(8, 1, bytes(32)), "the hash kept of entries 256 to 511 is another one"),
        (Subtree(16, 0, LEAVES[0]), "the hash kept of entries 0 to 65535 is another one"),
        (Subtree(8, 273, bytes(32)), "a hash is kept of entries 69888 to 70143, which the log has not"),
        (Subtree(8, -1, bytes(32)), "a hash is kept of entries -256 to -1, which the log has not"),
        (Subtree(9, 0, bytes(32)), "a hash is kept of entries 0 to 511, which the log has not"),
        (Subtree(32_000, 0, bytes(32)), "a hash is kept of no entries, which the log has not"),
    ],
)
def test_a_kept_subtree_that_the_leaves_do_not_make_is_told(kept, said):
    check = SubtreeCheck()
    check.expect(KEPT)
    assert [*check.wrong(KEPT)] == []
    assert [*check.wrong([KEPT[0], kept])] == [said]


def test_a_leaf_of_another_length_is_refused():
    with pytest.raises(MerkleError):
        CompactRange().grown([*LEAVES[:255], b"short"])
