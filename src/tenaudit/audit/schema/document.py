"""An export of schemas as it comes back from a file: its frame is checked, the schemas are what they are."""

from __future__ import annotations

from typing import Any, NamedTuple

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.schema.declared import DURABILITIES, Durability

__all__ = ["ExportedType", "read_export"]

_MAX_DEPTH = 200
_MAX_DIGITS = 10


class ExportedType(NamedTuple):
    """One action and version of an export."""

    durability: Durability
    read: dict[str, Any]
    write: dict[str, Any]


def read_export(value: object, name: str) -> dict[str, dict[int, ExportedType]]:
    """Return the types of an export by action and version.

    Args:
        value: what `SchemaRegistry.export` returned, or what its JSON became.
        name: what messages call it.

    Raises:
        ConfigurationError: it is something else; the message says where.

    Example:
        >>> read_export({"events": {}}, "old.json")
        {}
    """
    _require_shallow(value, name)
    events = _object(_object(value, name).get("events"), f"{name}: events")
    found: dict[str, dict[int, ExportedType]] = {}
    for action, versions in events.items():
        place = f"{name}: {action}"
        found[action] = {
            _version(str(number), place): _type(entry, f"{place} version {number}")
            for number, entry in _object(versions, place).items()
        }
    return found


def _type(value: object, place: str) -> ExportedType:
    entry = _object(value, place)
    durability: Any = entry.get("durability")
    if durability not in DURABILITIES:
        raise ConfigurationError(f"{place}: durability must be one of {', '.join(DURABILITIES)}")
    return ExportedType(
        durability, _object(entry.get("read"), f"{place}: read"), _object(entry.get("write"), f"{place}: write")
    )


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{place} must be an object, as `tenaudit schema export` writes it")
    return value


def _version(number: str, place: str) -> int:
    if not (number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS):
        raise ConfigurationError(f"{place}: a version is a whole number, not {number!r}")
    return int(number)


def _require_shallow(value: object, name: str) -> None:
    """Refuse what the comparison, which follows the levels of a schema, could not walk."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        parts = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, (dict, list))]
        level = [below for part in parts for below in part]
        if not level:
            return
    raise ConfigurationError(f"{name}: it is nested over {_MAX_DEPTH} levels")
