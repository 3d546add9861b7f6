"""Frontier, inclusion and consistency agree with the recursive definition of RFC 9162 at every size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.integrity import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LIMIT = 300
LEAVES = [leaf_hash(str(number).encode()) for number in range(LIMIT)]
OTHER = leaf_hash(b"other")
sizes = st.integers(1, LIMIT)


def split_of(size):
    split = 1
    while split * 2 < size:
        split *= 2
    return split


def naive_root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    split = split_of(len(leaves))
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def sides_of(index, size):
    """The path from a leaf up: on which side each sibling stands."""
    if size == 1:
        return ()
    split = split_of(size)
    if index < split:
        return (*sides_of(index, split), "right")
    return (*sides_of(index - split, size - split), "left")


def flipped(value, bit):
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def changes_of(proof, bit):
    """Every proof that is one hash away: one flipped, one missing, one more."""
    for place in range(len(proof)):
        yield (*proof[:place], flipped(proof[place], bit), *proof[place + 1 :])
        yield (*proof[:place], *proof[place + 1 :])
    for place in range(len(proof) + 1):
        yield (*proof[:place], OTHER, *proof[place:])


def test_frontier_root_is_the_naive_root_at_every_size():
    tree = CompactRange()
    for size in range(LIMIT + 1):
        assert tree.root() == naive_root(LEAVES[:size])
        assert len(tree.hashes) == size.bit_count()
        tree = tree.append(LEAVES[size % LIMIT])


@given(st.lists(st.integers(0, 40), max_size=8))
def test_batches_and_restarts_do_not_show(batches):
    tree = CompactRange()
    for batch in batches:
        tree = tree.extend(LEAVES[tree.size : min(tree.size + batch, LIMIT)])
        tree = CompactRange(tree.size, list(tree.hashes))
    assert tree == CompactRange().extend(LEAVES[: tree.size])
    assert tree.root() == root_of(LEAVES[: tree.size])


def test_all_proofs_of_small_trees_verify():
    for size in range(1, 40):
        root = root_of(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(LEAVES, index, size)
            assert verify_inclusion(LEAVES[index], index, size, proof, root)
            first_root = root_of(LEAVES[: index + 1])
            proof = consistency_proof(LEAVES, index + 1, size)
            assert verify_consistency(index + 1, size, proof, first_root, root)


@given(st.data(), sizes, st.integers(0, 255))
def test_one_change_breaks_an_inclusion_proof(data, size, bit):
    index = data.draw(st.integers(0, size - 1))
    leaf, root, proof = LEAVES[index], root_of(LEAVES[:size]), inclusion_proof(LEAVES, index, size)
    assert verify_inclusion(leaf, index, size, proof, root)
    assert not verify_inclusion(flipped(leaf, bit), index, size, proof, root)
    assert not verify_inclusion(leaf, index, size, proof, flipped(root, bit))
    assert not any(verify_inclusion(leaf, index, size, changed, root) for changed in changes_of(proof, bit))
    for other in {0, index - 1, index + 1, index ^ 1, size - 1, size, -1, index + 2**40} - {index}:
        assert not verify_inclusion(leaf, other, size, proof, root)


@given(st.data(), sizes, sizes)
def test_a_wrong_size_breaks_an_inclusion_proof_unless_the_path_is_the_same(data, size, claimed):
    # The hash of a tree head does not hold its size: only the signature of a checkpoint binds the two.
    index = data.draw(st.integers(0, size - 1))
    root, proof = root_of(LEAVES[:size]), inclusion_proof(LEAVES, index, size)
    same_path = index < claimed and sides_of(index, claimed) == sides_of(index, size)
    assert verify_inclusion(LEAVES[index], index, claimed, proof, root) == same_path
    assert verify_inclusion(LEAVES[index], index, claimed, proof, root_of(LEAVES[:claimed])) == (size == claimed)


@given(st.data(), sizes, st.integers(0, 255))
def test_one_change_breaks_a_consistency_proof(data, second, bit):
    first = data.draw(st.integers(1, second))
    old, new = root_of(LEAVES[:first]), root_of(LEAVES[:second])
    proof = consistency_proof(LEAVES, first, second)
    assert verify_consistency(first, second, proof, old, new)
    assert not verify_consistency(first, second, proof, flipped(old, bit), new)
    assert not verify_consistency(first, second, proof, old, flipped(new, bit))
    assert not any(verify_consistency(first, second, changed, old, new) for changed in changes_of(proof, bit))


@given(st.data(), sizes, sizes)
def test_a_consistency_proof_fits_no_other_tree_heads(data, second, other):
    first = data.draw(st.integers(1, second))
    old, new = root_of(LEAVES[:first]), root_of(LEAVES[:second])
    proof = consistency_proof(LEAVES, first, second)
    assert verify_consistency(first, other, proof, old, root_of(LEAVES[:other])) == (other == second)
    assert verify_consistency(other, second, proof, root_of(LEAVES[:other]), new) == (other == first)
    assert not verify_consistency(second + 1, second, proof, old, new)


@given(st.integers(2, LIMIT), st.data())
def test_a_rewritten_past_has_no_consistency_proof(second, data):
    first = data.draw(st.integers(1, second - 1))
    place = data.draw(st.integers(0, first - 1))
    forged = [*LEAVES[:place], OTHER, *LEAVES[place + 1 :]]
    proof = consistency_proof(forged, first, second)
    assert not verify_consistency(first, second, proof, root_of(LEAVES[:first]), root_of(forged[:second]))


hashes = st.binary(min_size=32, max_size=32)


@given(st.integers(-2, 2**66), st.integers(-2, 2**66), st.lists(hashes | st.binary(max_size=40), max_size=80), hashes)
def test_noise_is_false_and_never_raises(index, size, proof, root):
    assert not verify_inclusion(OTHER, index, size, proof, root)
    assert verify_consistency(index, size, proof, OTHER, root) == (index == size > 0 and not proof and root == OTHER)
