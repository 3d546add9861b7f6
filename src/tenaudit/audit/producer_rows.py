"""What a store knows of each producer: how many of its numbers arrived, the span of them, and its closing record.

Rules of this file: pure. A producer gives its events ids in the order of their numbers, so a window of ids is a piece
of its numbers without gaps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from uuid import UUID

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.closing import ClosingTotals
from tenaudit.audit.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "MAX_PRODUCERS",
    "AccountWindow",
    "Accounts",
    "ProducerRow",
    "ProducerRows",
    "StoreAccount",
    "interior_gaps",
]

MAX_PRODUCERS = 100_000
"""Producers that one account takes; each start of a process is one."""

_ALL_MS = 2**48


@dataclass(frozen=True, slots=True)
class AccountWindow:
    """The events to look at, by the time in their ids.

    Args:
        since_ms: Unix milliseconds of the first; 0 is the beginning.
        until_ms: Unix milliseconds that are too late.

    Raises:
        ConfigurationError: it has no room.

    Example:
        >>> AccountWindow().is_whole, AccountWindow(1).first
        (True, UUID('00000000-0001-0000-0000-000000000000'))
    """

    since_ms: int = 0
    until_ms: int = _ALL_MS

    def __post_init__(self) -> None:
        if not 0 <= self.since_ms < self.until_ms <= _ALL_MS:
            raise ConfigurationError("the account must begin before it ends, in the years that an id can tell")

    @property
    def is_whole(self) -> bool:
        """Whether it has no beginning."""
        return self.since_ms == 0

    @property
    def first(self) -> UUID:
        """The lowest id that fits."""
        return UUID(int=self.since_ms << 80)

    @property
    def last(self) -> UUID:
        """The highest id that fits."""
        return UUID(int=(self.until_ms << 80) - 1)

    def holds(self, event_id: UUID) -> bool:
        """Tell whether an event is to be looked at."""
        return self.first <= event_id <= self.last


@dataclass(frozen=True, slots=True)
class ProducerRow:
    """The events of one producer that a store has, whatever their tenants.

    Args:
        producer_id: which producer.
        service: its service.
        stored: how many events, the closing record among them.
        lowest: the lowest number.
        highest: the highest number.
        closing: what its closing record says; None without one.

    Example:
        >>> ProducerRow("orders-1", "orders", 2, 0, 1).closing is None
        True
    """

    producer_id: str
    service: str
    stored: int
    lowest: int
    highest: int
    closing: ClosingTotals | None = None


@dataclass(frozen=True, slots=True)
class StoreAccount:
    """What a store has of each producer, all of it as of one moment.

    Args:
        rows: by producer.
        also_stored: those of the events that were asked about which the store has, each a tenant and an id.

    Example:
        >>> StoreAccount(()).also_stored
        frozenset()
    """

    rows: tuple[ProducerRow, ...]
    also_stored: frozenset[tuple[UUID, UUID]] = field(default_factory=frozenset)


@runtime_checkable
class Accounts(Protocol):
    """What a store may offer beside `Store`: counting the events of each producer.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> isinstance(SqliteStore.open("audit.db"), Accounts)
        True
    """

    async def account(
        self, window: AccountWindow, *, held: Mapping[UUID, Sequence[UUID]], seconds: float
    ) -> StoreAccount:
        """Count the numbered events in *window*, over every tenant that has a log, and tell which of *held* are stored.

        *held* is ids by tenant. Raises `StoreError` when *seconds* were not enough, or there are too many producers:
        an account of a part would prove nothing.
        """
        ...


class ProducerRows:
    """Adds up what a store finds, a part at a time.

    Example:
        >>> rows = ProducerRows()
        >>> rows.add("orders-1", "orders", 2, 0, 1)
        >>> rows.add("orders-1", "orders", 1, 3, 3)
        >>> rows.finish()
        (ProducerRow(producer_id='orders-1', service='orders', stored=3, lowest=0, highest=3, closing=None),)
    """

    def __init__(self) -> None:
        self._counts: dict[str, tuple[str, int, int, int]] = {}
        self._closings: dict[str, ClosingTotals] = {}

    def add(self, producer_id: str, service: str, stored: int, lowest: int, highest: int) -> None:
        """Add events of a producer.

        Raises:
            StoreError: there are too many producers.
        """
        known = self._counts.get(producer_id)
        if known is not None:
            stored, lowest, highest = known[1] + stored, min(known[2], lowest), max(known[3], highest)
        elif len(self._counts) >= MAX_PRODUCERS:
            raise StoreError(f"there are over {MAX_PRODUCERS} producers; narrow the time of the account")
        self._counts[producer_id] = (service, stored, lowest, highest)

    def close(self, producer_id: str, seq: int, payload: str) -> None:
        """Add a closing record; one that says nothing, or does not stand at its own number, is an event like others.

        Args:
            producer_id: whose it is.
            seq: its number.
            payload: its payload as JSON.
        """
        try:
            told = ClosingTotals.of(json.loads(payload))
        except (ValueError, RecursionError):  # a row that was tampered with
            return
        # The last of its numbers counts, in whatever order tenants are read: an earlier one is an event like others.
        known = self._closings.get(producer_id)
        if told is not None and told.emitted == seq and (known is None or known.emitted < seq):
            self._closings[producer_id] = told

    def finish(self) -> tuple[ProducerRow, ...]:
        """Return the rows, in the order of their producers."""
        return tuple(
            ProducerRow(producer_id, *counted, self._closings.get(producer_id))
            for producer_id, counted in sorted(self._counts.items())
        )


def interior_gaps(rows: Iterable[ProducerRow]) -> int:
    """Return how many numbers between the lowest and the highest of each producer are not there.

    >>> interior_gaps([ProducerRow("orders-1", "orders", 2, 5, 9)])
    3
    """
    return sum(max(0, row.highest - row.lowest + 1 - row.stored) for row in rows)
