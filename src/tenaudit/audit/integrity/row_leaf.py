"""The leaf hash of a stored row, from its columns as they are: what verification spends most of its time on.

The canonical text of an event holds its payload and its redactions as they are stored, so that a row has the text of
its leaf exactly if it is the row that was written, and nothing has to be read and written anew. That needs the
redactions to be one whole JSON value: else text could move from one column into another and the whole be the same. What
then stands between the names before and behind the payload is the payload, since quotes in every other text are
escaped, and the end of it is the end of the one JSON object that was written.

Rules of this file: pure; whatever a row holds, nothing is raised.
"""

from __future__ import annotations

from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from tenaudit.audit.integrity.canonical import canonical_json
from tenaudit.audit.integrity.commitments import (
    ACTOR,
    SALT_BYTES,
    commitment,
    committed_leaf,
    erased_places,
    openings_of,
)
from tenaudit.audit.integrity.merkle import leaf_hash
from tenaudit.audit.integrity.stored import content_hash, parsed_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenaudit.audit.integrity.commitments import Openings

__all__ = ["BROKEN", "ROW_COLUMNS", "proven_leaf", "row_erased", "row_leaf"]

BROKEN = b""
"""The hash of a row that no event ever had; it equals no other."""

ROW_COLUMNS = (
    "action",
    "actor_id",
    "actor_type",
    "event_id",
    "occurred_at",
    "outcome",
    "payload",
    "producer_id",
    "redactions",
    "resource_id",
    "resource_type",
    "schema_version",
    "seq",
    "service",
    "severity",
    "tenant_id",
    "trace_id",
)
"""The columns of a row in the order of its canonical text (RFC 8785, section 3.2.3)."""

_ACTOR = ROW_COLUMNS.index("actor_id")
_NO_REDACTIONS = "[]"
_NONE: frozenset[str] = frozenset()


def row_leaf(values: Sequence[Any], salts: bytes | None = None, commitments: str | None = None) -> bytes:
    """Return the leaf hash (RFC 9162, section 2.1.1) of a row; `BROKEN` if none.

    Args:
        values: those of `ROW_COLUMNS`: ids and times are texts as in the event's wire form, payload and redactions are
            JSON texts.
        salts: the row's salts, see `tenaudit.audit.integrity.commitments`.
        commitments: the places of the salts, or what erasing left.

    Example:
        >>> len(row_leaf(("a.b", None, "user", "1", "t", "success", "{}", None, "[]", None, None, 1, None, "s", "i",
        ...     "2", None)))
        32
        >>> row_leaf(("a.b",) * 17)
        b''
    """
    try:
        if commitments is not None:
            return _canonical_leaf(_text(values, _text_or_null(values[_ACTOR])), openings_of(salts, commitments))
        if salts is None:
            return leaf_hash(_text(values, _text_or_null(values[_ACTOR])).encode())
        return leaf_hash(_text(values, "null", _hashed_actor(values[_ACTOR], salts)).encode())
    # A column of another type than it has may lack anything.
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return BROKEN


def _hashed_actor(actor_id: str, salt: bytes) -> str:
    # The quick way of most rows, see `sealed_leaf`.
    if len(salt) != SALT_BYTES:
        raise ValueError("not one salt for the actor")
    return f',"commitments":{{"{ACTOR}":"{commitment(salt, _quoted(actor_id))}"}}'


def proven_leaf(
    values: Sequence[Any], digest: bytes, key: bytes, salts: bytes | None = None, commitments: str | None = None
) -> bytes:
    """Return the leaf hash of a row by its texts (see `row_leaf`) if its content hash fits, else `BROKEN`."""
    leaf = row_leaf(values, salts, commitments)
    return leaf if digest == content_hash(key, leaf) else BROKEN


def row_erased(salts: bytes | None, commitments: str | None) -> frozenset[str]:
    """Return the places of a row of which it has only the hash; of one that is broken, none."""
    if salts is not None or commitments is None:
        return _NONE
    try:
        return erased_places(openings_of(salts, commitments))
    except (ValueError, TypeError, RecursionError):
        return _NONE


def _canonical_leaf(text: str, openings: Openings) -> bytes:
    record = parsed_json(text)
    # What is read and written anew below would hide that a stored text is not in its canonical form.
    if canonical_json(record) != text.encode():
        raise ValueError("a row is not in its canonical form")
    return committed_leaf(record, openings)


def _text(values: Sequence[Any], actor: str, hashed: str = "") -> str:
    (
        action,
        _,
        actor_type,
        event_id,
        occurred_at,
        outcome,
        payload,
        producer_id,
        redactions,
        resource_id,
        resource_type,
        schema_version,
        seq,
        service,
        severity,
        tenant_id,
        trace_id,
    ) = values
    if redactions != _NO_REDACTIONS and type(from_json(redactions)) is not list:
        raise ValueError("redactions are a list")
    return (
        f'{{"action":{_quoted(action)},"actor_id":{actor},"actor_type":{_quoted(actor_type)}{hashed},'
        f'"event_id":{_quoted(event_id)},"occurred_at":{_quoted(occurred_at)},"outcome":{_quoted(outcome)},'
        f'"payload":{payload},"producer_id":{_text_or_null(producer_id)},"redactions":{redactions},'
        f'"resource_id":{_text_or_null(resource_id)},"resource_type":{_text_or_null(resource_type)},'
        f'"schema_version":{_number(schema_version)},"seq":{"null" if seq is None else _number(seq)},'
        f'"service":{_quoted(service)},"severity":{_quoted(severity)},"tenant_id":{_quoted(tenant_id)},'
        f'"trace_id":{_text_or_null(trace_id)}}}'
    )


def _text_or_null(value: str | None) -> str:
    return "null" if value is None else _quoted(value)


def _number(value: int) -> str:
    if type(value) is not int:
        raise TypeError("a number is an integer")
    return str(value)
