"""What importers take out of a record: texts within bounds, a dotted action, and the event of it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tenaudit.audit.event import ACTION_PATTERN, AuditEvent
from tenaudit.audit.importers.importer import Refused
from tenaudit.audit.importers.names import snake_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "dotted_action",
    "event_of",
    "first_text",
    "object_of",
    "refused_by_model",
    "required_text",
    "text_of",
]

_MAX_TEXT = 256
_MAX_ACTION = 128


def object_of(record: Any) -> dict[str, Any]:
    """Return a record that is a JSON object.

    Raises:
        Refused: `not_an_object`.
    """
    if not isinstance(record, dict):
        raise Refused("not_an_object", "a record is a JSON object")
    return record


def text_of(value: object, longest: int) -> str | None:
    """Return a text of 1 to *longest* characters, None for everything else.

    >>> text_of("alice", 8), text_of("", 8), text_of(7, 8)
    ('alice', None, None)
    """
    return value if isinstance(value, str) and 0 < len(value) <= longest else None


def first_text(record: Mapping[str, Any], fields: Iterable[str], longest: int) -> str | None:
    """Return the first of the fields that is a text of 1 to *longest* characters."""
    return next((text for field in fields if (text := text_of(record.get(field), longest)) is not None), None)


def required_text(record: Mapping[str, Any], field: str, longest: int = _MAX_TEXT) -> str:
    """Return a field that must be there.

    Raises:
        Refused: `missing_field`.
    """
    text = text_of(record.get(field), longest)
    if text is None:
        raise Refused("missing_field", f"{field} is no text of 1 to {longest} characters")
    return text


def dotted_action(parts: Iterable[str]) -> str:
    """Return the action that the parts name, each in snake case.

    >>> dotted_action(["pods", "deletecollection"])
    'pods.deletecollection'

    Raises:
        Refused: `invalid_action`.
    """
    action = ".".join(word for part in parts if (word := snake_case(part)))
    if len(action) > _MAX_ACTION or ACTION_PATTERN.match(action) is None:
        raise Refused("invalid_action", f"the record gives no dotted name of at most {_MAX_ACTION} characters")
    return action


def event_of(**fields: Any) -> AuditEvent:
    """Return the event of these fields.

    Raises:
        Refused: `invalid_event`, with the first field that is wrong.
    """
    try:
        return AuditEvent(**fields)
    except ValidationError as error:
        raise refused_by_model(error) from None


def refused_by_model(error: ValidationError) -> Refused:
    """Return the refusal that names the first field a model does not take, without its value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return Refused("invalid_event", f"{first['loc'][0]}: {first['msg']}")
