"""From the arguments of an outbox's `emit` to a whole event: the limits are those of `AuditProducer.emit`.

An event of the outbox has no `producer_id` and no `seq`: a transaction that rolls back would leave a gap, and a gap
is how a loss shows.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.fork import restart_in_child
from tenaudit._kernel.ids import unix_ms_of
from tenaudit.audit.draft import event_of
from tenaudit.audit.intake import Intake, is_context
from tenaudit.audit.outcomes import EmitRejected
from tenaudit.audit.payload import PayloadRefused
from tenaudit.audit.redaction_policy import check_redaction
from tenaudit.audit.schema.promise import promising
from tenaudit.errors.instruments import counter
from tenaudit.security.context import context_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.draft import Draft
    from tenaudit.audit.event import AuditEvent
    from tenaudit.audit.redaction_policy import RedactionPolicy
    from tenaudit.audit.schema import PayloadCheck
    from tenaudit.security import SecurityContext

__all__ = ["OutboxComposer"]

_MAX_SERVICE = 128
_DAY_MS = timedelta(days=1) // timedelta(milliseconds=1)


class OutboxComposer:
    """Makes events whose id and time are fixed at the call.

    Args:
        service: name of the service, in every event.
        registry: where rejected events are counted.
        clock: time source of `occurred_at` and the ids.
        schemas: checks the payload of each success, as for an `AuditProducer`.
        redaction: what is taken out of an event before it is written.

    Raises:
        ConfigurationError: *service* is a name that no event can carry, or *redaction* is no policy.

    Example:
        >>> from tenaudit.security import Actor, SecurityContext, TraceContext
        >>> ctx = SecurityContext(UUID(int=1), Actor("u-1"), frozenset(), TraceContext("0" * 31 + "1", None, False))
        >>> event = OutboxComposer("orders").compose("order.created", payload={"total": 5}, context=ctx)
        >>> event.action, event.actor_id, event.seq
        ('order.created', 'u-1', None)
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
        if not 0 < len(service) <= _MAX_SERVICE or "\x00" in service:
            raise ConfigurationError(f"service must name the service, in at most {_MAX_SERVICE} characters")
        check_redaction(redaction)
        self.service = service
        self._clock = clock or SystemClock()
        self._intake = Intake(self._clock, schemas)
        self._redaction = redaction
        self._rejected = counter(
            registry, "audit_events_rejected_total", "Events that break a limit, by code.", ("reason",)
        )
        restart_in_child(self)

    def after_fork(self) -> None:
        """Share no sequence of ids with the parent; called in a forked child."""
        self._intake.reset()

    def compose(
        self,
        action: str,
        *,
        resource_type: str | None = None,
        resource_id: str | None = None,
        payload: Mapping[str, Any] | None = None,
        outcome: str = "success",
        severity: str = "info",
        context: SecurityContext | None = None,
        event_id: UUID | None = None,
    ) -> AuditEvent:
        """Return the event.

        Args:
            action: lower-case dotted name.
            resource_type: kind of what was acted on.
            resource_id: which one it was.
            payload: JSON values; copied before this returns.
            outcome: `success`, `denied` or `failure`.
            severity: `info`, `warn`, `error` or `security`.
            context: the tenant, actor and trace; those of the bound context when absent.
            event_id: a UUIDv7 that stays the same when the caller repeats itself. `occurred_at` is then the id's
                own millisecond, so that the same arguments make the same event.

        Raises:
            EmitRejected: the event breaks a limit; it was counted.
        """
        try:
            whose = _context(context)
            with promising("atomic"):
                draft = self._intake.draft(action, resource_type, resource_id, payload, outcome, severity, whose)
            if event_id is not None:
                draft = _with_id(draft, event_id, self._clock.time_ns() // 1_000_000)
        except PayloadRefused as refusal:
            raise self._refusal(refusal.reason, str(refusal)) from None
        except Exception:  # noqa: BLE001 - an argument may be any object and raise anything
            raise self._refusal("invalid_event", "the event holds an object that cannot be read") from None
        try:
            event = event_of(draft, self.service, "")
        except Exception:  # noqa: BLE001 - a context may be a subclass, whose fields raise anything
            raise self._refusal("invalid_context", "the context cannot stand in an event") from None
        event = event.model_copy(update={"producer_id": None, "seq": None})
        return event if self._redaction is None else self._redaction.written(event)

    def _refusal(self, reason: str, message: str) -> EmitRejected:
        self._rejected.labels(reason).inc()
        return EmitRejected(reason, f"the event was rejected: {reason}: {message}")


def _context(given: SecurityContext | None) -> SecurityContext:
    context = context_or_none() if given is None else given
    if context is None:
        raise PayloadRefused("no_context", "no security context is bound, and none was given")
    if not is_context(context):
        raise PayloadRefused("invalid_context", "context must be a SecurityContext")
    return context


def _with_id(draft: Draft, event_id: object, now_ms: int) -> Draft:
    if not isinstance(event_id, UUID) or event_id.version != 7:
        raise PayloadRefused("invalid_event_id", "event_id must be a UUIDv7 (RFC 9562 section 5.7)")
    unix_ms = unix_ms_of(event_id)
    if unix_ms > now_ms + _DAY_MS:
        raise PayloadRefused("invalid_event_id", "event_id carries a time over a day ahead")
    return draft._replace(event_id=event_id.int, occurred_us=unix_ms * 1_000)
