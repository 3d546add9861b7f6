"""Which changes of a schema break whom: the table that the comparison and its documentation are made of.

Events are kept for years, so a reader meets old events after a change and new ones before it is changed itself. A
change is compatible only when neither surprises it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RULES", "Rule", "Verdict"]

Verdict = Literal["breaking", "warning", "compatible"]


class Rule(NamedTuple):
    """What a kind of change means.

    Args:
        read: the verdict when what events carry changes so.
        write: the verdict when what a call of emit may give changes so.
        why: who notices, in a sentence.
    """

    read: Verdict
    write: Verdict
    why: str


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "type_removed": Rule("breaking", "breaking", "its events stay in the store, and nothing describes them"),
        "type_added": Rule("compatible", "compatible", "nobody knows of it yet"),
        "version_removed": Rule("breaking", "breaking", "events of this version stay in the store"),
        "version_added": Rule("warning", "compatible", "readers must know it before the first event of it is written"),
        "durability_lowered": Rule("breaking", "compatible", "events may now be lost that readers count on"),
        "durability_raised": Rule("compatible", "warning", "the calls that emit it must keep the stronger promise"),
        "required_field_removed": Rule(
            "breaking", "breaking", "a reader finds nothing where there always was something"
        ),
        "optional_field_removed": Rule("compatible", "breaking", "what a caller gives in it is lost or refused"),
        "required_field_added": Rule(
            "warning", "breaking", "events from before do not have it, and callers do not give it"
        ),
        "optional_field_added": Rule("compatible", "compatible", "who does not know it leaves it out"),
        "field_made_optional": Rule(
            "breaking", "compatible", "a reader may find nothing where there always was something"
        ),
        "field_made_required": Rule("warning", "breaking", "events from before, and callers, may leave it out"),
        "type_changed": Rule("breaking", "breaking", "no value of before is one of now"),
        "type_narrowed": Rule(
            "breaking", "breaking", "events from before, and callers, have values that are none any more"
        ),
        "type_widened": Rule("breaking", "compatible", "a reader meets values of a type that it was not told of"),
        "enum_value_added": Rule("warning", "compatible", "a reader that lists all values does not know the new one"),
        "enum_value_removed": Rule("warning", "breaking", "events from before have it, and callers give it"),
        "constraint_loosened": Rule("warning", "compatible", "a reader meets values beyond the former bound"),
        "constraint_tightened": Rule("warning", "breaking", "callers give values that are refused now"),
        "constraint_changed": Rule("warning", "breaking", "whether the one holds where the other did cannot be told"),
        "extra_fields_allowed": Rule(
            "warning", "compatible", "a reader that refuses fields it does not know refuses events"
        ),
        "extra_fields_forbidden": Rule("compatible", "breaking", "what callers add is refused"),
        "keyword_changed": Rule("breaking", "breaking", "no rule here judges this keyword of JSON Schema"),
    }
)
