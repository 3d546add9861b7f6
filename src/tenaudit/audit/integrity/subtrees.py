"""Roots of ranges of leaves out of few stored hashes: of every eighth level of the tree, and below that of its leaves.

A proof of a log of n leaves needs at most 510 hashes of each stored level, so O(log n) of them. A stored hash that is
not there is made of those below it, and in the end of leaves: a log that is older than its subtrees is proven too.

Rules of this file: pure; what is read is asked for by a generator, which a store answers in its own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tenaudit.audit.integrity.merkle import SUBTREE_BITS, CompactRange, MerkleError, node_hash

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

__all__ = ["HashRange", "StoredHashes", "span_roots"]

_KEPT = 1 << SUBTREE_BITS

StoredHashes: TypeAlias = "Mapping[tuple[int, int], bytes]"
"""Hashes by level and place."""


class HashRange(NamedTuple):
    """Stored hashes that are wanted: those of a level from one place up to another.

    Attributes:
        level: 0 for leaves, else the level of kept subtrees.
        first: the first place.
        end: the place behind the last.
    """

    level: int
    first: int
    end: int


class _Piece(NamedTuple):
    """A complete subtree of any level: part of a span."""

    level: int
    place: int

    def stored(self) -> HashRange:
        below = self.level % SUBTREE_BITS
        return HashRange(self.level - below, self.place << below, (self.place + 1) << below)


def span_roots(
    spans: Iterable[tuple[int, int]],
) -> Generator[Sequence[HashRange], StoredHashes, dict[tuple[int, int], bytes]]:
    """Return the root of each span of leaves; yield ranges of hashes and be sent those of them that are stored.

    Args:
        spans: half-open ranges of leaves, each one subtree of a tree (`inclusion_spans`, `consistency_spans`).

    Raises:
        MerkleError: a leaf is missing, or a hash is not 32 bytes.

    Example:
        >>> from tenaudit.audit.integrity.merkle import root_of
        >>> leaves = [bytes([n]) * 32 for n in range(3)]
        >>> asking = span_roots([(0, 3)])
        >>> next(asking)
        [HashRange(level=0, first=0, end=3)]
        >>> try:
        ...     asking.send({(0, place): leaf for place, leaf in enumerate(leaves)})
        ... except StopIteration as done:
        ...     done.value == {(0, 3): root_of(leaves)}
        True
    """
    pieces = {span: [*_pieces(*span)] for span in spans}
    wanted = _merged(piece.stored() for several in pieces.values() for piece in several)
    known = yield from _filled(wanted)
    return {span: _joined([_root(known, piece.stored()) for piece in several]) for span, several in pieces.items()}


def _filled(wanted: Sequence[HashRange]) -> Generator[Sequence[HashRange], StoredHashes, StoredHashes]:
    """Return the hashes of ranges, those that are not stored made of the level below, one at a time."""
    known = dict((yield wanted)) if wanted else {}
    for level, first, end in wanted:
        for place in range(first, end):
            if (level, place) in known:
                continue
            if level == 0:
                raise MerkleError(f"leaves: the log has none at {place}")
            beneath = HashRange(level - SUBTREE_BITS, place * _KEPT, (place + 1) * _KEPT)
            known[level, place] = _root((yield from _filled([beneath])), beneath)
    return known


def _pieces(start: int, end: int) -> Iterator[_Piece]:
    """Cut a range into complete subtrees from left to right, each as large as fits."""
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield _Piece(level, start >> level)
        start += 1 << level


def _merged(ranges: Iterable[HashRange]) -> list[HashRange]:
    merged: list[HashRange] = []
    for one in sorted(set(ranges)):
        last = merged[-1] if merged else None
        if last is not None and last.level == one.level and one.first <= last.end:
            merged[-1] = HashRange(one.level, last.first, max(last.end, one.end))
        else:
            merged.append(one)
    return merged


def _root(known: StoredHashes, wanted: HashRange) -> bytes:
    return CompactRange().extend(known[wanted.level, place] for place in range(wanted.first, wanted.end)).root()


def _joined(roots: Sequence[bytes]) -> bytes:
    """Return the root over complete subtrees that get smaller from left to right (RFC 9162, section 2.1.1)."""
    *rest, root = roots
    for left in reversed(rest):
        root = node_hash(left, root)
    return root
