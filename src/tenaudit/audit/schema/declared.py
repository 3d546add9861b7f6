"""A declared kind of event: the model of its payload, under an action and a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, RootModel
from pydantic.json_schema import GenerateJsonSchema

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.event import ACTION_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core.core_schema import DataclassField, ModelField, TypedDictField

__all__ = ["DURABILITIES", "Durability", "EventType"]

Durability = Literal["buffered", "durable", "atomic"]

# From the weakest promise to the strongest.
DURABILITIES: tuple[Durability, ...] = get_args(Durability)
_MAX_ACTION = 128
# What `schema_version` of an event can carry.
_MAX_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class EventType:
    """What events of one action and version carry.

    Args:
        action: lower-case dotted name.
        version: 1 or more; the event's `schema_version`.
        model: the pydantic model of the payload.
        durability: the least that the call which emits it must promise.

    Raises:
        ConfigurationError: an action that is no dotted name, a version or durability that there is not, or a model
            whose JSON is no object.

    Example:
        >>> class Voided(BaseModel):
        ...     amount: int
        >>> EventType("payment.voided", 1, Voided, "atomic").name
        'payment.voided version 1'
    """

    action: str
    version: int
    model: type[BaseModel]
    durability: Durability

    def __post_init__(self) -> None:
        # As a caller without types may give them.
        action: object = self.action
        model: object = self.model
        if not (isinstance(action, str) and ACTION_PATTERN.match(action) and len(action) <= _MAX_ACTION):
            raise ConfigurationError(f"an action is a lower-case dotted name such as payment.voided, not {action!r}")
        if type(self.version) is not int or not 1 <= self.version <= _MAX_VERSION:
            raise ConfigurationError(f"version of {action} must be a whole number from 1, not {self.version!r}")
        if self.durability not in DURABILITIES:
            raise ConfigurationError(f"durability of {action} must be one of {', '.join(DURABILITIES)}")
        if not (isinstance(model, type) and issubclass(model, BaseModel) and not issubclass(model, RootModel)):
            raise ConfigurationError(f"the payload of {action} must be a pydantic model with fields")

    @property
    def name(self) -> str:
        """Action and version, for people."""
        return f"{self.action} version {self.version}"

    def json_schema(self, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of what a writer may give, or of what a reader finds.

        Raises:
            ConfigurationError: the model has a field that JSON Schema cannot describe.
        """
        try:
            return self.model.model_json_schema(mode=mode, schema_generator=_AsWritten)
        except Exception as error:
            raise ConfigurationError(f"{self.name}: {self.model.__name__} has no JSON Schema: {error}") from error

    def field_names(self) -> frozenset[str]:
        """Return every name that the schema gives to a field, at any depth; none when it has no JSON Schema."""
        try:
            return frozenset(_property_names(self.json_schema("validation")))
        except ConfigurationError:
            return frozenset(self.model.model_fields)


class _AsWritten(GenerateJsonSchema):
    """Says of a field with a default that events always carry it, since models write all their fields."""

    def field_is_required(self, field: ModelField | DataclassField | TypedDictField, total: bool) -> bool:  # noqa: FBT001 - pydantic's signature
        if self.mode == "serialization" and field["type"] != "typed-dict-field":
            return field.get("serialization_exclude_if") is None
        return super().field_is_required(field, total)


def _property_names(schema: Any) -> Iterator[str]:
    found: list[Any] = [schema]
    for value in found:  # it grows while it is walked
        if isinstance(value, dict):
            properties = value.get("properties")
            yield from properties if isinstance(properties, dict) else ()
            found.extend(value.values())
        elif isinstance(value, list):
            found.extend(value)
