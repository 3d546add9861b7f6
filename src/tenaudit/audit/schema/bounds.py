"""How the bounds of a JSON Schema differ: tighter, looser, or in a way that cannot be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["bound_findings"]

# Keyword and what a larger number means: 1 a tighter schema, -1 a looser one, 0 that the two cannot be ordered.
_BOUNDS = {
    "minimum": 1,
    "exclusiveMinimum": 1,
    "minLength": 1,
    "minItems": 1,
    "minProperties": 1,
    "maximum": -1,
    "exclusiveMaximum": -1,
    "maxLength": -1,
    "maxItems": -1,
    "maxProperties": -1,
    "uniqueItems": 1,
    "pattern": 0,
    "multipleOf": 0,
    "contentEncoding": 0,
}
# What describes, or is compared elsewhere.
_OTHERS = frozenset(
    {
        "$comment",
        "$defs",
        "$id",
        "$ref",
        "$schema",
        "additionalProperties",
        "const",
        "contentMediaType",
        "default",
        "deprecated",
        "description",
        "discriminator",
        "enum",
        "examples",
        "format",
        "items",
        "properties",
        "readOnly",
        "required",
        "title",
        "type",
        "writeOnly",
    }
)
_NOTHING = object()


def bound_findings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of a rule and a detail for each bound that differs between two schemas of a type.

    Example:
        >>> list(bound_findings({"maxLength": 10}, {"maxLength": 20}))
        [('constraint_loosened', 'maxLength 10 -> 20')]
    """
    for word in sorted(old.keys() | new.keys()):
        before, after = old.get(word, _NOTHING), new.get(word, _NOTHING)
        if before == after or word in _OTHERS or word.startswith("x-"):
            continue
        detail = f"{word} {_told(before)} -> {_told(after)}"
        if word not in _BOUNDS:
            yield "keyword_changed", detail
        else:
            yield f"constraint_{_course(_BOUNDS[word], before, after)}", detail


def _course(meaning: int, before: Any, after: Any) -> str:
    if before is _NOTHING:
        return "tightened"
    if after is _NOTHING:
        return "loosened"
    if not meaning or not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
        return "changed"
    return "tightened" if (after > before) == (meaning > 0) else "loosened"


def _told(value: Any) -> str:
    return "none" if value is _NOTHING else str(value)[:80]
