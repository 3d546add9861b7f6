"""Holds the kept subtrees of a log against those that its leaves make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.audit.integrity.merkle import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tenaudit.audit.integrity.merkle import Subtree

__all__ = ["SubtreeCheck"]


class SubtreeCheck:
    """The roots that kept subtrees must have: an eighth of a byte a leaf.

    One that is missing proves nothing and harms nothing, for a proof takes leaves in its place.

    Example:
        >>> from tenaudit.audit.integrity.merkle import CompactRange, Subtree
        >>> check = SubtreeCheck()
        >>> check.expect(CompactRange().grown([bytes(32)] * 256)[1])
        >>> [*check.wrong([Subtree(8, 0, bytes(32))])]
        ['the hash kept of entries 0 to 255 is another one']
    """

    def __init__(self) -> None:
        self._levels: dict[int, bytearray] = {}

    def expect(self, completed: Iterable[Subtree]) -> None:
        """Take in the next subtrees of the log, in the order in which it completes them."""
        for subtree in completed:
            self._levels.setdefault(subtree.level, bytearray()).extend(subtree.root)

    def wrong(self, kept: Iterable[Subtree]) -> Iterator[str]:
        """Yield what is wrong with kept subtrees, one sentence each."""
        for level, place, root in kept:
            roots = self._levels.get(level, b"")
            if not 0 <= place < len(roots) // HASH_BYTES:
                # A level that was tampered with may be any number.
                which = f"entries {place << level} to {((place + 1) << level) - 1}" if 0 <= level < 64 else "no entries"
                yield f"a hash is kept of {which}, which the log has not"
            elif root != roots[place * HASH_BYTES : (place + 1) * HASH_BYTES]:
                yield f"the hash kept of entries {place << level} to {((place + 1) << level) - 1} is another one"
