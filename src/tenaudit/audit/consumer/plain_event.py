"""An event that is written as almost all are, read with the checks in Python done once and not called by the validator.

Rules of this file: pure; whatever it returns, `AuditEvent.model_validate_json` returns too. What it does not take may
still be an event, and the model says what is wrong when it is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic_core import SchemaValidator
from pydantic_core import core_schema as core

from tenaudit.audit.event import ACTION_PATTERN, NO_NUL, SEVERITIES, AuditEvent, unchecked_event
from tenaudit.audit.payload import json_copy

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

__all__ = ["plain_event"]

_ESCAPED_NUL = b"\\u0000"
# In Rust's expressions that is what `$` means.
_END = r"\Z"
# Where a UUID has its version and its variant, and what they are in version 7 (RFC 9562, sections 4 and 5.7).
_KIND = 0xF << 76 | 0x3 << 62
_VERSION_7 = 0x7 << 76 | 0x2 << 62


def _fields() -> CoreSchema:
    """Return the model's own fields, with its checks in Python said in the schema's words."""
    model = cast("dict[str, Any]", AuditEvent.__pydantic_core_schema__)
    checked: dict[str, CoreSchema] = {
        "event_id": core.uuid_schema(),
        "occurred_at": core.datetime_schema(tz_constraint=0),
        "action": core.str_schema(max_length=128, pattern=f"^(?:{ACTION_PATTERN.pattern.removesuffix(_END)})$"),
        "severity": core.with_default_schema(core.literal_schema([*SEVERITIES]), default="info"),
        # What is in it is looked at by the model's own check, below.
        "payload": core.with_default_schema(core.dict_schema(core.str_schema(strict=True)), default_factory=dict),
    }
    fields = {
        name: field | {"schema": checked.get(name) or _without(NO_NUL, field["schema"])}
        for name, field in model["schema"]["fields"].items()
    }
    return core.model_fields_schema(fields)


def _without(pattern: str, schema: Any) -> Any:
    """Return a schema that does not look for U+0000, which is done once for all fields."""
    if isinstance(schema, dict):
        return {key: _without(pattern, value) for key, value in schema.items() if (key, value) != ("pattern", pattern)}
    return [_without(pattern, one) for one in schema] if isinstance(schema, list) else schema


_validator = SchemaValidator(_fields(), core.CoreConfig(extra_fields_behavior="forbid"))


def plain_event(value: bytes) -> AuditEvent | None:
    r"""Return the event in *value*; None where that takes a closer look.

    Example:
        >>> plain_event(b'{"event_id": "0190a5b2-7c00-7000-8000-000000000001",'
        ...     b'"tenant_id": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", "occurred_at": "2024-07-12T00:00:00Z",'
        ...     b'"action": "payment.voided", "service": "payment"}').action
        'payment.voided'
    """
    if b"\\" in value and _ESCAPED_NUL in value:
        return None
    try:
        fields, _, given = _validator.validate_json(value)
        fields["payload"] = json_copy(fields["payload"])
    # A payload that is refused is a ValueError, and so is what the validator says.
    except ValueError:
        return None
    if fields["event_id"].int & _KIND != _VERSION_7:
        return None
    return unchecked_event(fields, given)
