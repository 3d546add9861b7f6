"""Which changes of a schema break whom, rule by rule, and on files that nobody should have written."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, constr, create_model

from tenaudit import ConfigurationError
from tenaudit.audit import SchemaRegistry, compare_schemas
from tenaudit.audit.schema import RULES
from tests.contracts.docs_pages import rows


def exported(durability="buffered", version=1, /, *, model=None, extra="ignore", **fields):
    """The export of one event type with these fields: a type, or a type and its default."""
    whole = {name: spec if isinstance(spec, tuple) else (spec, ...) for name, spec in fields.items()}
    model = model or create_model("Payload", __config__=ConfigDict(extra=extra), **whole)
    registry = SchemaRegistry()
    registry.event_type("order.created", version=version, durability=durability)(model)
    return json.loads(json.dumps(registry.export()))


def found(old, new):
    return {(change.side, change.path, change.kind): change.verdict for change in compare_schemas(old, new)}


def both(path, kind, read, write):
    return {("read", path, kind): read, ("write", path, kind): write}


class Item(BaseModel):
    sku: str


class Other(BaseModel):
    name: str


class Node(BaseModel):
    value: int
    below: list[Node] | None = None


class WiderNode(BaseModel):
    value: int | str
    below: list[WiderNode] | None = None


N = "payload.n"
CASES = {
    "required field removed": (
        exported(n=int, m=int),
        exported(m=int),
        both(N, "required_field_removed", "breaking", "breaking"),
    ),
    "field with a default removed": (
        exported(n=(int, 1)),
        exported(),
        {("read", N, "required_field_removed"): "breaking", ("write", N, "optional_field_removed"): "breaking"},
    ),
    "required field added": (exported(), exported(n=int), both(N, "required_field_added", "warning", "breaking")),
    "field with a default added": (
        exported(),
        exported(n=(int, 1)),
        {("read", N, "required_field_added"): "warning", ("write", N, "optional_field_added"): "compatible"},
    ),
    "default given": (exported(n=int), exported(n=(int, 1)), {("write", N, "field_made_optional"): "compatible"}),
    "default taken": (exported(n=(int, 1)), exported(n=int), {("write", N, "field_made_required"): "breaking"}),
    "another default": (exported(n=(int, 1)), exported(n=(int, 2)), {}),
    "type changed": (exported(n=int), exported(n=str), both(N, "type_changed", "breaking", "breaking")),
    "null allowed": (exported(n=int), exported(n=int | None), both(N, "type_widened", "breaking", "compatible")),
    "null taken": (exported(n=int | None), exported(n=int), both(N, "type_narrowed", "breaking", "breaking")),
    "integer to number": (exported(n=int), exported(n=float), both(N, "type_widened", "breaking", "compatible")),
    "number to integer": (exported(n=float), exported(n=int), both(N, "type_narrowed", "breaking", "breaking")),
    "format bound": (
        exported(n=str),
        exported(n=str, model=create_model("P", n=(dt.date, ...))),
        both(N, "type_narrowed", "breaking", "breaking"),
    ),
    "anything to integer": (exported(n=Any), exported(n=int), both(N, "type_narrowed", "breaking", "breaking")),
    "integer to anything": (exported(n=int), exported(n=Any), both(N, "type_widened", "breaking", "compatible")),
    "partly another union": (
        exported(n=int | bool),
        exported(n=int | str),
        both(N, "type_narrowed", "breaking", "breaking") | both(N, "type_widened", "breaking", "compatible"),
    ),
    "enum value added": (
        exported(n=Literal["a"]),
        exported(n=Literal["a", "b"]),
        both(N, "enum_value_added", "warning", "compatible"),
    ),
    "enum value removed": (
        exported(n=Literal["a", "b"]),
        exported(n=Literal["b"]),
        both(N, "enum_value_removed", "warning", "breaking"),
    ),
    "enum opened": (exported(n=Literal["a"]), exported(n=str), both(N, "type_widened", "breaking", "compatible")),
    "enum closed": (exported(n=str), exported(n=Literal["a"]), both(N, "type_narrowed", "breaking", "breaking")),
    "enum opened beside itself": (
        exported(n=Literal["a"]),
        exported(n=Literal["a"] | constr(min_length=0)),
        both(N, "type_widened", "breaking", "compatible"),
    ),
    "enum of several types": (
        exported(n=Literal["a", 1] | None),
        exported(n=Literal["a", 2] | None),
        both(N, "enum_value_added", "warning", "compatible") | both(N, "enum_value_removed", "warning", "breaking"),
    ),
    "bound loosened": (
        exported(n=(str, Field(max_length=5))),
        exported(n=(str, Field(max_length=9))),
        both(N, "constraint_loosened", "warning", "compatible"),
    ),
    "bound tightened": (
        exported(n=(int, Field(ge=1))),
        exported(n=(int, Field(ge=2))),
        both(N, "constraint_tightened", "warning", "breaking"),
    ),
    "bound added": (
        exported(n=int),
        exported(n=(int, Field(le=2))),
        both(N, "constraint_tightened", "warning", "breaking"),
    ),
    "bound taken": (
        exported(n=(int, Field(multiple_of=2))),
        exported(n=int),
        both(N, "constraint_loosened", "warning", "compatible"),
    ),
    "pattern changed": (
        exported(n=(str, Field(pattern="a"))),
        exported(n=(str, Field(pattern="b"))),
        both(N, "constraint_changed", "warning", "breaking"),
    ),
    "extra fields forbidden": (
        exported(),
        exported(extra="forbid"),
        both("payload", "extra_fields_forbidden", "compatible", "breaking"),
    ),
    "extra fields allowed": (
        exported(extra="forbid"),
        exported(),
        both("payload", "extra_fields_allowed", "warning", "compatible"),
    ),
    "extra fields told of": (exported(), exported(extra="allow"), {}),
    "items of an array": (
        exported(n=list[int]),
        exported(n=list[str]),
        both(f"{N}[*]", "type_changed", "breaking", "breaking"),
    ),
    "values of a mapping": (
        exported(n=dict[str, int]),
        exported(n=dict[str, str]),
        both(f"{N}.*", "type_changed", "breaking", "breaking"),
    ),
    "a tuple": (
        exported(n=tuple[int, int]),
        exported(n=tuple[int, str]),
        both(N, "keyword_changed", "breaking", "breaking"),
    ),
    "another name of the same object": (
        exported(n=Item),
        exported(n=create_model("Article", sku=(str, ...))),
        {},
    ),
    "another object": (
        exported(n=Item),
        exported(n=Other),
        both(f"{N}.name", "required_field_added", "warning", "breaking")
        | both(f"{N}.sku", "required_field_removed", "breaking", "breaking"),
    ),
    "an object more": (
        exported(n=Item | None),
        exported(n=Item | Other | None),
        both(N, "type_widened", "breaking", "compatible"),
    ),
    "one of two objects": (
        exported(n=Item | Other),
        exported(n=create_model("Item", sku=(int, ...)) | Other),
        both(f"{N}.sku", "type_changed", "breaking", "breaking"),
    ),
    "a recursive model": (
        exported(model=Node),
        exported(model=WiderNode),
        both("payload.value", "type_widened", "breaking", "compatible"),
    ),
    "a shared definition": (
        exported(a=Item, b=Item),
        exported(a=(I2 := create_model("Item", sku=(int, ...))), b=I2),
        both("payload.a.sku", "type_changed", "breaking", "breaking"),
    ),
    "less durable": (exported("atomic"), exported("durable"), {("read", "", "durability_lowered"): "breaking"}),
    "more durable": (exported("buffered"), exported("durable"), {("write", "", "durability_raised"): "warning"}),
    "a type more": ({"events": {}}, exported(), {("read", "", "type_added"): "compatible"}),
    "a type less": (exported(), {"events": {}}, {("read", "", "type_removed"): "breaking"}),
}


@pytest.mark.parametrize("name", CASES)
def test_each_change_has_its_verdict(name):
    old, new, wanted = CASES[name]
    assert found(old, new) == wanted
    assert compare_schemas(old, old) == compare_schemas(new, new) == ()


def test_every_rule_is_seen_here():
    seen = {kind for _, _, wanted in CASES.values() for _, _, kind in wanted}
    assert set(RULES) - seen == {"version_added", "version_removed"}
    assert all(rule.why and not rule.why.endswith(".") for rule in RULES.values())


def test_versions_come_and_go():
    one, two = exported(n=int), exported("buffered", 2, n=str)
    several = {"events": {"order.created": one["events"]["order.created"] | two["events"]["order.created"]}}
    (change,) = compare_schemas(one, several)
    assert (change.version, change.kind, change.verdict) == (2, "version_added", "warning")
    (change,) = compare_schemas(several, two)
    assert (change.version, change.kind, change.verdict) == (1, "version_removed", "breaking")


def test_a_change_says_what_it_was_and_is():
    json_form = compare_schemas(exported(n=int), exported(n=str))[0].to_json()
    assert json_form == {
        "verdict": "breaking",
        "action": "order.created",
        "version": 1,
        "side": "read",
        "path": "payload.n",
        "kind": "type_changed",
        "detail": "integer -> string",
        "why": "no value of before is one of now",
    }


def test_a_long_list_of_values_is_cut():
    values = Literal["a", "b", "c", "d", "e", "f", "g", "h"]
    (read, _) = compare_schemas(exported(n=Literal["a"]), exported(n=values))
    assert read.detail == '"b", "c", "d", "e", "f" and 2 more'


NULL = {"type": "null"}
SHORT = {"type": "string", "maxLength": 1}


def of(schema):
    entry = {"durability": "buffered", "read": schema, "write": {}}
    return {"events": {"a.b": {"1": entry}}}


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ({"allOf": [{"type": "object"}, {"minProperties": 1}]}, {"type": "object"}, ["constraint_loosened"]),
        ({"type": ["string", "null"]}, {"type": "string"}, ["type_narrowed"]),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, NULL]}}}, NULL, []),
        ({"type": "string", "x-owner": 1}, {"type": "string", "x-owner": 2}, []),
        ({"type": "string", "maxLength": "x"}, {"type": "string", "maxLength": 1}, ["constraint_changed"]),
        ({"type": "array", "items": True}, {"type": "array", "items": False}, ["keyword_changed"]),
        ({"anyOf": [SHORT, SHORT, {"type": "string"}]}, {"type": "string"}, []),
        ({"anyOf": [SHORT, SHORT]}, {"type": "string"}, ["constraint_loosened"]),
        ({"type": "object", "required": "all"}, {"type": "object", "required": [1]}, []),
        ({"const": {"deep": [1, True, 1.5]}}, {"const": {"deep": [1]}}, ["enum_value_added", "enum_value_removed"]),
    ],
)  # fmt: skip
def test_what_pydantic_does_not_write_is_read_as_json_schema_says(old, new, kinds):
    assert [change.kind for change in compare_schemas(of(old), of(new))] == kinds


def nested(levels):
    schema = {}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


CHAIN = {
    "$ref": "#/$defs/D0",
    "$defs": {f"D{n}": {"type": "array", "items": {"$ref": f"#/$defs/D{n + 1}"}} for n in range(80)},
}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ([], "old must be an object"),
        ({}, "old: events must be an object"),
        ({"events": {"a.b": 1}}, "old: a.b must be an object"),
        ({"events": {"a.b": {"one": {}}}}, "a version is a whole number, not 'one'"),
        ({"events": {"a.b": {"9" * 5000: {}}}}, "a version is a whole number"),
        ({"events": {"a.b": {"1": {}}}}, "old: a.b version 1: durability"),
        ({"events": {"a.b": {"1": {"durability": "atomic", "read": 1}}}}, "old: a.b version 1: read must be"),
        (of({"$ref": "#/$defs/None"}), "leads nowhere"),
        (of({"$ref": "https://example.com/a"}), "leads nowhere"),
        (of(nested(70)), "over 64 levels"),
        (of(CHAIN), "over 64 levels"),
        (of(nested(300)), "nested over 200 levels"),
    ],
)
def test_what_is_no_export_is_refused_in_words(broken, said):
    with pytest.raises(ConfigurationError, match=said):
        compare_schemas(broken, broken if "levels" in said or "nowhere" in said else {"events": {}})


WORDS = [
    "type",
    "properties",
    "required",
    "items",
    "anyOf",
    "allOf",
    "$ref",
    "$defs",
    "enum",
    "const",
    "maxLength",
    "additionalProperties",
    "a",
    "b",
]
SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["string", "object", "array", "#/$defs/a", "a"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(WORDS), below, max_size=4),
    max_leaves=12,
)


@given(SCHEMAS, SCHEMAS)
def test_any_schema_is_compared_or_refused_and_equal_ones_never_differ(old, new):
    old, new = ({"type": "object"} if not isinstance(schema, dict) else schema for schema in (old, new))
    try:
        forth = compare_schemas(of(old), of(new))
        back = compare_schemas(of(new), of(old))
        assert compare_schemas(of(old), of(json.loads(json.dumps(old)))) == ()
    except ConfigurationError:
        return
    mirrored = {
        "type_narrowed": "type_widened",
        "enum_value_added": "enum_value_removed",
        "required_field_added": "required_field_removed",
        "optional_field_added": "optional_field_removed",
        "field_made_optional": "field_made_required",
        "extra_fields_allowed": "extra_fields_forbidden",
        "constraint_loosened": "constraint_tightened",
    }
    mirrored |= {there: here for here, there in mirrored.items()}
    assert sorted((mirrored.get(c.kind, c.kind), c.path) for c in forth) == sorted((c.kind, c.path) for c in back)


def test_the_table_of_the_guide_is_the_table_of_the_code():
    told = [row for row in rows("../howto/type-your-events.md") if len(row) == 4]
    assert told == [[f"`{kind}`", *rule] for kind, rule in RULES.items()]
