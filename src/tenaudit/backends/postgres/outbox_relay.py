"""The outbox in PostgreSQL as the relay reads it.

Time is the server's, so the clocks of the relays do not matter. Every change of an entry is made in a transaction
that first locks the shard's row at the epoch of the lease: a relay that lost its shard changes nothing.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, TypeAlias

from tenaudit._kernel.bounds import INT32_SECONDS, check_seconds
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit.outbox import Backlog, Lease, LeaseLost, TakenEntry
from tenaudit.audit.outbox.entry import event_of_text
from tenaudit.backends.postgres.outbox import create_outbox
from tenaudit.backends.postgres.outbox_pool import OutboxPool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

__all__ = ["PostgresOutboxSource"]

_Connection: TypeAlias = Any  # asyncpg has no types
_SQL = load_statements("tenaudit.backends.postgres", "sql/outbox_queries.sql")
_COUNTED = 100_000
_MAX_REASON = 200


class PostgresOutboxSource:
    """Claims shards by a lease on their rows, with `FOR UPDATE SKIP LOCKED`; entries themselves are never updated.

    Args:
        target: `postgresql://user:password@host:port/database`, or a pool of asyncpg, which its maker closes.
        lease: seconds that a claim holds; the others wait so long for what a killed relay held.
        deadline: seconds that any call may take.

    Raises:
        ConfigurationError: *target* is a text that is no URL of PostgreSQL, or a number is out of range.

    Example:
        >>> import asyncio
        >>> source = PostgresOutboxSource("postgresql://relay:secret@db.example/orders")
        >>> asyncio.run(source.close())
    """

    def __init__(self, target: str | asyncpg.Pool, *, lease: float = 30.0, deadline: float = 5.0) -> None:
        check_seconds(most=INT32_SECONDS, lease=lease)
        self._pool = OutboxPool(target, deadline=deadline)
        self._lease = lease
        # For whoever looks at the table; the epoch alone decides.
        self._owner = f"{socket.gethostname()}/{os.getpid()}"

    @property
    def lease_seconds(self) -> float:
        """How long a claim holds without being renewed."""
        return self._lease

    async def create_tables(self) -> None:
        """Make the tables of the outbox unless they are there.

        Raises:
            OutboxError: `write_failed`.
            OutboxUnavailable: as `claim`.
        """
        await self._pool.run(create_outbox)

    async def claim(self) -> Lease | None:
        """Hold the shard with entries that was served longest ago and that nobody holds; None when there is none.

        Raises:
            OutboxUnavailable: PostgreSQL failed, or gave no answer within the deadline.
        """
        row = await self._pool.run(lambda one: one.fetchrow(_SQL["claim_shard"], self._lease, self._owner))
        return None if row is None else Lease(row["shard"], row["epoch"])

    async def read(self, lease: Lease, limit: int, max_bytes: int) -> Sequence[TakenEntry]:
        """Return the oldest entries in order, at least one if there is any; none when the lease is lost.

        Raises:
            OutboxUnavailable: as `claim`.
        """
        rows = await self._pool.run(
            lambda one: one.fetch(_SQL["read_entries"], lease.shard, lease.epoch, limit, max_bytes)
        )
        return [TakenEntry(row["id"], event_of_text(row["event"])) for row in rows]

    async def settle(self, lease: Lease, delivered: Sequence[int], dead: Mapping[int, str]) -> None:
        """Delete what the sink has, move *dead* aside with its reasons and renew the lease, in one transaction.

        Raises:
            LeaseLost: another relay has the shard; nothing was changed.
            OutboxUnavailable: as `claim`; nobody knows whether it was done.
        """

        async def work(one: _Connection) -> None:
            if await one.fetchval(_SQL["renew_lease"], lease.shard, lease.epoch, self._lease) is None:
                raise LeaseLost
            if delivered:
                await one.execute(_SQL["delete_entries"], lease.shard, list(delivered))
            if dead:
                reasons = [_storable(reason) for reason in dead.values()]
                await one.execute(_SQL["bury_entries"], lease.shard, list(dead), reasons)

        await self._pool.run(work)

    async def release(self, lease: Lease) -> None:
        """Let others have the shard at once; nothing happens when the lease is lost.

        Raises:
            OutboxUnavailable: as `claim`.
        """
        await self._pool.run(lambda one: one.execute(_SQL["release_lease"], lease.shard, lease.epoch))

    async def backlog(self) -> Backlog:
        """Count what waits, up to 100 000, and how long the oldest has.

        Raises:
            OutboxUnavailable: as `claim`.
        """
        row = await self._pool.run(lambda one: one.fetchrow(_SQL["see_backlog"], _COUNTED))
        return Backlog(row["entries"], row["oldest_age"])

    async def close(self) -> None:
        """Close the pool if it is this source's own; a second call does nothing."""
        await self._pool.close()


def _storable(reason: str) -> str:
    """Return a third party's word as text that PostgreSQL has: one that it refused would hold up the shard for ever."""
    return reason[:_MAX_REASON].replace("\x00", "").encode("utf-8", "replace").decode()
