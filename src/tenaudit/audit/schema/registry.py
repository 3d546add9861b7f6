"""Which payload belongs to which action: event types by name and version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from pydantic import BaseModel

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.payload import PayloadRefused
from tenaudit.audit.schema.check import checked_payload
from tenaudit.audit.schema.declared import Durability, EventType
from tenaudit.audit.schema.promise import is_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["DEFAULT_REGISTRY", "PayloadCheck", "SchemaRegistry", "event_type"]

_Model = TypeVar("_Model", bound=type[BaseModel])
_CALLS = {"buffered": "emit", "durable": "emit_durable", "atomic": "an outbox"}


class PayloadCheck(Protocol):
    """What a producer or an outbox asks before it takes an event; `SchemaRegistry.check` is one."""

    def __call__(
        self, action: str, payload: Mapping[str, Any] | BaseModel | None, /, *, promise: Durability
    ) -> tuple[Mapping[str, Any], int]:
        """Return the payload as JSON values and its schema version.

        Raises `PayloadRefused` when it is not right, or when *promise*, which is what the call that emits it promises,
        is less than the action needs.
        """
        ...


class SchemaRegistry:
    """Event types by action and version.

    Args:
        unknown: what becomes of an action that has no type: `"accept"` leaves its payload as it is, `"refuse"` does
            not let it through.

    Raises:
        ConfigurationError: *unknown* is neither.

    Example:
        >>> registry = SchemaRegistry()
        >>> @registry.event_type("payment.voided", version=2)
        ... class PaymentVoided(BaseModel):
        ...     amount: int
        ...     currency: str = "EUR"
        >>> registry.check("payment.voided", {"amount": 1999})
        ({'amount': 1999, 'currency': 'EUR'}, 2)
    """

    def __init__(self, *, unknown: Literal["accept", "refuse"] = "accept") -> None:
        if unknown not in ("accept", "refuse"):
            raise ConfigurationError(f'unknown must be "accept" or "refuse", not {unknown!r}')
        self._unknown = unknown
        self._types: dict[str, dict[int, EventType]] = {}

    def __iter__(self) -> Iterator[EventType]:
        """Yield every type, by action and version."""
        for _, versions in sorted(self._types.items()):
            for _, declared in sorted(versions.items()):
                yield declared

    def event_type(
        self, action: str, *, version: int = 1, durability: Durability = "buffered"
    ) -> Callable[[_Model], _Model]:
        """Register the decorated pydantic model as the payload of *action*.

        Raises:
            ConfigurationError: the action has this version already, or see `EventType`.
        """

        def register(model: _Model) -> _Model:
            declared = EventType(action, version, model, durability)
            kept = self._types.setdefault(action, {}).setdefault(version, declared)
            if kept is not declared:
                raise ConfigurationError(f"{declared.name} is registered already, by {kept.model.__name__}")
            return model

        return register

    def find(self, action: str, version: int | None = None) -> EventType | None:
        """Return the type of *action* in a version, the newest by default; None when there is none."""
        versions = self._types.get(action) or {}
        return versions.get(max(versions, default=0) if version is None else version)

    def check(
        self,
        action: str,
        payload: Mapping[str, Any] | BaseModel | None,
        version: int | None = None,
        *,
        promise: Durability | None = None,
    ) -> tuple[Mapping[str, Any], int]:
        """Return the payload as JSON values and the version that it is of.

        A model's instance is of the version it was registered under, everything else of the newest, unless *version*
        says so. *promise* is what the call that emits it promises; None asks about the payload alone.

        Raises:
            PayloadRefused: `invalid_payload`, `unknown_event_type`, `unknown_schema_version`, or `durability_required`
                when more was declared than is promised. The message names fields, never values.
        """
        payload = {} if payload is None else payload
        versions = self._types.get(action)
        if not versions:
            if self._unknown == "refuse" or isinstance(payload, BaseModel):
                raise PayloadRefused("unknown_event_type", "no event type is registered for this action")
            return payload, 1
        if version is None:
            version = next(
                (v for v in sorted(versions, reverse=True) if versions[v].model is type(payload)), max(versions)
            )
        declared = versions.get(version)
        if declared is None:
            raise PayloadRefused("unknown_schema_version", f"{action} has no version {version}")
        if promise is not None and not is_kept(declared.durability, promise):
            raise PayloadRefused(
                "durability_required",
                f"{declared.name} is declared {declared.durability}: emit it by {_CALLS[declared.durability]}",
            )
        return checked_payload(declared, payload), version

    def export(self) -> dict[str, Any]:
        """Return the JSON Schema of every type: `read` is what events carry, `write` what a call of emit may give.

        Raises:
            ConfigurationError: a model has a field that JSON Schema cannot describe.
        """
        events: dict[str, dict[str, Any]] = {}
        for declared in self:
            events.setdefault(declared.action, {})[str(declared.version)] = {
                "durability": declared.durability,
                "read": declared.json_schema("serialization"),
                "write": declared.json_schema("validation"),
            }
        return {"events": events}


DEFAULT_REGISTRY = SchemaRegistry()


def event_type(
    action: str, *, version: int = 1, durability: Durability = "buffered", registry: SchemaRegistry | None = None
) -> Callable[[_Model], _Model]:
    """Register the decorated pydantic model as the payload of *action*, in the default registry unless one is given.

    Raises:
        ConfigurationError: see `SchemaRegistry.event_type`.
    """
    return (DEFAULT_REGISTRY if registry is None else registry).event_type(
        action, version=version, durability=durability
    )
