"""Inclusion and consistency proofs of a Merkle tree (RFC 9162, sections 2.1.3 and 2.1.4).

Rules of this file: pure. A proof is a tuple of hashes of 32 bytes, in the order of the RFC. Verifying never
raises for a bad proof: it says False. What a proof shows is relative to a tree head of the right size; the
size itself is bound by the signature of the checkpoint, for the hash of a head does not contain it.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from tenaudit.audit.integrity.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange, MerkleError, node_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    # All leaf hashes, or a function (start, end) -> the leaf hashes of that half-open range.
    LeafHashes: TypeAlias = Sequence[bytes] | Callable[[int, int], Iterable[bytes]]

__all__ = [
    "consistency_proof",
    "consistency_spans",
    "inclusion_proof",
    "inclusion_spans",
    "verify_consistency",
    "verify_inclusion",
]


def inclusion_spans(index: int, size: int) -> list[tuple[int, int]]:
    """Return the leaf ranges whose roots are the inclusion proof, in proof order.

    For stores that keep subtree roots: look these up instead of hashing all leaves.

    Raises:
        MerkleError: the index is not within the tree.
    """
    if not 0 <= index < size:
        raise MerkleError(f"index: {index} is not in a tree of {size}")
    spans: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def inclusion_proof(leaves: LeafHashes, index: int, size: int) -> tuple[bytes, ...]:
    """Return the proof that leaf `index` is in the tree of the first `size` leaves (section 2.1.3.1).

    Raises:
        MerkleError: the index is not within the tree, or there are fewer leaves than `size`.
    """
    return tuple(_root_between(leaves, start, end) for start, end in inclusion_spans(index, size))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether the proof leads from the leaf hash to the root (section 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes((leaf, root, *proof)):
        return False
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and value == root


def consistency_spans(first: int, second: int) -> list[tuple[int, int]]:
    """Return the leaf ranges whose roots are the consistency proof, in proof order.

    Raises:
        MerkleError: the sizes are not 0 <= first <= second.
    """
    if not 0 <= first <= second:
        raise MerkleError(f"first: {first} is not within 0 and {second}")
    if first in (0, second):
        return []
    spans: list[tuple[int, int]] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start, whole = middle, False
    if not whole:  # the verifier knows the root of the first tree, but not of a subtree within it
        spans.append((start, end))
    return spans[::-1]


def consistency_proof(leaves: LeafHashes, first: int, second: int) -> tuple[bytes, ...]:
    """Return the proof that the tree of `second` leaves extends the tree of `first` (section 2.1.4.1).

    It is empty for equal sizes and for `first` 0, which every tree extends.

    Raises:
        MerkleError: the sizes are not 0 <= first <= second, or there are fewer leaves than `second`.
    """
    return tuple(_root_between(leaves, start, end) for start, end in consistency_spans(first, second))


def verify_consistency(first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> bool:
    """Tell whether the second tree head extends the first (section 2.1.4.2).

    From size 0, whose root must be `EMPTY_ROOT`, an empty proof suffices.
    """
    if not 0 <= first <= second or not _are_hashes((first_root, second_root, *proof)):
        return False
    if first == second:
        return not proof and first_root == second_root and (first > 0 or first_root == EMPTY_ROOT)
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    return bool(path) and _walk_consistency(first, second, path, (first_root, second_root))


def _walk_consistency(first: int, second: int, path: list[bytes], roots: tuple[bytes, bytes]) -> bool:
    node, last = first - 1, second - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and (old, new) == roots


def _split(size: int) -> int:
    """Return the largest power of two below `size` (section 2.1.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def _root_between(leaves: LeafHashes, start: int, end: int) -> bytes:
    # One leaf more than asked for would mean a reader that ignores its range: islice keeps that bounded.
    source = leaves(start, end) if callable(leaves) else leaves[start:end]
    tree = CompactRange().extend(islice(source, end - start + 1))
    if tree.size != end - start:
        raise MerkleError(f"leaves: the range {start}..{end} gave {tree.size} hashes")
    return tree.root()


def _are_hashes(values: Iterable[object]) -> bool:
    return all(isinstance(value, bytes) and len(value) == HASH_BYTES for value in values)
