"""The places beside the store where an account finds events: dead letters and spools."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenaudit.audit.held import HeldEvents, hold_letters
from tenaudit.audit.reckoning import Elsewhere, SpoolsSeen
from tenaudit.backends.spool.snapshot import SpoolInUse, spooled_events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from tenaudit.audit.held import ReadableLetters
    from tenaudit.audit.producer_rows import AccountWindow

__all__ = ["Places", "read_places"]


@dataclass(frozen=True, slots=True)
class Places:
    """What was found.

    Args:
        letters: events among the dead letters.
        unread_letters: dead letters that do not tell whose they are.
        spooled: events in the spools that were read.
        spools: all folders that were named.
        in_use: those that a process has.
    """

    letters: HeldEvents
    unread_letters: int
    spooled: HeldEvents
    spools: tuple[Path, ...]
    in_use: tuple[Path, ...]

    def ids(self) -> Mapping[UUID, Sequence[UUID]]:
        """Return the ids of all of it by tenant, for the store to be asked about."""
        both: defaultdict[UUID, set[UUID]] = defaultdict(set)
        for place in (self.letters, self.spooled):
            for tenant_id, event_ids in place.ids().items():
                both[tenant_id].update(event_ids)
        return {tenant_id: [*event_ids] for tenant_id, event_ids in both.items()}

    def elsewhere(self, also_stored: frozenset[tuple[UUID, UUID]]) -> Elsewhere:
        """Return what of it the store does not have."""
        spools: SpoolsSeen = "in_use" if self.in_use else "read" if self.spools else "unnamed"
        return Elsewhere(
            dead_letters=self.letters.by_producer(also_stored),
            spooled=self.spooled.by_producer(also_stored),
            spools=spools,
            unread_letters=self.unread_letters,
        )


async def read_places(letters: ReadableLetters, spools: Sequence[Path], window: AccountWindow) -> Places:
    """Read dead letters and spools.

    Raises:
        ConfigurationError: a folder is no spool.
        StoreError: the dead letters cannot be read.
        SpoolError: a spool cannot be read.
        OSError: likewise.
    """
    spooled, buried = HeldEvents(window), HeldEvents(window)
    in_use: list[Path] = []
    # The spools first: what leaves one goes on towards the dead letters, and to the store.
    for folder in spools:
        try:
            async for event in spooled_events(folder):
                spooled.add(event)
        except SpoolInUse:
            in_use.append(folder)
    unread = await hold_letters(letters, buried, window)
    return Places(buried, unread, spooled, tuple(spools), tuple(in_use))
