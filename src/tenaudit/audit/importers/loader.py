"""Records of one format into a store, in batches: what is refused is told by name, the rest goes on.

Rules of this file: it is given texts and opens nothing; memory holds one batch of events.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit.audit.importers.importer import BrokenFile, LineImporter, Passed, Refused
from tenaudit.audit.importers.report import ImportReport, Tally
from tenaudit.audit.ports import SinkRejected
from tenaudit.audit.redaction_policy import check_redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.importers.importer import Found, Importer
    from tenaudit.audit.ports import Store
    from tenaudit.audit.redaction_policy import RedactionPolicy

__all__ = ["Loader"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)


class _Pending(NamedTuple):
    """An event that waits for its batch, and where it came from."""

    event: AuditEvent
    path: str
    record: int
    line: int | None


def _ignore(_read: int) -> None:
    """Tell nobody."""


class Loader:
    """Loads files one after another; loading one again stores nothing again.

    Args:
        store: where the events go; someone else closes it.
        importer: the format.
        tenant_id: whose events they are, when the records do not say.
        batch: events in one write.
        clock: what tells that a time lies more than a day ahead, which no event may.
        on_progress: called with the number of records read after each write.
        redaction: what is taken out of an event before it is stored. An import that is repeated under other rules makes
            other events of the same ids, which are conflicts.

    Raises:
        ValueError: *batch* is less than 1.
        ConfigurationError: *redaction* is no policy.

    Example:
        >>> import asyncio, tempfile
        >>> from tenaudit.audit.importers import FORMATS
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> async def main():
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         async with SqliteStore.open(f"{folder}/audit.db") as store:
        ...             loader = Loader(store, FORMATS["cloudtrail"])
        ...             await loader.load("a.json", '{"Records": [{}]}')
        ...             return (await loader.finish()).refused
        >>> dict(asyncio.run(main()))
        {'missing_field': 1}
    """

    def __init__(
        self,
        store: Store,
        importer: Importer,
        *,
        tenant_id: UUID | None = None,
        batch: int = 500,
        clock: Clock | None = None,
        on_progress: Callable[[int], None] = _ignore,
        redaction: RedactionPolicy | None = None,
    ) -> None:
        check_redaction(redaction)
        if batch < 1:
            raise ValueError("batch must be at least 1")
        self._store = store
        self._importer = importer
        self._tenant_id = tenant_id
        self._size = batch
        self._clock = clock or SystemClock()
        self._on_progress = on_progress
        self._redaction = redaction
        self._pending: list[_Pending] = []
        self._tally = Tally()

    async def load(self, path: str, text: str) -> None:
        """Load the records of one file; a file that is broken is refused as a whole.

        Args:
            path: what reports call it.
            text: all of it.

        Raises:
            StoreError: the store failed; what it had is kept, and loading again goes on from there.
        """
        try:
            records = self._importer.records(text)
        except BrokenFile as refusal:
            self.refuse(path, refusal)
            return
        self._tally.files += 1
        for index, found in enumerate(records):
            await self._take(path, index, found)

    async def load_lines(self, path: str, pieces: Iterable[str]) -> None:
        """Load a file of lines as it comes; what cannot be read any more is refused, and what came before is kept.

        Args:
            path: what reports call it.
            pieces: its text in order, each piece of whole lines; memory holds one. It raises `BrokenFile` when the
                rest cannot be read.

        Raises:
            TypeError: the format has no lines.
            StoreError: as `load`.
        """
        if not isinstance(self._importer, LineImporter):
            raise TypeError(f"{self._importer.name} is no format of lines")
        self._tally.files += 1
        index, line = 0, 1
        try:
            for piece in pieces:
                for found in self._importer.lines(piece, line):
                    await self._take(path, index, found)
                    index += 1
                line += piece.count("\n")
        except BrokenFile as refusal:
            self._tally.refuse(path, None, refusal)

    def refuse(self, path: str, refusal: Refused) -> None:
        """Count a file that could not be read."""
        self._tally.files += 1
        self._tally.refuse(path, None, refusal)

    async def finish(self) -> ImportReport:
        """Write what waits, seal the logs that have grown, and return the account."""
        await self._write()
        await self._store.seal()
        return self._tally.report()

    async def _take(self, path: str, index: int, found: Found) -> None:
        self._tally.read += 1
        try:
            self._pending.append(_Pending(self._event(found), path, index, found.line))
        except Refused as refusal:
            self._tally.refuse(path, index, refusal, found.line)
        except Passed as passed:
            self._tally.passed_over(passed.reason)
        if len(self._pending) >= self._size:
            await self._write()

    def _event(self, found: Found) -> AuditEvent:
        if found.refusal is not None:
            raise found.refusal
        event = self._importer.event(found.value, self._tenant_id)
        now = _EPOCH + timedelta(microseconds=self._clock.time_ns() // 1000)
        if event.occurred_at - now > _AHEAD:
            raise Refused("time_ahead", "the record's time is more than a day ahead")
        return event if self._redaction is None else self._redaction.written(event)

    async def _write(self) -> None:
        pending, self._pending = self._pending, []
        while pending:
            try:
                result = await self._store.append([item.event for item in pending])
            except SinkRejected as rejected:
                pending = self._without(pending, rejected)
            else:
                self._tally.add(result)
                break
        self._on_progress(self._tally.read)

    def _without(self, pending: list[_Pending], rejected: SinkRejected) -> list[_Pending]:
        """Refuse what the store names, and return the rest; a store that names none of them refuses them all."""
        kept = [item for item in pending if item.event.event_id not in rejected.event_ids]
        if len(kept) == len(pending):
            kept = []
        staying = {id(item) for item in kept}
        for item in pending:
            if id(item) not in staying:
                refusal = Refused(rejected.reason, "the store refuses the event")
                self._tally.refuse(item.path, item.record, refusal, item.line)
        return kept
