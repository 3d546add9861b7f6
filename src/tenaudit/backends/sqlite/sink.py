"""The embedded sink: a producer's events straight into a store's file."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from tenaudit.audit import SinkUnavailable, StoreError
from tenaudit.backends.sqlite.store import SqliteStore

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from tenaudit.audit import AuditEvent

__all__ = ["SqliteSink"]

_log = logging.getLogger("tenaudit.audit")


class SqliteSink:
    """Writes batches to a `SqliteStore`.

    Args:
        store: a store that someone else closes; `SqliteSink.open` makes one that this sink owns.

    Example:
        >>> import asyncio, tempfile
        >>> async def main():
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         sink = SqliteSink.open(f"{folder}/audit.db")
        ...         await sink.write([])
        ...         await sink.close()
        >>> asyncio.run(main())
    """

    def __init__(self, store: SqliteStore | str | os.PathLike[str]) -> None:
        self._owned = not isinstance(store, SqliteStore)
        self._store = store if isinstance(store, SqliteStore) else SqliteStore.open(store)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Return a sink with a store of its own."""
        return cls(path)

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Store the batch; events that are there already are no error, and neither is a second content of an id."""
        try:
            result = await self._store.append(batch)
        except StoreError as error:
            raise SinkUnavailable(str(error)) from error
        if result.conflicts:
            _log.error(
                "an event id came with other content",
                extra={"action": "audit_event_conflict", "events": result.conflicts},
            )

    async def close(self) -> None:
        """Close the store if it is this sink's own."""
        if self._owned:
            await self._store.close()
