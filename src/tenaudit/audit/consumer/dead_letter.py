"""Dead letters: what is told of one, how many may be kept, and where they are kept until somebody sees to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.consumer.ports import DeadLetters, Partition
from tenaudit.audit.ports import StoreError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tenaudit.audit.consumer.ports import SourceRecord

__all__ = ["DeadLetter", "DeadLetterBounds", "DeadLetterStore", "DeadLetterTotals", "DeadLettersFull"]

# A letter is cut where it is larger: a value of 1 MiB, a key and headers.
_LARGEST_LETTER = 2 * 2**20
# What a 64-bit integer of a database holds.
_MOST = 2**63 - 1


class DeadLettersFull(StoreError):  # noqa: N818 - reads as a fact where it is raised
    """There is no room for another dead letter; nothing was dropped to make some."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What is told of a dead letter, without its bytes.

    Args:
        id: names it where it is kept; never given out twice.
        partition: where the record was.
        offset: its place there.
        reason: why it is here, as one word.
        size: bytes of its value, also of those that were not kept; None for a deletion mark.
        is_whole: False when value, key or headers were too large to be kept in full; it cannot be replayed.
        first_seen: when it came first, in Unix seconds.
        last_seen: when it came last.
        times_seen: how often it came.
        replays: how often it was replayed in vain.

    Example:
        >>> DeadLetter(1, Partition("audit.events", 0), 7, "not_json", 2, True, 0.0, 0.0, 1, 0).reason
        'not_json'
    """

    id: int
    partition: Partition
    offset: int
    reason: str
    size: int | None
    is_whole: bool
    first_seen: float
    last_seen: float
    times_seen: int
    replays: int


class DeadLetterTotals(NamedTuple):
    """How many dead letters are kept, and the size of their keys, headers and values in bytes."""

    letters: int
    size: int


@dataclass(frozen=True, slots=True)
class DeadLetterBounds:
    """How many dead letters are kept before a consumer has to wait for room.

    Args:
        letters: most of them.
        bytes: most bytes of their keys, headers and values, at least 2 MiB, so that the largest has room.

    Raises:
        ConfigurationError: one is out of range.

    Example:
        >>> bounds = DeadLetterBounds(letters=2)
        >>> bounds.check(DeadLetterTotals(1, 10), 20)
        >>> try:
        ...     bounds.check(DeadLetterTotals(2, 10), 20)
        ... except DeadLettersFull as error:
        ...     str(error).partition(",")[0]
        'the dead letters are full: 2 of 2'
    """

    letters: int = 10_000
    bytes: int = 256 * 2**20

    def __post_init__(self) -> None:
        for name, least in (("letters", 1), ("bytes", _LARGEST_LETTER)):
            if not least <= (value := getattr(self, name)) <= _MOST:
                raise ConfigurationError(f"{name} of dead letters must be {least} to {_MOST}, not {value}")

    def check(self, totals: DeadLetterTotals, size: int) -> None:
        """Refuse another letter of *size* bytes where there is no room for it beside *totals*.

        Raises:
            DeadLettersFull: it would be one too many, or some bytes too many.
        """
        if totals.letters >= self.letters or totals.size + size > self.bytes:
            raise DeadLettersFull(
                f"the dead letters are full: {totals.letters} of {self.letters}, with {totals.size} of {self.bytes} "
                "bytes; replay or discard some of them: tenaudit audit dlq"
            )


class DeadLetterStore(DeadLetters, Protocol):
    """Dead letters that can be looked at, replayed and discarded; `put` raises `DeadLettersFull` at the bound."""

    async def page(self, *, limit: int = 100, after: int = 0) -> tuple[DeadLetter, ...]:
        """Return at most *limit* letters, 1 to 1000, whose ids come behind *after*, in their order."""
        ...

    async def get(self, letter_id: int) -> DeadLetter | None:
        """Return what is told of one letter, or None."""
        ...

    async def record(self, letter_id: int) -> SourceRecord | None:
        """Return the record of one letter, or None."""
        ...

    async def refused(self, letter_id: int, reason: str) -> None:
        """Note that a replay was in vain, and why."""
        ...

    async def delete(self, letter_id: int) -> bool:
        """Delete a letter; False when there is none of that id."""
        ...

    async def totals(self) -> DeadLetterTotals:
        """Return how many letters there are."""
        ...

    async def close(self) -> None:
        """Release connections; a second call does nothing."""
        ...

    async def __aenter__(self) -> Self:
        """Open it at once, and raise what would keep it from being used."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        ...
