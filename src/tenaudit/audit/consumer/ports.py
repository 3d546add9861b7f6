"""What a consumer asks of the outside: a stream of records, and a place for those that hold no event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["DeadLetters", "Fetched", "Partition", "Source", "SourceRecord", "SourceUnavailable"]


class SourceUnavailable(TenauditError):  # noqa: N818 - reads as a fact where it is raised
    """The source cannot be read, or told of progress, now; the same call may be tried again."""


class Partition(NamedTuple):
    """One ordered part of a stream."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record as it came, whatever is in it.

    Args:
        partition: where it is.
        offset: its place there.
        value: its bytes; None is a deletion mark.
        key: its key, by habit the tenant.
        headers: names and values.
        timestamp_ms: when it was written, in milliseconds since the Unix epoch; None when nobody told.

    Example:
        >>> SourceRecord(Partition("audit.events", 0), 7, b"{}").offset
        7
    """

    partition: Partition
    offset: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records, each partition's in order, and the epoch that they were fetched in.

    An epoch ends when partitions are taken away.

    Example:
        >>> Fetched(epoch=1, records=()).records
        ()
    """

    epoch: int
    records: tuple[SourceRecord, ...]


class Source(Protocol):
    """A stream of records in partitions, shared among the members of a group; it serves one consumer."""

    def on_revoke(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Call and await *settle* before partitions are taken away; commits still work while it runs."""
        ...

    async def fetch(self, max_records: int, max_bytes: int, seconds: float) -> Fetched:
        """Return what follows, at least one record when there is one, none after *seconds*.

        Cancelled, it has taken nothing. Raises `SourceUnavailable`.
        """
        ...

    async def commit(self, epoch: int, offsets: Mapping[Partition, int]) -> bool:
        """Keep the offsets of the next records; False when the epoch has ended. Raises `SourceUnavailable`."""
        ...

    def lag(self) -> int:
        """Return how many records of the partitions held here were not fetched yet, as far as is known."""
        ...

    async def close(self) -> None:
        """Leave the group and release connections; a second call does nothing."""
        ...


class DeadLetters(Protocol):
    """Where records go that hold no event, or one that the store will never take."""

    async def put(self, record: SourceRecord, reason: str) -> None:
        """Keep the record, once for each partition and offset; anything raised is tried again."""
        ...
