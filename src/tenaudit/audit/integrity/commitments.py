"""Leaves that outlive the values they were made of: a salted hash stands where a person's value may be erased.

A leaf commits to the canonical text of an event. Where a value may have to be erased one day, the text holds null
instead, and a further member `commitments` holds a hash of the value and of 16 random bytes, by JSON pointer (RFC
6901). The salts are kept with the row. Erasing takes value and salt and leaves the hash, so the leaf, and every proof
over it, stays what it was, and nobody can try out values against it.

An *opening* is what tells the hash of one place: the salt while the value is there, 32 hex digits, and the hash itself
once it was erased, 64 digits.

Rules of this file: pure; the randomness is an argument.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tenaudit.audit.integrity.canonical import canonical_json
from tenaudit.audit.integrity.json_pointer import value_at, without
from tenaudit.audit.integrity.merkle import leaf_hash
from tenaudit.audit.integrity.stored import content_hash, parsed_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "ACTOR",
    "ACTOR_ONLY",
    "SALT_BYTES",
    "MetRow",
    "Openings",
    "commitment",
    "committed_leaf",
    "erased_places",
    "hidden_opening",
    "is_again",
    "kept_openings",
    "openings_of",
    "places_text",
    "sealed_leaf",
]

SALT_BYTES = 16
"""Random bytes of each place: as many as nobody can try out."""
ACTOR = "/actor_id"
ACTOR_ONLY = (ACTOR,)
"""The places of most events, for which a row keeps no list."""

Openings: TypeAlias = "Mapping[str, str]"

_COMMITMENTS = "commitments"
_OPENING = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_SALT_DIGITS = 2 * SALT_BYTES
_HASH_DIGITS = 64


def commitment(salt: bytes, text: str) -> str:
    """Return the hash that stands for a value, in hex.

    Args:
        salt: its random bytes.
        text: the canonical JSON of the value.

    Example:
        >>> commitment(bytes(16), '"alice"')[:16]
        '5cc21db7dbe2ee3f'
    """
    return hashlib.sha256(salt + text.encode()).hexdigest()


def sealed_leaf(evidence: str, places: Sequence[str], salts: bytes) -> bytes:
    """Return the leaf hash of an event that may have to be erased at some places.

    Args:
        evidence: the canonical text of the event's record.
        places: JSON pointers in order, none below another.
        salts: `SALT_BYTES` of each, in their order.

    Raises:
        ValueError: the salts are not as many as the places, or a place is not there.
    """
    if len(salts) != SALT_BYTES * len(places):
        raise ValueError("not one salt for each place")
    if places == ACTOR_ONLY:
        return leaf_hash(_actor_text(evidence, salts).encode())
    return committed_leaf(parsed_json(evidence), _salted(places, salts))


def committed_leaf(record: Mapping[str, Any], openings: Openings) -> bytes:
    """Return the leaf hash of an event's wire form, which it commits to at the places of *openings* by a salted hash.

    Without openings it is that of the record itself.

    Raises:
        ValueError: an opening is none, a place is not there, or a value is back that was erased.

    Example:
        >>> record = {"actor_id": "alice", "payload": {"note": "hi"}}
        >>> leaf = committed_leaf(record, {"/actor_id": "00" * 16})
        >>> erased = without(record, ["/actor_id"])
        >>> committed_leaf(erased, {"/actor_id": commitment(bytes(16), '"alice"')}) == leaf
        True
    """
    if _COMMITMENTS in record:
        raise ValueError(f"{_COMMITMENTS} is no field of an event")
    if not openings:
        return leaf_hash(canonical_json(record))
    hashes = {place: _hash_at(record, place, opening) for place, opening in openings.items()}
    return leaf_hash(canonical_json({**without(record, openings), _COMMITMENTS: hashes}))


def _hash_at(record: Mapping[str, Any], place: str, opening: str) -> str:
    value = value_at(record, place)
    if len(opening) == _SALT_DIGITS and _OPENING.fullmatch(opening):
        return commitment(bytes.fromhex(opening), canonical_json(value).decode())
    if not _OPENING.fullmatch(opening) or value is not None:
        raise ValueError(f"{place}: what was erased is back, or the opening is none")
    return opening


def _actor_text(evidence: str, salt: bytes) -> str:
    # Quotes in a text are escaped, so what follows a comma and begins with one is a name of the record's own.
    start = evidence.index(',"actor_id":') + len(',"actor_id":')
    end = evidence.index(',"actor_type":', start)
    rest = evidence.index(',"event_id":', end)
    hashed = commitment(salt, evidence[start:end])
    return f'{evidence[:start]}null{evidence[end:rest]},"commitments":{{"{ACTOR}":"{hashed}"}}{evidence[rest:]}'


def places_text(places: Sequence[str]) -> str | None:
    """Return what a row keeps of the places that it has salts of; None for the actor alone."""
    return None if places == ACTOR_ONLY else json.dumps([*places], ensure_ascii=False, separators=(",", ":"))


def openings_of(salts: object, commitments: object) -> dict[str, str]:
    """Return the openings of a row from its two columns; none where its leaf commits to the values themselves.

    Raises:
        ValueError: the columns were tampered with.

    Example:
        >>> openings_of(bytes(16), None)
        {'/actor_id': '00000000000000000000000000000000'}
    """
    if not isinstance(salts, bytes | None) or not isinstance(commitments, str | None):
        raise ValueError("the salts or places of a row have another type")  # noqa: TRY004 - tampering, as below
    if salts is not None:
        places = ACTOR_ONLY if commitments is None else _places(commitments)
        if len(salts) != SALT_BYTES * len(places):
            raise ValueError("a row has not one salt for each place")
        return _salted(places, salts)
    return {} if commitments is None else _left(commitments)


# Each of both has one spelling only, so that no change of a column is without effect.
def _places(commitments: str) -> Sequence[str]:
    places = json.loads(commitments)
    if not isinstance(places, list) or not places or not all(isinstance(place, str) for place in places):
        raise ValueError("the places of a row are no list")
    if places_text(tuple(sorted({*places}))) != commitments:
        raise ValueError("the places of a row are in no order")
    return places


def _left(commitments: str) -> dict[str, str]:
    openings = json.loads(commitments)
    if not isinstance(openings, dict) or not openings or _openings_text(openings) != commitments:
        raise ValueError("the openings of a row are no object with its places in order")
    if not all(isinstance(one, str) and _OPENING.fullmatch(one) for one in openings.values()):
        raise ValueError("the openings of a row are no hashes and salts")
    if not erased_places(openings):
        raise ValueError("of a row from which nothing was erased the salts stand elsewhere")
    return openings


def _openings_text(openings: Openings) -> str:
    return json.dumps(openings, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _salted(places: Sequence[str], salts: bytes) -> dict[str, str]:
    digits = salts.hex()
    return {place: digits[at * _SALT_DIGITS : (at + 1) * _SALT_DIGITS] for at, place in enumerate(places)}


def kept_openings(record: Mapping[str, Any], openings: Openings, erased: Iterable[str]) -> str:
    """Return what a row keeps once some places are erased: the hashes of these and the salts of the others.

    Args:
        record: the event's wire form as it was.
        openings: its openings until now.
        erased: the places that are erased now.
    """
    gone = {*erased}
    kept = {place: _hash_at(record, place, one) if place in gone else one for place, one in openings.items()}
    return _openings_text(kept)


def hidden_opening(record: Mapping[str, Any], place: str, opening: str) -> str:
    """Return what tells the hash of a place and not its value."""
    return _hash_at(record, place, opening)


def erased_places(openings: Openings) -> frozenset[str]:
    """Return the places of which only the hash is left."""
    return frozenset(place for place, opening in openings.items() if len(opening) == _HASH_DIGITS)


class MetRow(NamedTuple):
    """What a stored row tells of its content: its keyed hash, and the two columns of its openings."""

    digest: bytes
    salts: bytes | None = None
    commitments: str | None = None


def is_again(evidence: str, met: MetRow, key: bytes) -> bool:
    """Tell whether an event that came again is the one of a row; whatever comes for an erased one is taken for it.

    Args:
        evidence: the canonical text of the event's record.
        met: the row.
        key: secret of the content hashes.
    """
    # A second content would be kept as evidence, and bring back what was erased.
    if met.salts is None and met.commitments is not None:
        return _is_erased(met.commitments)
    try:
        leaf = leaf_hash(evidence.encode()) if met.salts is None else _leaf_again(evidence, met.salts, met.commitments)
    except (ValueError, TypeError, RecursionError):
        return False
    return content_hash(key, leaf) == met.digest


def _is_erased(commitments: str) -> bool:
    try:
        return bool(erased_places(openings_of(None, commitments)))
    except (ValueError, RecursionError):
        return False


def _leaf_again(evidence: str, salts: bytes, commitments: str | None) -> bytes:
    return sealed_leaf(evidence, ACTOR_ONLY if commitments is None else _places(commitments), salts)
