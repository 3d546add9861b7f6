"""The producer of the running task: what `audited` functions emit to unless they are given one."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from tenaudit.audit.producer import AuditProducer

__all__ = ["BOUND_PRODUCER", "bind_producer"]

# For the gate, which sets and resets it on every request; everyone else uses `bind_producer`.
BOUND_PRODUCER: ContextVar[AuditProducer | None] = ContextVar("tenaudit_audit_producer", default=None)


class bind_producer:  # noqa: N801 - reads as a verb in a with statement
    """Binds the producer that `audited` functions emit to, for a block; what was bound before comes back.

    Raises:
        RuntimeError: one instance is entered while it is already open; it could not find its way back.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.audit import AuditProducer
        >>> from tenaudit.backends.memory import MemorySink
        >>> with bind_producer(AuditProducer(MemorySink(), service="orders", registry=CollectorRegistry())) as producer:
        ...     BOUND_PRODUCER.get() is producer
        True
    """

    __slots__ = ("_producer", "_token")

    def __init__(self, producer: AuditProducer) -> None:
        self._producer = producer
        self._token: Token[AuditProducer | None] | None = None

    def __enter__(self) -> AuditProducer:
        if self._token is not None:
            raise RuntimeError("this bind_producer is already open; make a new one to nest")
        self._token = BOUND_PRODUCER.set(self._producer)
        return self._producer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            BOUND_PRODUCER.reset(self._token)
            self._token = None
