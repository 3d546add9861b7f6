"""The outbox in SQLite: events in the caller's own transaction, and its tables."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.sqlfile import load_statements
from tenaudit.audit import EmitResult
from tenaudit.audit.outbox import OutboxComposer, OutboxError
from tenaudit.audit.outbox.entry import entry_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit import RedactionPolicy
    from tenaudit.audit.schema import PayloadCheck
    from tenaudit.security import SecurityContext

__all__ = ["SqliteOutbox", "create_outbox"]

_SQL = load_statements("tenaudit.backends.sqlite", "outbox.sql")
_TABLES = ("create_outbox", "create_lease", "fill_lease", "create_dead")


def create_outbox(connection: sqlite3.Connection) -> None:
    """Make the tables of the outbox unless they are there; safe to run twice, and by several at once.

    They are `tenaudit_outbox`, `tenaudit_outbox_lease` and `tenaudit_outbox_dead`. Nothing is committed: the caller
    does that, or the connection by itself.

    Raises:
        OutboxError: `write_failed`.
    """
    try:
        for name in _TABLES:
            connection.execute(_SQL[name])
    except sqlite3.Error as error:
        raise _failure(error) from None


class SqliteOutbox:
    """Writes events into the outbox, in the transaction that the caller has open: both are committed, or neither.

    Args:
        service: name of the service, in every event.
        registry: where rejected events are counted.
        clock: time source of `occurred_at` and the ids.
        schemas: checks the payload of each success, as for an `AuditProducer`.
        redaction: what is taken out of an event before it is written.

    Raises:
        ConfigurationError: *service* is a name that no event can carry.

    Example:
        >>> from uuid import UUID
        >>> from tenaudit.security import Actor, SecurityContext, TraceContext
        >>> ctx = SecurityContext(UUID(int=1), Actor("u-1"), frozenset(), TraceContext("0" * 31 + "1", None, False))
        >>> connection = sqlite3.connect(":memory:")
        >>> with connection:
        ...     create_outbox(connection)
        >>> with connection:
        ...     _ = connection.execute("BEGIN")
        ...     SqliteOutbox("orders").emit_nowait(connection, "order.created", context=ctx).status
        'accepted'
    """

    def __init__(
        self,
        service: str,
        *,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        schemas: PayloadCheck | None = None,
        redaction: RedactionPolicy | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._composer = OutboxComposer(
            service, registry=registry, clock=self._clock, schemas=schemas, redaction=redaction
        )

    def emit_nowait(
        self,
        connection: sqlite3.Connection,
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
        """Write one event in the transaction of *connection*; the rest is as in `AuditProducer.emit`.

        A transaction that is repeated emits another event, unless the caller passes the same *event_id*, a UUIDv7.

        Raises:
            OutboxError: `no_transaction`: none is open, so the event would be committed alone or not at all.
                `outbox_missing`, `write_failed`: roll back, since SQLite leaves the transaction open. Nothing was
                written.
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
        entry = entry_of(event)
        row = {
            "event_id": str(entry.event_id),
            "tenant_id": str(entry.tenant_id),
            "event": entry.text,
            "now": self._clock.time_ns() / 1e9,
        }
        try:
            connection.execute(_SQL["insert_entry"], row)
        except sqlite3.Error as error:
            raise _failure(error) from None
        return EmitResult("accepted", None, event.event_id.int)


def _require_transaction(connection: sqlite3.Connection) -> None:
    try:
        is_open = connection.in_transaction
    except sqlite3.Error as error:  # a closed one
        raise _failure(error) from None
    if not is_open:
        raise OutboxError("no_transaction", "emit_nowait needs a connection with an open transaction: execute BEGIN")


def _failure(error: sqlite3.Error) -> OutboxError:
    if str(error).startswith("no such table"):
        return OutboxError("outbox_missing", "the file has no tables of the outbox; call create_outbox")
    return OutboxError("write_failed", f"SQLite did not take it: {error}")
