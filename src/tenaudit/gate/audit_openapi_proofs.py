"""How the answers and parameters of proofs stand in the OpenAPI document of the audit API."""

from __future__ import annotations

from typing import Any

from tenaudit.audit.integrity.checkpoint import MAX_TREE_SIZE

__all__ = ["CHECKPOINT", "CONSISTENCY", "PROOF", "SIZES"]

_HASH: dict[str, Any] = {"type": "string", "contentEncoding": "base64", "minLength": 44, "maxLength": 44}
_BODY: dict[str, Any] = {"type": "string", "description": "Origin, size and root, a line each (C2SP tlog-checkpoint)."}
_PATH: dict[str, Any] = {"type": "array", "items": _HASH}
_SIZE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MAX_TREE_SIZE}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _parameter(name: str, about: str, *, required: bool) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": about, "schema": _SIZE}


SIZES: dict[str, dict[str, Any]] = {
    "size": _parameter("size", "Size of the checkpoint that the proof is for; the newest without.", required=False),
    "first": _parameter("first", "Size of the earlier checkpoint.", required=True),
    "second": _parameter("second", "Size of the later checkpoint; the newest without.", required=False),
}
_DIGITS: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]+$"}
_OPENINGS: dict[str, Any] = {
    "type": "object",
    "description": "By JSON pointer (RFC 6901), what opens the hashes that the leaf commits to: the salt, of 16 bytes, "
    "or the hash itself where a value was erased.",
    "additionalProperties": {
        "type": "object",
        "properties": {"salt": _DIGITS, "hash": _DIGITS},
        "minProperties": 1,
        "maxProperties": 1,
    },
}
PROOF = _object(
    event_id={"type": "string", "format": "uuid"},
    index={"type": "integer", "minimum": 0},
    size=_SIZE,
    leaf_hash=_HASH,
    path=_PATH,
    checkpoint=_BODY,
    openings=_OPENINGS,
)
CHECKPOINT = _object(origin={"type": "string"}, size=_SIZE, root=_HASH, checkpoint=_BODY)
CONSISTENCY = _object(
    first=_SIZE, second=_SIZE, path=_PATH, checkpoints={"type": "array", "items": _BODY, "minItems": 2, "maxItems": 2}
)
