"""Events that are not in the store but known to be somewhere: among the dead letters, or in a spool."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from tenaudit.audit.closing import CLOSED, ClosingTotals
from tenaudit.audit.consumer.wire import BadRecord, decode_event
from tenaudit.audit.integrity.canonical import MAX_SAFE_INTEGER
from tenaudit.audit.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tenaudit.audit.consumer.dead_letter import DeadLetter
    from tenaudit.audit.consumer.ports import SourceRecord
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.producer_rows import AccountWindow

__all__ = ["Held", "HeldEvents", "ReadableLetters", "hold_letters"]

_PAGE = 500
_MOST = 2_000_000


class ReadableLetters(Protocol):
    """Dead letters as far as an account reads them."""

    async def page(self, *, limit: int = 100, after: int = 0) -> tuple[DeadLetter, ...]:
        """Return letters behind an id."""
        ...

    async def record(self, letter_id: int) -> SourceRecord | None:
        """Return the record of one, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """The events of one producer that are held in one kind of place.

    Args:
        service: its service.
        seqs: their numbers.
        closing: what its closing record says, when that is one of them.

    Example:
        >>> len(Held("orders", frozenset({3, 4})).seqs)
        2
    """

    service: str = ""
    seqs: frozenset[int] = field(default_factory=frozenset)
    closing: ClosingTotals | None = None


class HeldEvents:
    """Collects the numbered events of a kind of place that fit a window, each once however often it is there.

    Args:
        window: which of them count.
        most: how many memory has room for.

    Example:
        >>> from tenaudit.audit.producer_rows import AccountWindow
        >>> from tenaudit.testing.conformance.events import an_event
        >>> events = HeldEvents(AccountWindow())
        >>> events.add(an_event(3))
        >>> events.by_producer(frozenset())
        {'orders-1': Held(service='orders', seqs=frozenset({3}), closing=None)}
    """

    def __init__(self, window: AccountWindow, most: int = _MOST) -> None:
        self._window = window
        self._most = most
        self._found: dict[tuple[UUID, UUID], tuple[str, str, int]] = {}
        self._closings: dict[str, ClosingTotals] = {}

    def add(self, event: AuditEvent) -> None:
        """Take an event; one without a number is in nobody's account.

        Raises:
            StoreError: there are more than memory is made for.
        """
        if event.producer_id is not None and event.seq is not None:
            self.add_number(event.tenant_id, event.event_id, event.producer_id, event.service, event.seq)
            closing = ClosingTotals.of(event.payload) if event.action == CLOSED else None
            known = self._closings.get(event.producer_id)
            if closing is not None and closing.emitted == event.seq and (known is None or known.emitted < event.seq):
                self._closings[event.producer_id] = closing

    def add_number(self, tenant_id: UUID, event_id: UUID, producer_id: str, service: str, seq: int) -> None:
        """Take what is known of an event.

        Raises:
            StoreError: there are more than memory is made for.
        """
        if not self._window.holds(event_id):
            return
        if len(self._found) >= self._most:
            raise StoreError(f"over {self._most} events wait outside of the store; narrow the time of the account")
        self._found[tenant_id, event_id] = (producer_id, service, seq)

    def ids(self) -> Mapping[UUID, Sequence[UUID]]:
        """Return the ids by tenant, for the store to be asked about."""
        by_tenant: defaultdict[UUID, list[UUID]] = defaultdict(list)
        for tenant_id, event_id in self._found:
            by_tenant[tenant_id].append(event_id)
        return by_tenant

    def by_producer(self, also_stored: frozenset[tuple[UUID, UUID]]) -> dict[str, Held]:
        """Return the numbers of each producer, without those that the store has too."""
        services: dict[str, str] = {}
        seqs: defaultdict[str, set[int]] = defaultdict(set)
        for which, (producer_id, service, seq) in self._found.items():
            if which not in also_stored:
                services[producer_id] = service
                seqs[producer_id].add(seq)
        return {
            producer_id: Held(services[producer_id], frozenset(found), self._closing(producer_id, found))
            for producer_id, found in seqs.items()
        }

    def _closing(self, producer_id: str, seqs: set[int]) -> ClosingTotals | None:
        closing = self._closings.get(producer_id)
        return closing if closing is not None and closing.emitted in seqs else None


async def hold_letters(letters: ReadableLetters, held: HeldEvents, window: AccountWindow) -> int:
    """Collect the events of dead letters; return how many letters do not tell whose they are.

    Those that came last before the window do not count.

    Raises:
        StoreError: they cannot be read.
    """
    unread = after = 0
    while page := await letters.page(limit=_PAGE, after=after):
        after = page[-1].id
        for letter in page:
            record = await letters.record(letter.id)
            # One that is gone meanwhile was replayed: the store has it.
            if record is not None and letter.last_seen * 1000 >= window.since_ms:
                unread += not _hold(record, held)
    return unread


def _hold(record: SourceRecord, held: HeldEvents) -> bool:
    try:
        held.add(decode_event(record.value, record.headers))
    except BadRecord:
        return _hold_number(record.value, held)
    return True


def _hold_number(value: bytes | None, held: HeldEvents) -> bool:
    """Take what is no event of this version by its number, if it has one."""
    try:
        told = json.loads(value or b"")
        names = (told["producer_id"], told["service"])
        seq, ids = told["seq"], (UUID(told["tenant_id"]), UUID(told["event_id"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    # A number that no event has would make the sums too long to be written.
    if type(seq) is not int or not 0 <= seq <= MAX_SAFE_INTEGER or not all(isinstance(name, str) for name in names):
        return False
    held.add_number(*ids, *names, seq)
    return True
