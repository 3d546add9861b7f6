"""The transactional outbox: an event is committed with the change that it tells of, and relayed afterwards."""

from tenaudit.audit.outbox.composer import OutboxComposer
from tenaudit.audit.outbox.entry import OutboxEntry
from tenaudit.audit.outbox.ports import (
    Backlog,
    Lease,
    LeaseLost,
    OutboxError,
    OutboxSource,
    OutboxUnavailable,
    TakenEntry,
)
from tenaudit.audit.outbox.relay import OutboxRelay

__all__ = [
    "Backlog",
    "Lease",
    "LeaseLost",
    "OutboxComposer",
    "OutboxEntry",
    "OutboxError",
    "OutboxRelay",
    "OutboxSource",
    "OutboxUnavailable",
    "TakenEntry",
]
