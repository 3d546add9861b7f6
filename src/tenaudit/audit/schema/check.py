"""Holding a payload to its model; what is wrong is told by field and kind, never by value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from tenaudit.audit.payload import PayloadRefused

if TYPE_CHECKING:
    from tenaudit.audit.schema.declared import EventType

__all__ = ["InvalidPayload", "checked_payload"]

_FAULTS_TOLD = 5


class InvalidPayload(PayloadRefused):
    """The payload is not what its event type says.

    Attributes:
        paths: the fields that are wrong, such as `payload.items[0].amount`; a key that the model does not name is
            `*`, since it may be data.
    """

    def __init__(self, name: str, faults: list[tuple[str, str]]) -> None:
        self.paths = tuple(path for path, _ in faults)
        told = [f"{path}: {kind}" for path, kind in faults[:_FAULTS_TOLD]]
        more = [f"{len(faults) - _FAULTS_TOLD} more"] if len(faults) > _FAULTS_TOLD else []
        super().__init__("invalid_payload", f"{name}: {'; '.join(told + more)}")


def checked_payload(declared: EventType, payload: Mapping[str, Any] | BaseModel) -> dict[str, Any]:
    """Return *payload* as JSON values, as its model writes them.

    Raises:
        InvalidPayload: it is not what the model says; `reason` is `invalid_payload`.
    """
    try:
        # A model of its own takes a dict only, and other mappings are as good.
        given = dict(payload) if isinstance(payload, Mapping) else payload
        # Warnings as errors: an instance that was changed behind its model's back is no instance of it.
        written: object = declared.model.model_validate(given).model_dump(mode="json", by_alias=True, warnings="error")
    except ValidationError as error:
        known = declared.field_names()
        faults = [
            (_path(fault["loc"], known), fault["type"])
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise InvalidPayload(declared.name, faults) from None
    except Exception as error:  # noqa: BLE001 - validators and serializers are the application's, and raise what they like
        raise InvalidPayload(declared.name, [("payload", type(error).__name__)]) from None
    if not isinstance(written, dict):
        raise InvalidPayload(declared.name, [("payload", "not_an_object")])
    return written


def _path(place: tuple[int | str, ...], known: frozenset[str]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" if step in known else ".*" for step in place)
    return f"payload{''.join(steps)}"
