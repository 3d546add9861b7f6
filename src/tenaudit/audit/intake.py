"""From the arguments of `emit` to a checked draft: every limit, and nothing that waits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.ids import Uuid7Source
from tenaudit.audit.closing import CLOSED
from tenaudit.audit.draft import Draft
from tenaudit.audit.event import ACTION_PATTERN, SEVERITIES, normal_severity
from tenaudit.audit.payload import PayloadRefused, check_text, snapshot
from tenaudit.audit.schema.promise import promised
from tenaudit.security import SecurityContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenaudit._kernel.clock import Clock
    from tenaudit.audit.schema import PayloadCheck

__all__ = ["Intake", "is_context"]

_OUTCOMES = frozenset({"success", "denied", "failure"})
_SEVERITIES = frozenset(SEVERITIES)
_MAX_ACTION = 128
_MAX_ACTIONS = 4096
_MAX_RESOURCE_TYPE = 128
_MAX_RESOURCE_ID = 1024
_new_draft = tuple.__new__


class Intake:
    """Checks, copies, stamps and numbers one event after another.

    Args:
        clock: time source of `occurred_at` and of the ids.
        schemas: what the payload of a success is held to. Denials and failures say what went wrong instead.
    """

    __slots__ = ("_actions", "_ids", "_lock", "_schemas", "_time_ns", "seq")

    def __init__(self, clock: Clock, schemas: PayloadCheck | None = None) -> None:
        self._schemas = schemas
        self._time_ns = clock.time_ns
        self._ids = Uuid7Source()
        self._actions: set[str] = set()
        self.reset()

    def reset(self) -> None:
        """Start counting anew, with a fresh lock and fresh ids, as a forked child must."""
        self._lock = threading.Lock()
        self._ids.reset()
        self.seq = 0

    def begin(self) -> int:
        """Return the present Unix millisecond, or 0 when no id can tell it; ids that come later are not before it."""
        now_ms = self._time_ns() // 1_000_000
        try:
            with self._lock:
                self._ids.advance(now_ms)
        except ValueError:
            return 0
        return now_ms

    def number_after_all(self) -> tuple[int, int, int]:
        """Return id, time in microseconds and number of a record that comes after all drafts, and is none itself.

        Raises:
            ValueError: the clock tells a time that no id can.
        """
        now_ns = self._time_ns()
        with self._lock:
            return self._ids.advance(now_ns // 1_000_000), now_ns // 1_000, self.seq

    def draft(
        self,
        action: str,
        resource_type: str | None,
        resource_id: str | None,
        payload: Mapping[str, Any] | None,
        outcome: str,
        severity: str,
        context: SecurityContext,
    ) -> Draft:
        """Return the draft of a valid event.

        Raises:
            PayloadRefused: a limit is broken; its `reason` is a stable code.
        """
        if action not in self._actions:
            action = self._learn(action)
        if severity not in _SEVERITIES:
            severity = _normal(severity)
        if outcome not in _OUTCOMES:
            raise PayloadRefused("invalid_outcome", "outcome must be success, denied or failure")
        version = 1
        if self._schemas is not None and outcome == "success":
            payload, version = self._schemas(action, payload, promise=promised())
        copied, size = snapshot(payload) if payload else ({}, 2)
        if resource_id is not None or resource_type is not None:
            size += _resource_size(
                "" if resource_type is None else resource_type, "" if resource_id is None else resource_id
            )
        now_ns = self._time_ns()
        with self._lock:
            event_id = self._ids.advance(now_ns // 1_000_000)
            seq = self.seq
            self.seq = seq + 1
        # tuple.__new__ skips the keyword handling of the NamedTuple: a tenth of what emit may cost.
        return _new_draft(
            Draft,
            (
                event_id,
                now_ns // 1_000,
                seq,
                action,
                outcome,
                severity,
                resource_type,
                resource_id,
                copied,
                context,
                size,
                version,
            ),
        )

    def _learn(self, action: str) -> str:
        """Check an action's form once, and return it as plain text; the names that a service uses are few."""
        if not isinstance(action, str):
            raise PayloadRefused("invalid_action", "an action is text")
        plain = str.__str__(action)
        if len(plain) > _MAX_ACTION or ACTION_PATTERN.match(plain) is None:
            raise PayloadRefused("invalid_action", "an action is a lower-case dotted name such as payment.voided")
        if plain == CLOSED:
            raise PayloadRefused("invalid_action", f"{CLOSED} is the record that a producer sends by itself at its end")
        if len(self._actions) < _MAX_ACTIONS:
            self._actions.add(plain)
        return plain


def is_context(value: object) -> bool:
    """Tell whether a caller without types passed a context at all."""
    return isinstance(value, SecurityContext)


def _normal(severity: str) -> str:
    try:
        return normal_severity(severity)
    except (ValueError, AttributeError):
        raise PayloadRefused("invalid_severity", "severity must be info, warn, error or security") from None


def _resource_size(resource_type: str, resource_id: str) -> int:
    try:
        text = resource_type + resource_id
        # Nearly all are short and plain; the rest is looked at twice.
        if text.isascii() and "\x00" not in text and len(text) <= _MAX_RESOURCE_TYPE:
            return len(text)
        size = check_text(text)
    except (TypeError, AttributeError):
        raise PayloadRefused(
            "invalid_resource", "type and id of a resource are text: str() a UUID or integer"
        ) from None
    if size > _MAX_RESOURCE_ID or len(resource_type) > _MAX_RESOURCE_TYPE:
        raise PayloadRefused("resource_too_long", f"type and id of a resource are at most {_MAX_RESOURCE_ID} bytes")
    return size
