"""`tenaudit audit export --proofs`: every event that fits, each with the proof that it was logged."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import StoreError
from tenaudit.audit.exported_entries import ExportedEntries
from tenaudit.audit.integrity import parse_body
from tenaudit.audit.integrity.signed_tip import signed_tip
from tenaudit.audit.proofs import NotSealed, UnknownSize
from tenaudit.audit.proven_export import ExportClaim, proven_end, proven_line
from tenaudit.backends.checkpoint_file import read_rounds

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO
    from uuid import UUID

    from tenaudit.audit import AuditEvent, Page, RedactionPolicy
    from tenaudit.audit.integrity.signed_tip import SignedTip
    from tenaudit.audit.proofs import EventProofs
    from tenaudit.audit.visible import VisibleQuery
    from tenaudit.backends.postgres import PostgresStore
    from tenaudit.backends.sqlite import SqliteStore

__all__ = ["ProvenExport", "tip_of"]


def tip_of(record: Path, tenant_id: UUID) -> SignedTip:
    """Return the newest signed checkpoint of a tenant in a file of `tenaudit audit sign`.

    Raises:
        ConfigurationError: the file has none.
        StoreError: the file cannot be read; a RoundError says that it is no such file.
    """
    tip = signed_tip(lambda: read_rounds(record), tenant_id)
    if tip is None:
        raise ConfigurationError(f"{record} has no checkpoint of tenant {tenant_id}; run tenaudit audit sign first")
    return tip


class ProvenExport:
    """Writes one export: pages in, lines out.

    Args:
        store: where the proofs are from.
        asked: what is exported.
        tip: the signed checkpoint that the proofs are for.
        redaction: what hides fields; None hides nothing.
        is_all: whether no filter leaves anything out.
    """

    def __init__(
        self,
        store: SqliteStore | PostgresStore,
        asked: VisibleQuery,
        tip: SignedTip,
        redaction: RedactionPolicy | None,
        *,
        is_all: bool,
    ) -> None:
        self._store = store
        self._asked = asked
        self._tip = tip
        self._checkpoint = parse_body(tip.body)
        self._redaction = redaction
        self._is_all = is_all
        self._entries = ExportedEntries()
        self._events = 0

    async def write(self, out: BinaryIO, page: Page) -> None:
        """Write the events of a page that fit.

        Raises:
            ConfigurationError: the signed checkpoint is not one of this store's.
            StoreError: the store failed, or an event went meanwhile.
        """
        events = [one for one in page.events if not self._asked.hidden or self._asked.seen(one) is not None]
        found = await self._proofs([event.event_id for event in events])
        out.writelines(self._line(event, found) for event in events)

    def end(self, out: BinaryIO) -> None:
        """Write the last line, and tell on standard error what nothing proves yet."""
        order: Literal["asc", "desc"] = "asc" if self._asked.query.order == "asc" else "desc"
        is_whole = self._is_all and not any(self._entries.gaps(self._checkpoint.size))
        out.write(proven_end(ExportClaim(self._events, is_whole, order, self._tip)))
        uncovered = self._events - self._entries.count
        if uncovered:
            sys.stderr.write(
                f"not yet proven: {uncovered} events behind the signed checkpoint; sign, and export again\n"
            )

    async def _proofs(self, ids: list[UUID]) -> EventProofs:
        tenant_id, size = self._asked.query.tenant_id, self._checkpoint.size
        try:
            found = await self._store.prove_events(tenant_id, ids, size)
        except (NotSealed, UnknownSize):
            raise self._other_log() from None
        if found.checkpoint != self._checkpoint:
            raise self._other_log()
        return found

    def _line(self, event: AuditEvent, found: EventProofs) -> bytes:
        proof = found.proofs.get(event.event_id)
        if proof is None and event.event_id not in found.uncovered:
            raise StoreError(f"event {event.event_id} went while it was exported; export again")
        self._events += 1
        shown = event if self._redaction is None else self._redaction.shown(event)
        line, is_proven = proven_line(event, proof, shown)
        if proof is not None:
            self._entries.add(proof.index)
            if is_proven:
                self._entries.explain(event.record(), proof.index)
        return line

    def _other_log(self) -> ConfigurationError:
        said = f"the signed checkpoint at {self._checkpoint.size} is not one of this store's"
        return ConfigurationError(f"{said}; check --checkpoints, and verify the store with them")
