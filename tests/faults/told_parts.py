"""A sink and a spool that say when they are asked, and a sink that is down when it is told to be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tenaudit.audit import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit import AuditEvent, Sink, Spool, SpoolBatch, SpoolStats


def tell(line: str) -> None:
    """Write one line to the parent in one piece; a pipe keeps it whatever becomes of this process."""
    os.write(1, f"{line}\n".encode())


class ToldSink:
    """Passes batches on to *inner* unless it is down; whoever made *inner* closes it."""

    def __init__(self, inner: Sink) -> None:
        self._inner = inner
        self.down = False

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        tell("at write")
        if self.down:
            raise SinkUnavailable
        await self._inner.write(batch)
        tell("at written")

    async def close(self) -> None:
        tell("at sink close")


class ToldSpool:
    """Passes everything on to *inner*."""

    def __init__(self, inner: Spool) -> None:
        self._inner = inner

    async def append(self, events: Sequence[AuditEvent]) -> None:
        tell("at append")
        await self._inner.append(events)

    async def read(self, limit: int) -> SpoolBatch:
        tell("at read")
        return await self._inner.read(limit)

    async def ack(self, token: object) -> None:
        tell("at ack")
        await self._inner.ack(token)

    def stats(self) -> SpoolStats:
        return self._inner.stats()

    async def close(self) -> None:
        tell("at spool close")
        await self._inner.close()
