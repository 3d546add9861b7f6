"""The leaf of an event as a line of an export shows it: the one place that knows how.

A line tells what opens the hashes that the leaf commits to: the salt where the value is there to be seen, and the hash
itself where it is hidden or erased, and null stands.

Pure: JSON values in, a hash out.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tenaudit.audit.integrity.canonical import CanonicalError
from tenaudit.audit.integrity.commitments import committed_leaf, erased_places, hidden_opening
from tenaudit.audit.integrity.json_pointer import value_at, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tenaudit.audit.integrity.commitments import Openings

__all__ = ["exported_leaf", "exported_openings", "hidden_where_it_is_committed"]

_SALT, _HASH = "salt", "hash"


def exported_leaf(record: Mapping[str, Any], openings: Mapping[str, Mapping[str, str]] | None = None) -> bytes:
    """Return the leaf hash that a record must have been logged with (RFC 9162 section 2.1.1 over RFC 8785).

    Args:
        record: the event's wire form, without what the export added to it.
        openings: what opens commitments of fields, by JSON pointer: `{"salt": ...}`, or `{"hash": ...}` where the
            record has null; None without any.

    Raises:
        CanonicalError: the record has no canonical form, so it never was logged; or the openings are none.

    Example:
        >>> exported_leaf({"action": "order.created"}).hex()[:8]
        '3fad3440'
    """
    try:
        return committed_leaf(record, _read(openings))
    except CanonicalError:
        raise
    except ValueError as error:
        raise CanonicalError(f"openings: {error}") from None


def exported_openings(openings: Openings) -> dict[str, dict[str, str]]:
    """Return openings as a line has them.

    >>> exported_openings({"/actor_id": "00" * 16})
    {'/actor_id': {'salt': '00000000000000000000000000000000'}}
    """
    hashes = erased_places(openings)
    return {place: {_HASH if place in hashes else _SALT: opening} for place, opening in openings.items()}


def hidden_where_it_is_committed(
    record: Mapping[str, Any], shown: Mapping[str, Any], openings: Openings
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a record as a reader may see it and the openings for them, with null and a hash for what is hidden.

    Fields that are hidden and not committed to stay as they are shown: such a record has another leaf.

    Args:
        record: the record that was logged.
        shown: what is shown of it.
        openings: what opens all of its commitments.
    """
    hidden = [place for place in openings if not _is_shown(record, shown, place)]
    told = {place: hidden_opening(record, place, one) if place in hidden else one for place, one in openings.items()}
    return _with_nulls(shown, hidden), told


def _is_shown(record: Mapping[str, Any], shown: Mapping[str, Any], place: str) -> bool:
    try:
        return bool(value_at(shown, place) == value_at(record, place))
    except ValueError:
        return False


def _with_nulls(shown: Mapping[str, Any], places: Iterable[str]) -> dict[str, Any]:
    record = dict(shown)
    for place in places:
        # What it lies in may be hidden too, and then nothing shows where it was.
        with suppress(ValueError):
            record = without(record, [place], is_there=False)
    return record


def _read(openings: Mapping[str, Mapping[str, str]] | None) -> dict[str, str]:
    if openings is None:
        return {}
    read = {}
    for place, opening in openings.items():
        found = dict(opening) if isinstance(opening, dict) else {}
        kind, digits = found.popitem() if len(found) == 1 else ("", "")
        if not isinstance(digits, str) or len(digits) != {_SALT: 32, _HASH: 64}.get(kind):
            raise ValueError(f"{place} has neither a salt nor a hash")
        read[place] = digits
    return read
