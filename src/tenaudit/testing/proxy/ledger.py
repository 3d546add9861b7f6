"""What the proxy did, counted; and a way to wait for it without sleeping."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAULT_NAMES", "Ledger", "ProxyStats"]

FAULT_NAMES = (
    "accept_nowhere",
    "bandwidth",
    "corrupt",
    "cut",
    "delay",
    "half_open",
    "refuse",
    "slice",
)

Tally = Literal["accepted", "rejected", "unreachable", "upstream", "downstream"]


@dataclass(frozen=True, slots=True)
class ProxyStats:
    """Counters at one moment.

    Attributes:
        accepted: connections accepted, rejected ones included.
        live: connections open now.
        rejected: connections reset at once because `max_connections` were open.
        unreachable: connections reset because the target did not accept in time.
        upstream_bytes: bytes passed on from clients to the server.
        downstream_bytes: bytes passed on from the server to clients.
        faults: how often each fault touched traffic: reads delayed or left unread, pieces sliced or throttled,
            bits flipped, connections cut or led nowhere, listeners closed by `refuse`. Every name is present.

    Example:
        >>> ProxyStats().faults["cut"]
        0
    """

    accepted: int = 0
    live: int = 0
    rejected: int = 0
    unreachable: int = 0
    upstream_bytes: int = 0
    downstream_bytes: int = 0
    faults: Mapping[str, int] = field(default_factory=lambda: MappingProxyType(dict.fromkeys(FAULT_NAMES, 0)))


class Ledger:
    """The counters behind `ProxyStats`.

    Example:
        >>> ledger = Ledger()
        >>> ledger.fault("cut")
        >>> ledger.stats(live=0).faults["cut"]
        1
    """

    __slots__ = ("_changed", "_faults", "_tally")

    def __init__(self) -> None:
        self._tally: Counter[Tally] = Counter()
        self._faults: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def count(self, name: Tally, by: int = 1) -> None:
        """Add *by* to a counter."""
        self._tally[name] += by
        self.touch()

    def fault(self, name: str, by: int = 1) -> None:
        """Note that a fault touched traffic *by* times."""
        if by:
            self._faults[name] += by
            self.touch()

    def touch(self) -> None:
        """Wake whoever waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Return after the next change."""
        await self._changed.wait()

    def stats(self, live: int) -> ProxyStats:
        """The counters now, as a value."""
        return ProxyStats(
            accepted=self._tally["accepted"],
            live=live,
            rejected=self._tally["rejected"],
            unreachable=self._tally["unreachable"],
            upstream_bytes=self._tally["upstream"],
            downstream_bytes=self._tally["downstream"],
            faults=MappingProxyType({name: self._faults[name] for name in FAULT_NAMES}),
        )
