"""The oracle of a fault test: what a producer was told of each event, against what came out in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Ledger", "Told", "Verdict"]

Told: TypeAlias = Literal["ok", "fail", "info"]
_ANSWERS: tuple[Told, ...] = ("ok", "fail", "info")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every event in exactly one class, save that one stored twice is also duplicated.

    Args:
        stored: acknowledged, and came out.
        lost: acknowledged, and did not come out.
        recovered: nobody knew, and it came out.
        unknown: nobody knew, and it did not come out.
        unexpected: came out, though nobody emitted it or it was refused.
        duplicated: came out more than once.

    Example:
        >>> Verdict().holds
        True
    """

    stored: frozenset[UUID] = frozenset()
    lost: frozenset[UUID] = frozenset()
    recovered: frozenset[UUID] = frozenset()
    unknown: frozenset[UUID] = frozenset()
    unexpected: frozenset[UUID] = frozenset()
    duplicated: frozenset[UUID] = frozenset()

    @property
    def holds(self) -> bool:
        """Whether nothing acknowledged is lost, and nothing came out that should not have."""
        return not (self.lost or self.unexpected or self.duplicated)

    def __str__(self) -> str:
        """Return the size of each class, for the message of a failed assertion."""
        return ", ".join(f"{len(getattr(self, name))} {name}" for name in self.__slots__)


class Ledger:
    """Notes answers as they come; kept by a process that no fault hits.

    An answer is `ok` (acknowledged), `fail` (refused: it must never come out) or `info` (emitted, and nobody knows).
    A timeout is `info`, never `fail`. A later answer replaces an earlier `info` and no other.

    Example:
        >>> one, two = UUID(int=1), UUID(int=2)
        >>> ledger = Ledger()
        >>> ledger.note(one, "info"), ledger.note(one, "ok"), ledger.note(two, "info")
        (None, None, None)
        >>> str(ledger.settle([one]))
        '1 stored, 0 lost, 0 recovered, 1 unknown, 0 unexpected, 0 duplicated'
    """

    def __init__(self) -> None:
        self._told: dict[UUID, Told] = {}

    def __len__(self) -> int:
        return len(self._told)

    def note(self, event_id: UUID, told: Told) -> None:
        """Note one answer.

        Raises:
            ValueError: it contradicts an earlier one, or is no answer at all.
        """
        if told not in _ANSWERS:
            raise ValueError(f"an answer is one of {', '.join(_ANSWERS)}, not {told!r}")
        before = self._told.get(event_id, "info")
        if before == "info":
            self._told[event_id] = told
        elif told not in ("info", before):
            raise ValueError(f"{event_id} was {before} and is now {told}")

    def read(self, lines: Iterable[str]) -> None:
        """Note the lines of a child process, `<answer> <event id>`; one that its death has cut off counts for nothing.

        A pipe keeps what was written before a `kill -9`, so a child that prints and flushes each answer needs no more.
        """
        for line in lines:
            words = line.split()
            if line.endswith("\n") and len(words) > 1 and words[0] in _ANSWERS:
                self.note(UUID(words[1]), words[0])

    def settle(self, came_out: Iterable[UUID]) -> Verdict:
        """Compare with every id that came out, each as often as it did."""
        counts = Counter(came_out)
        told = {answer: {one for one, was in self._told.items() if was == answer} for answer in _ANSWERS}
        return Verdict(
            stored=frozenset(told["ok"] & counts.keys()),
            lost=frozenset(told["ok"] - counts.keys()),
            recovered=frozenset(told["info"] & counts.keys()),
            unknown=frozenset(told["info"] - counts.keys()),
            unexpected=frozenset(one for one in counts if self._told.get(one, "fail") == "fail"),
            duplicated=frozenset(one for one, count in counts.items() if count > 1),
        )
