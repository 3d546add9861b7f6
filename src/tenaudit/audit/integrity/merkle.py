"""Merkle trees with the hashing of RFC 9162, section 2.1, over SHA-256.

Rules of this file: pure; hashes are 32 bytes; a tree is known by its leaf hashes, never by its data, so it
outlives the rows that it proves.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "SUBTREE_BITS",
    "CompactRange",
    "MerkleError",
    "Subtree",
    "leaf_hash",
    "node_hash",
    "root_of",
]

HASH_BYTES = 32

SUBTREE_BITS = 8
"""Every eighth level of a tree is kept, from subtrees of 256 leaves on (the height of C2SP tlog-tiles)."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves (RFC 9162, section 2.1.1)."""


_KEPT = 1 << SUBTREE_BITS


class MerkleError(TenauditError, ValueError):
    """A Merkle tree was asked for what it does not have."""

    code = "invalid_merkle_input"


class Subtree(NamedTuple):
    """The root of a complete subtree that is kept, so that a proof needs no leaves beneath it.

    Attributes:
        level: its height, a multiple of `SUBTREE_BITS`; it has `2 ** level` leaves.
        place: which of its level, from 0: its first leaf is `place << level`.
        root: its hash, 32 bytes.
    """

    level: int
    place: int
    root: bytes


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 || data): the hash of a leaf (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right): the hash of an inner node (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes, in O(log n) memory.

    Raises:
        MerkleError: a leaf hash is not 32 bytes.
    """
    return CompactRange().extend(leaf_hashes).root()


@dataclass(frozen=True, slots=True)
class CompactRange:
    """The right frontier of a tree: all that appending needs, in O(log n) hashes.

    A value: `append` and `extend` return the longer tree and leave this one as it is, so a transaction that
    fails simply keeps the old one. `size` and `hashes` are what to store; the constructor restores.

    >>> tree = CompactRange().append(leaf_hash(b"a")).append(leaf_hash(b"b"))
    >>> tree.size, len(tree.hashes)
    (2, 1)
    >>> CompactRange(tree.size, tree.hashes).root() == node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
    True

    Attributes:
        size: number of leaves.
        hashes: roots of the perfect subtrees that cover the leaves from left to right, largest first; one
            for each bit set in `size`.

    Raises:
        MerkleError: the size is negative, or the hashes do not fit it.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "hashes", tuple(self.hashes))
        if self.size < 0:
            raise MerkleError("size is negative")
        if len(self.hashes) != self.size.bit_count():
            raise MerkleError(f"hashes: a tree of {self.size} has {self.size.bit_count()}, not {len(self.hashes)}")
        for subtree in self.hashes:
            _check_hash(subtree, "hashes")

    def append(self, leaf: bytes) -> CompactRange:
        """Return the tree with one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> CompactRange:
        """Return the tree with more leaf hashes, in their order.

        Raises:
            MerkleError: a leaf hash is not 32 bytes; this tree stays as it was.
        """
        frontier = list(self.hashes)
        size = _carried(frontier, self.size, leaves)
        return CompactRange(size, tuple(frontier))

    def grown(self, leaves: Sequence[bytes]) -> tuple[CompactRange, list[Subtree]]:
        """Return the tree with more leaf hashes, and the subtrees to keep that they complete, in that order.

        >>> tree, completed = CompactRange().grown([bytes(32)] * 600)
        >>> tree.size, [(subtree.level, subtree.place) for subtree in completed]
        (600, [(8, 0), (8, 1)])

        Raises:
            MerkleError: a leaf hash is not 32 bytes.
        """
        frontier, size, start, completed = list(self.hashes), self.size, 0, list[Subtree]()
        # Up to each leaf that completes one in the plain way: looking for them at every leaf would cost every leaf.
        while (last := start + _KEPT - 1 - size % _KEPT) < len(leaves):
            size = _carried(frontier, size, leaves[start:last])
            completed += _completed(frontier, size, leaves[last])
            size, start = size + 1, last + 1
        size = _carried(frontier, size, leaves[start:])
        return CompactRange(size, tuple(frontier)), completed

    def root(self) -> bytes:
        """Return the root hash; `EMPTY_ROOT` for no leaves."""
        if not self.hashes:
            return EMPTY_ROOT
        *rest, root = self.hashes
        for left in reversed(rest):
            root = node_hash(left, root)
        return root


def _carried(frontier: list[bytes], size: int, leaves: Iterable[bytes]) -> int:
    """Append leaves to a frontier of a tree of *size*, and return the size then."""
    for leaf in leaves:
        _check_hash(leaf, "leaf")
        merged = leaf
        # Adding one carries through the set low bits of the size: each carry joins two equal subtrees.
        carry = size
        while carry & 1:
            merged = node_hash(frontier.pop(), merged)
            carry >>= 1
        frontier.append(merged)
        size += 1
    return size


def _completed(frontier: list[bytes], size: int, leaf: bytes) -> list[Subtree]:
    """Append one leaf to a frontier, and return the subtrees to keep that it completes."""
    _check_hash(leaf, "leaf")
    merged, level, found = leaf, 0, []
    while size >> level & 1:
        merged, level = node_hash(frontier.pop(), merged), level + 1
        if level % SUBTREE_BITS == 0:
            found.append(Subtree(level, size >> level, merged))
    frontier.append(merged)
    return found


def _check_hash(value: object, field: str) -> None:
    if not isinstance(value, bytes) or len(value) != HASH_BYTES:
        raise MerkleError(f"{field}: a hash is {HASH_BYTES} bytes")
