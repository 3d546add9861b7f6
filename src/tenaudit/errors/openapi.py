"""Declared error codes as OpenAPI 3.1 says them: one schema a code in each media type, one response a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenaudit.errors.reply import ENVELOPE_TYPE, PROBLEM_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit.errors.declared import DeclaredError

__all__ = ["CODES", "components_of", "responses_of"]

# The extension of a response that names its codes, for programs that would have to follow every reference.
CODES = "x-tenaudit-codes"

_TEXT = {"type": "string"}
_ENVELOPE = {
    "code": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$", "description": "Stable name of the error."},
    "message": {**_TEXT, "description": "One sentence for people; it may change."},
    "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "Quote it to support."},
    "missing_role": {**_TEXT, "description": "What a denied caller lacks."},
    "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    "retry_after": {"type": "integer", "minimum": 0, "description": "Seconds to wait."},
}
_PROBLEM = {
    "type": {"type": "string", "format": "uri-reference"},
    "title": _TEXT,
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": _TEXT,
    "instance": {"type": "string", "format": "uri-reference"},
}
_REQUIRED = ["code", "message", "trace_id"]
_SCHEMAS: dict[str, Any] = {
    "FieldError": {
        "type": "object",
        "properties": {"field": _TEXT, "message": _TEXT},
        "required": ["field", "message"],
    },
    "ErrorEnvelope": {"type": "object", "properties": _ENVELOPE, "required": _REQUIRED},
    "ProblemDetails": {
        "type": "object",
        "description": "RFC 9457 problem details with the members of the envelope.",
        "properties": {**_PROBLEM, **_ENVELOPE},
        "required": [*_PROBLEM, *_REQUIRED],
    },
}
_HEADERS = {
    "X-Error-Code": {"description": "The `code` of the body.", "schema": _TEXT},
    "X-Trace-ID": {"description": "The `trace_id` of the body.", "schema": _TEXT},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
    "WWW-Authenticate": {"description": "How to authenticate (RFC 9110 section 11.6.1).", "schema": _TEXT},
    "Allow": {"description": "The methods of the resource (RFC 9110 section 10.2.1).", "schema": _TEXT},
}
_OF_EACH = ("X-Error-Code", "X-Trace-ID")
_OF_STATUS = {"401": "WWW-Authenticate", "405": "Allow", "429": "Retry-After", "503": "Retry-After"}
_MEDIA = {ENVELOPE_TYPE: ("Error", "ErrorEnvelope"), PROBLEM_TYPE: ("Problem", "ProblemDetails")}


def responses_of(declared: Iterable[DeclaredError]) -> dict[int | str, dict[str, Any]]:
    """Return one response for each status of *declared*, its codes told apart by `oneOf`."""
    by_status: dict[str, list[DeclaredError]] = {}
    for item in declared:
        by_status.setdefault(str(item.status), []).append(item)
    return {status: _response(status, items) for status, items in sorted(by_status.items())}


def components_of(declared: Iterable[DeclaredError]) -> dict[str, dict[str, Any]]:
    """Return the components that the responses of *declared* refer to."""
    schemas = dict(_SCHEMAS)
    for item in declared:
        for prefix, base in _MEDIA.values():
            schemas[f"{prefix}_{item.code}"] = {
                "description": item.description,
                "allOf": [_schema(base), {"type": "object", "properties": {"code": {"enum": [item.code]}}}],
            }
    return {"schemas": schemas, "headers": dict(_HEADERS)}


def _response(status: str, items: list[DeclaredError]) -> dict[str, Any]:
    headers = [*_OF_EACH, *([_OF_STATUS[status]] if status in _OF_STATUS else [])]
    return {
        "description": " ".join(f"`{item.code}`: {item.description}" for item in items),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {media: {"schema": _one_of(prefix, items)} for media, (prefix, _) in _MEDIA.items()},
        CODES: [item.code for item in items],
    }


def _one_of(prefix: str, items: list[DeclaredError]) -> dict[str, Any]:
    refs = {item.code: _schema(f"{prefix}_{item.code}")["$ref"] for item in items}
    return {
        "oneOf": [{"$ref": ref} for ref in refs.values()],
        "discriminator": {"propertyName": "code", "mapping": refs},
    }


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
