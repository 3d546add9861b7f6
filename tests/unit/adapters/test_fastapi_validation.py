"""Validation errors without what the client sent, whatever the error holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette

from tenaudit.adapters.starlette.validation import is_fastapi, register_validation, unprocessable


def error(kind: str, message: str, value: Any, loc: Any = ("body", "a")) -> Any:
    return {"type": kind, "loc": loc, "msg": message, "input": value}


def told(*errors: Any) -> list[str]:
    return [item["message"] for item in unprocessable(errors).errors]


@pytest.mark.parametrize(
    "value",
    [
        "s3cret",
        b"s3cret",
        {"k": "s3cret"},
        {"s3cret": 1},
        [1, {"k": ["s3cret"]}],
        {"s3cret"},
        ("s3cret",),
        [None, "s3cret"],
    ],
)
@pytest.mark.parametrize("kind", ["value_error", "assertion_error", "own_kind"])
def test_a_message_that_quotes_the_input_is_not_passed_on(kind: str, value: Any) -> None:
    assert told(error(kind, "Value error, s3cret is bad", value)) == ["is not valid"]


def test_numbers_count_as_values_and_too_much_to_look_through_as_quoted() -> None:
    assert told(error("value_error", "not 4711", {"pin": 4711})) == ["is not valid"]
    assert told(error("value_error", "fine", list(range(1000, 2000)))) == ["is not valid"]


def test_a_message_in_the_services_own_words_is_passed_on() -> None:
    assert told(error("value_error", "Value error, choose another one", {"name": "x9"})) == [
        "Value error, choose another one"
    ]
    assert told(error("value_error", "Needs a value", "")) == ["Needs a value"]
    assert told(error("value_error", "Needs a value", None)) == ["Needs a value"]
    assert told(error("missing", "Field required", {"required": 1})) == ["Field required"]


def test_lists_fields_and_messages_are_bounded() -> None:
    made = unprocessable(error("missing", "m" * 1000, None, ("body", "f" * 1000)) for _ in range(1000))
    assert (made.status, made.code, len(made.errors)) == (422, "unprocessable", 32)
    assert {(len(item["field"]), len(item["message"])) for item in made.errors} == {(128, 200)}


def test_an_error_without_the_usual_members_is_told_all_the_same() -> None:
    assert unprocessable([{}]).errors == ({"field": "", "message": "is not valid"},)


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


@given(value=st.text(min_size=4).map(lambda text: f"~{text}~"))
def test_pydantics_own_errors_repeat_no_value(value: str) -> None:
    kinds: list[Any] = [
        (int, value),
        (Literal["a", "b"], value),
        (Annotated[str, Field(pattern="^[0-9]+$")], value),
        (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": value}),
        (list[int], [value]),
    ]
    for kind, sent in kinds:
        with pytest.raises(ValidationError) as raised:
            TypeAdapter(kind).validate_python(sent)
        for item in unprocessable(raised.value.errors()).errors:
            assert value not in item["message"]


def test_an_application_of_another_framework_is_left_alone() -> None:
    app = Starlette()
    before = dict(app.exception_handlers)
    register_validation(app)
    assert app.exception_handlers == before
    assert not is_fastapi(app)
