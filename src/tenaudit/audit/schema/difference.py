"""What differs between two JSON Schemas, field by field, without a judgement.

Rules of this file: pure; a finding is a path, the name of a rule and a few words of the schemas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.schema.bounds import bound_findings
from tenaudit.audit.schema.shape import ANY, OBJECT, Alternative, Shapes, as_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Finding", "differences"]

# A payload has at most 32 levels, and so no use for deeper schemas.
_MAX_DEPTH = 64
_VALUES_TOLD = 5
# Which type has every value of another.
_WIDER = {"integer": "number"}


class Finding(NamedTuple):
    """One difference: the path of the field, the name of the rule, what was and is."""

    path: str
    kind: str
    detail: str = ""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return what differs between the schemas of a payload, in the order of the fields.

    A definition that several fields share is reported at the first of them.

    Raises:
        ConfigurationError: a schema has a reference that leads nowhere, or over 64 levels.

    Example:
        >>> old = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        >>> new = {"type": "object", "properties": {"n": {"type": "number"}}}
        >>> [(finding.path, finding.kind) for finding in differences(old, new)]
        [('payload.n', 'field_made_optional'), ('payload.n', 'type_widened')]
    """
    return tuple(_Walk(Shapes(old), Shapes(new)).pair(old, new, "payload", 0))


class _Walk:
    __slots__ = ("_new", "_old", "_seen")

    def __init__(self, old: Shapes, new: Shapes) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str | None, str | None]] = set()

    def pair(self, old: Any, new: Any, path: str, depth: int) -> Iterator[Finding]:
        """Yield what differs between two schemas and below them."""
        if depth > _MAX_DEPTH:
            raise ConfigurationError(f"{path[:80]}: a schema has over {_MAX_DEPTH} levels")
        before, after = _aligned(self._old.alternatives(old), self._new.alternatives(new))
        yield from _types(before, after, path)
        for name in sorted(before.keys() & after.keys()):
            refs = before[name].ref, after[name].ref
            if None not in refs:
                if refs in self._seen:
                    continue
                self._seen.add(refs)
            yield from self._same_type(before[name], after[name], path, depth + 1)

    def _same_type(self, old: Alternative, new: Alternative, path: str, depth: int) -> Iterator[Finding]:
        yield from _values(old.values, new.values, path)
        if old.values is None and new.values is None:
            for kind, detail in bound_findings(old.schema, new.schema):
                yield Finding(path, kind, detail)
        yield from self._fields(old.schema, new.schema, path, depth)
        yield from self._further_fields(old.schema, new.schema, path, depth)
        if "items" in old.schema or "items" in new.schema:
            yield from self.pair(old.schema.get("items"), new.schema.get("items"), f"{path}[*]", depth)

    def _fields(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str, depth: int) -> Iterator[Finding]:
        before, after = as_schema(old.get("properties")), as_schema(new.get("properties"))
        needed, needs = _names(old.get("required")), _names(new.get("required"))
        for name in sorted(before.keys() | after.keys()):
            place = f"{path}.{name}"
            if name not in after:
                yield Finding(place, "required_field_removed" if name in needed else "optional_field_removed")
                continue
            if name not in before:
                yield Finding(place, "required_field_added" if name in needs else "optional_field_added")
                continue
            if (name in needed) != (name in needs):
                yield Finding(place, "field_made_optional" if name in needed else "field_made_required")
            yield from self.pair(before[name], after[name], place, depth)

    def _further_fields(
        self, old: Mapping[str, Any], new: Mapping[str, Any], path: str, depth: int
    ) -> Iterator[Finding]:
        """Yield what differs in the fields that a schema does not name."""
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if (before is False) != (after is False):
            yield Finding(path, "extra_fields_allowed" if before is False else "extra_fields_forbidden")
        elif before != after or isinstance(before, dict):
            yield from self.pair(before, after, f"{path}.*", depth)


def _aligned(
    old: dict[str, Alternative], new: dict[str, Alternative]
) -> tuple[dict[str, Alternative], dict[str, Alternative]]:
    """Give the only object of either side the same name: a model that is called otherwise is the same object."""
    sides = old, new
    objects = [[name for name in side if name.startswith(OBJECT)] for side in sides]
    if [len(names) for names in objects] == [1, 1]:
        for side, (name,) in zip(sides, objects, strict=True):
            side[OBJECT] = side.pop(name)
    return sides


def _names(value: Any) -> frozenset[str]:
    return frozenset(name for name in value if isinstance(name, str)) if isinstance(value, list) else frozenset()


def _types(old: Mapping[str, Alternative], new: Mapping[str, Alternative], path: str) -> Iterator[Finding]:
    gone, come = _beyond(old, new), _beyond(new, old)
    detail = f"{' | '.join(sorted(old))} -> {' | '.join(sorted(new))}"
    if gone and come and not old.keys() & new.keys():
        yield Finding(path, "type_changed", detail)
        return
    if gone:
        yield Finding(path, "type_narrowed", detail)
    if come:
        yield Finding(path, "type_widened", detail)


def _beyond(some: Mapping[str, Alternative], others: Mapping[str, Alternative]) -> set[str]:
    """Return the types of *some* that *others* do not have, not even as part of a wider one."""
    if ANY in others:
        return set()
    return {name for name in some if name not in others and not _has_wider(name, others)}


def _has_wider(name: str, others: Mapping[str, Alternative]) -> bool:
    wider = others.get(_WIDER.get(name) or name.partition(" (")[0])
    return wider is not None and wider.values is None


def _values(old: frozenset[str] | None, new: frozenset[str] | None, path: str) -> Iterator[Finding]:
    if old is None and new is not None:
        yield Finding(path, "type_narrowed", f"any value -> {_told(new)}")
    elif old is not None and new is None:
        yield Finding(path, "type_widened", f"{_told(old)} -> any value")
    elif old is not None and new is not None:
        if new - old:
            yield Finding(path, "enum_value_added", _told(new - old))
        if old - new:
            yield Finding(path, "enum_value_removed", _told(old - new))


def _told(values: frozenset[str]) -> str:
    some = sorted(values)
    more = f" and {len(some) - _VALUES_TOLD} more" if len(some) > _VALUES_TOLD else ""
    return f"{', '.join(some[:_VALUES_TOLD])}{more}"
