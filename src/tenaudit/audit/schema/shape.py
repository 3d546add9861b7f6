"""The part of JSON Schema (draft 2020-12) that pydantic writes, as alternatives that can be set against each other.

Rules of this file: pure, and it raises only `ConfigurationError`: an export is a file that anyone may have edited.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ANY", "OBJECT", "Alternative", "Shapes", "as_schema"]

ANY = "any"
OBJECT = "object"
_REF = "#/$defs/"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class Alternative(NamedTuple):
    """One type that a value may have.

    Args:
        schema: the keywords that bind it.
        values: the JSON texts of the only values that it may have, None when any will do.
        ref: the definition that it is, if it is one.
    """

    schema: Mapping[str, Any]
    values: frozenset[str] | None
    ref: str | None = None


class Shapes:
    """Reads the schemas of one document, whose definitions it knows.

    Args:
        document: a JSON Schema with its `$defs`.

    Example:
        >>> shapes = Shapes({"$defs": {"Kind": {"enum": ["a"], "type": "string"}}})
        >>> sorted(shapes.alternatives({"anyOf": [{"$ref": "#/$defs/Kind"}, {"type": "null"}]}))
        ['null', 'string']
    """

    __slots__ = ("_defs",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        defs = document.get("$defs")
        self._defs: Mapping[str, Any] = defs if isinstance(defs, dict) else {}

    def alternatives(self, schema: Any) -> dict[str, Alternative]:
        """Return the types that *schema* allows, by name; `any` alone when it binds none, objects by their titles.

        Raises:
            ConfigurationError: a `$ref` that leads nowhere.
        """
        found: dict[str, Alternative] = {}
        for part, ref in self._flat(as_schema(schema)):
            for name, alternative in _named(part):
                if name == OBJECT:
                    found[f"{OBJECT} {part.get('title', '')}".strip()] = alternative._replace(ref=ref)
                else:
                    found[name] = _either(found.get(name), alternative)
        return {ANY: found[ANY]} if ANY in found else found

    def _flat(self, schema: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str | None]]:
        """Yield the members of unions, references followed, each with the definition that it is."""
        seen: set[str] = set()
        waiting: list[tuple[Mapping[str, Any], str | None]] = [(schema, None)]
        for part, ref in waiting:  # it grows while it is walked
            name = part.get("$ref")
            union = part.get("anyOf", part.get("oneOf"))
            together = part.get("allOf")
            if isinstance(name, str):
                if name not in seen:
                    seen.add(name)
                    # Keywords beside a reference bind as well (JSON Schema core, section 8.2.3.1).
                    waiting.append((self._target(name) | {key: part[key] for key in part if key != "$ref"}, name))
            elif isinstance(union, list):
                waiting.extend((as_schema(member), None) for member in union)
            elif isinstance(together, list):
                merged = {key: part[key] for key in part if key != "allOf"}
                for member in together:
                    merged |= as_schema(member)
                waiting.append((merged, ref))
            else:
                yield part, ref

    def _target(self, name: str) -> dict[str, Any]:
        key = name.removeprefix(_REF)
        if not name.startswith(_REF) or key not in self._defs:
            raise ConfigurationError(f"the reference {name} leads nowhere")
        return as_schema(self._defs[key])


def as_schema(value: Any) -> dict[str, Any]:
    """Return *value* as a schema; `true`, and what is none, allows everything."""
    if value is False:
        return {"not": {}}
    return value if isinstance(value, dict) else {}


def _named(schema: Mapping[str, Any]) -> Iterator[tuple[str, Alternative]]:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        for value in values:
            yield _type_of(value), Alternative(schema, frozenset({json.dumps(value, sort_keys=True)}))
        return
    kinds = schema.get("type", ANY)
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        form = schema.get("format")
        yield f"{kind} ({form})" if form is not None else str(kind), Alternative(schema, None)


def _type_of(value: Any) -> str:
    return _TYPES.get(type(value), "null")


def _either(one: Alternative | None, other: Alternative) -> Alternative:
    """Join two alternatives of a type: only what both bind binds the two."""
    if one is None:
        return other
    if one.values is not None and other.values is not None:
        return Alternative(other.schema, one.values | other.values)
    shared = {key: value for key, value in one.schema.items() if key in other.schema and other.schema[key] == value}
    return Alternative(shared, None)
