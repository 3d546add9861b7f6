"""The outbox in PostgreSQL: events in the caller's own transaction, its tables, and the sink that fills it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tenaudit._kernel.bounds import INT32_SECONDS, check_seconds
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import EmitResult, SinkUnavailable
from tenaudit.audit.outbox import OutboxComposer, OutboxError, OutboxUnavailable
from tenaudit.audit.outbox.entry import entries_of, entry_of
from tenaudit.backends.postgres.outbox_pool import DRIVER_ERRORS, NO_TABLE, OutboxPool, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    import asyncpg
    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import AuditEvent, RedactionPolicy
    from tenaudit.audit.schema import PayloadCheck
    from tenaudit.security import SecurityContext

__all__ = ["PostgresOutbox", "PostgresOutboxSink", "create_outbox"]

_Connection: TypeAlias = Any  # asyncpg has no types
_ADVISORY_LOCK = 0x7E4A0D19
_SQL = load_statements("tenaudit.backends.postgres", "sql/outbox_queries.sql")
_SCHEMA = load_statements("tenaudit.backends.postgres", "sql/outbox_schema.sql")


async def create_outbox(connection: _Connection) -> None:
    """Make the tables of the outbox unless they are there; safe to run twice, and by several at once.

    They are `tenaudit_outbox`, `tenaudit_outbox_shards` and `tenaudit_outbox_dead`, in the first schema of the
    connection's search path. Whoever emits needs INSERT on the first; the relay needs SELECT, INSERT, UPDATE and
    DELETE on all.

    Raises:
        OutboxError: `write_failed`, with PostgreSQL's SQLSTATE.
    """
    try:
        async with connection.transaction():
            await connection.execute(_SQL["lock_schema"], _ADVISORY_LOCK)
            for statement in _SCHEMA.values():
                await connection.execute(statement)
    except DRIVER_ERRORS as error:
        raise _failure(error) from None


class PostgresOutbox:
    """Writes events into the outbox, in the transaction that the caller has open: both are committed, or neither.

    Args:
        service: name of the service, in every event.
        deadline: seconds that the insert may take.
        registry: where rejected events are counted.
        clock: time source of `occurred_at` and the ids.
        schemas: checks the payload of each success, as for an `AuditProducer`.
        redaction: what is taken out of an event before it is written.

    Raises:
        ConfigurationError: *service* is a name that no event can carry, or *deadline* is not above 0.

    Example:
        >>> outbox = PostgresOutbox(service="orders")
        >>> async def place_order(connection, order):
        ...     async with connection.transaction():
        ...         await connection.execute("INSERT INTO orders (id) VALUES ($1)", order)
        ...         await outbox.emit(connection, "order.created", resource_type="order", resource_id=order)
    """

    def __init__(
        self,
        service: str,
        *,
        deadline: float = 5.0,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        schemas: PayloadCheck | None = None,
        redaction: RedactionPolicy | None = None,
    ) -> None:
        check_seconds(most=INT32_SECONDS, deadline=deadline)
        self._composer = OutboxComposer(service, registry=registry, clock=clock, schemas=schemas, redaction=redaction)
        self._deadline = deadline

    async def emit(
        self,
        connection: _Connection,
        action: str,
        *,
        resource_type: str | None = None,
        resource_id: str | None = None,
        payload: Mapping[str, Any] | None = None,
        outcome: str = "success",
        severity: str = "info",
        context: SecurityContext | None = None,
        event_id: UUID | None = None,
    ) -> EmitResult:
        """Write one event in the transaction of *connection*, asyncpg's; the rest is as in `AuditProducer.emit`.

        A transaction that is repeated emits another event, unless the caller passes the same *event_id*, a UUIDv7.

        Raises:
            OutboxError: `no_transaction`: none is open, so the event would be committed alone; nothing was written.
                `outbox_missing`, `deadline_exceeded`, `write_failed`: the transaction has failed.
            EmitRejected: the event breaks a limit; nothing was written.
        """
        _require_transaction(connection)
        event = self._composer.compose(
            action,
            resource_type=resource_type,
            resource_id=resource_id,
            payload=payload,
            outcome=outcome,
            severity=severity,
            context=context,
            event_id=event_id,
        )
        try:
            await connection.execute(_SQL["insert_entry"], *entry_of(event), timeout=self._deadline)
        except DRIVER_ERRORS as error:
            raise _failure(error) from None
        return EmitResult("accepted", None, event.event_id.int)


class PostgresOutboxSink:
    """A sink whose batches wait in the outbox, each written in one transaction of its own.

    For a producer whose far sink, such as a broker, should be reached by the relay alone.

    Args:
        target: `postgresql://user:password@host:port/database`, or a pool of asyncpg, which its maker closes.
        deadline: seconds that a write may take.

    Raises:
        ConfigurationError: *target* is a text that is no URL of PostgreSQL, or *deadline* is out of range.

    Example:
        >>> import asyncio
        >>> sink = PostgresOutboxSink("postgresql://orders:secret@db.example/orders")
        >>> asyncio.run(sink.close())
    """

    def __init__(self, target: str | asyncpg.Pool, *, deadline: float = 5.0) -> None:
        self._pool = OutboxPool(target, deadline=deadline)

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Insert the batch and return once it is committed.

        Raises:
            SinkUnavailable: PostgreSQL cannot take it now, or nobody knows whether it did.
            SinkRejected: events that are no JSON; nothing was written.
        """
        entries = entries_of(batch)
        if not entries:
            return
        columns = [list(column) for column in zip(*entries, strict=True)]
        try:
            await self._pool.run(lambda connection: connection.execute(_SQL["insert_entries"], *columns))
        except OutboxUnavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def close(self) -> None:
        """Close the pool if it is this sink's own; a second call does nothing."""
        await self._pool.close()


def _require_transaction(connection: _Connection) -> None:
    try:
        is_open = connection.is_in_transaction()
    except DRIVER_ERRORS as error:  # one that its pool has taken back
        raise _failure(error) from None
    if not is_open:
        raise OutboxError("no_transaction", "outbox.emit needs a connection with an open transaction")


def _failure(error: BaseException) -> OutboxError:
    state = getattr(error, "sqlstate", None)
    if isinstance(error, TimeoutError):
        return OutboxError("deadline_exceeded", "PostgreSQL did not take the event in time; the transaction is lost")
    if state == NO_TABLE:
        return OutboxError("outbox_missing", "PostgreSQL has no tables of the outbox; call create_outbox", state)
    return OutboxError("write_failed", f"PostgreSQL did not take the event: {kind_of(error)}", state)
