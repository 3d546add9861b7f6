"""One call of an audited function, on its way from arguments to event."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.bound_producer import BOUND_PRODUCER
from tenaudit.audit.call_resource import fitting
from tenaudit.errors import ApiError
from tenaudit.security.context import context_or_none

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Mapping

    from tenaudit.audit.call_resource import CallReader, Resource
    from tenaudit.audit.producer import AuditProducer
    from tenaudit.security import SecurityContext

__all__ = ["AuditedCall", "CallRecorder"]

_log = logging.getLogger("tenaudit.audit")
_MAX_ERROR_BYTES = 128
_DENIED = frozenset({401, 403})
_NOT_OF_THE_PAYLOAD = frozenset({"no_context", "invalid_context", "durability_required"})


@dataclass(frozen=True, slots=True)
class CallRecorder:
    """What the events of one audited function are made of.

    Args:
        action, severity: of every event.
        signature: tells the arguments by name.
        resource: gives type and id of (arguments, result).
        payload: gives the payload of a success, of the same two; None for none.
        deadline: seconds for an event that is emitted durably.
        producer: where events go; the bound one when None.
    """

    action: str
    severity: str
    signature: inspect.Signature
    resource: Callable[..., Resource]
    payload: CallReader | None
    deadline: float
    producer: AuditProducer | None

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> AuditedCall:
        """Return the call that begins now: whoever asks now is who the event names, whatever is bound at its end.

        Raises:
            ConfigurationError: there is no producer, and the function must not run unseen.
        """
        producer = BOUND_PRODUCER.get() if self.producer is None else self.producer
        if producer is None:
            raise ConfigurationError(
                f"no producer for the audited action {self.action}: give audited(producer=...), or bind_producer(...)"
            )
        return AuditedCall(self, producer, context_or_none(), args, kwargs)


@dataclass(frozen=True, slots=True)
class AuditedCall:
    """A call that has begun; exactly one of its verbs is used, once."""

    recorder: CallRecorder
    producer: AuditProducer
    context: SecurityContext | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def succeeded(self, result: Any) -> None:
        """Record that it returned."""
        event = self._event(result, "success", None)
        emitted = self.producer.emit(self.recorder.action, **event)
        if emitted.status == "rejected" and event["payload"] is not None and emitted.reason not in _NOT_OF_THE_PAYLOAD:
            # What was done must not be missing because of what was to be told of it.
            self.producer.emit(self.recorder.action, **event | {"payload": {"payload_refused": emitted.reason}})

    async def succeeded_durably(self, result: Any) -> None:
        """Record that it returned, and return once the sink has the event.

        Raises:
            EmitRejected, DeliveryUnknown: see `AuditProducer.emit_durable`.
        """
        event = self._event(result, "success", None)
        await self.producer.emit_durable(self.recorder.action, deadline=self.recorder.deadline, **event)

    def failed(self, error: BaseException) -> None:
        """Record that it raised."""
        self.producer.emit(self.recorder.action, **self._failure(error))

    async def failed_durably(self, error: BaseException) -> None:
        """Record that it raised, and wait until the sink has the event; that this fails is only logged."""
        try:
            await self.producer.emit_durable(
                self.recorder.action, deadline=self.recorder.deadline, **self._failure(error)
            )
        except Exception as lost:  # noqa: BLE001 - the caller must see the exception of its own call
            self._complain("audited_not_durable", lost)

    def _failure(self, error: BaseException) -> dict[str, Any]:
        if isinstance(error, ApiError):
            outcome, code = "denied" if error.status in _DENIED else "failure", error.code
        else:
            outcome, code = "failure", type(error).__name__
        return self._event(None, outcome, {"error": fitting(code, _MAX_ERROR_BYTES)})

    def _event(self, result: Any, outcome: str, payload: Mapping[str, Any] | None) -> dict[str, Any]:
        arguments = self._arguments()
        try:
            kind, identity = self.recorder.resource(arguments, result)
        except Exception as error:  # noqa: BLE001 - it is the application's, and the call is done
            kind = identity = None
            self._complain("audited_resource_failed", error)
        if outcome == "success" and self.recorder.payload is not None:
            try:
                payload = self.recorder.payload(arguments, result)
            except Exception as error:  # noqa: BLE001 - as above
                payload = {"payload_refused": fitting(type(error).__name__, _MAX_ERROR_BYTES)}
                self._complain("audited_payload_failed", error)
        return {
            "resource_type": kind,
            "resource_id": identity,
            "payload": payload,
            "outcome": outcome,
            "severity": self.recorder.severity,
            "context": self.context,
        }

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments by name; none of a call that the function could not take."""
        try:
            bound = self.recorder.signature.bind(*self.args, **self.kwargs)
        except TypeError:
            return {}
        bound.apply_defaults()
        return bound.arguments

    def _complain(self, action: str, error: Exception) -> None:
        _log.warning(
            "the event of an audited call is not what it should be",
            extra={"action": action, "event": self.recorder.action, "error": type(error).__name__},
        )
