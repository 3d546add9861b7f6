"""Typed payloads: what a registry takes, what it lets through, and what it says of the rest."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator, model_serializer

from tenaudit import ConfigurationError
from tenaudit.audit import DEFAULT_REGISTRY, AuditProducer, InvalidPayload, SchemaRegistry, event_type
from tenaudit.audit.payload import PayloadRefused
from tenaudit.backends.memory import MemorySink
from tenaudit.security import Actor, SecurityContext, TraceContext

CONTEXT = SecurityContext(UUID(int=1), Actor("u-1"), frozenset(), TraceContext("0" * 31 + "1", None, False))


class Item(BaseModel):
    sku: str
    email: str = ""
    count: int = Field(1, ge=1)


class Voided(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: int
    currency: Literal["EUR", "USD"] = "EUR"
    items: list[Item] = []
    labels: dict[str, int] = {}


class VoidedLater(BaseModel):
    total: Decimal
    at: dt.datetime
    by: UUID = Field(alias="byWhom")


class Manual:
    """No type that JSON Schema knows."""


@pytest.fixture
def registry():
    made = SchemaRegistry()
    made.event_type("payment.voided", version=1, durability="atomic")(Voided)
    return made


def paths(registry, payload, action="payment.voided"):
    with pytest.raises(InvalidPayload) as caught:
        registry.check(action, payload)
    assert caught.value.reason == "invalid_payload"
    return caught.value.paths


def test_a_payload_comes_back_as_json_with_its_version(registry):
    given = {"amount": "5", "items": [{"sku": "a"}]}
    payload, version = registry.check("payment.voided", given)
    assert version == 1
    assert payload == {
        "amount": 5,
        "currency": "EUR",
        "items": [{"sku": "a", "email": "", "count": 1}],
        "labels": {},
    }
    assert given == {"amount": "5", "items": [{"sku": "a"}]}
    assert registry.check("payment.voided", MappingProxyType({"amount": 5}))[0]["amount"] == 5
    assert registry.check("payment.voided", Voided(amount=5))[0]["amount"] == 5


def test_values_become_what_json_has_and_names_are_the_aliases(registry):
    registry.event_type("payment.voided", version=2)(VoidedLater)
    moment = dt.datetime(2026, 11, 24, 6, 0, tzinfo=dt.UTC)
    payload, version = registry.check("payment.voided", {"total": Decimal("1.50"), "at": moment, "byWhom": UUID(int=1)})
    assert version == 2
    assert payload == {"total": "1.50", "at": "2026-11-24T06:00:00Z", "byWhom": str(UUID(int=1))}
    assert json.loads(json.dumps(payload)) == payload


def test_versions_stand_side_by_side(registry):
    registry.event_type("payment.voided", version=2)(VoidedLater)
    assert registry.check("payment.voided", Voided(amount=1))[1] == 1
    assert registry.check("payment.voided", {"amount": 1}, version=1)[1] == 1
    assert paths(registry, {"amount": 1}) == ("payload.total", "payload.at", "payload.byWhom")
    with pytest.raises(PayloadRefused) as caught:
        registry.check("payment.voided", {"amount": 1}, version=3)
    assert caught.value.reason == "unknown_schema_version"
    assert [declared.name for declared in registry] == ["payment.voided version 1", "payment.voided version 2"]
    assert registry.find("payment.voided").model is VoidedLater
    assert registry.find("payment.voided", 1).durability == "atomic"
    assert registry.find("payment.voided", 9) is None
    assert registry.find("order.created") is None


def test_a_refusal_names_the_fields_and_no_value(registry):
    secret = "a secret"
    payload = {
        "amount": secret,
        "currency": secret,
        "items": [{"sku": "a"}, {"sku": [secret], "count": 0}],
        "labels": {secret: secret},
        f"card {secret}": 1,
    }
    with pytest.raises(InvalidPayload) as caught:
        registry.check("payment.voided", payload)
    assert caught.value.paths == (
        "payload.amount",
        "payload.currency",
        "payload.items[1].sku",
        "payload.items[1].count",
        "payload.labels.*",
        "payload.*",
    )
    assert secret not in str(caught.value)
    assert str(caught.value).startswith("payment.voided version 1: payload.")
    assert caught.value.__suppress_context__


def test_a_long_list_of_faults_is_cut(registry):
    with pytest.raises(InvalidPayload, match=r"; 2 more\Z") as caught:
        registry.check("payment.voided", {"amount": 1, "items": [{}] * 7})
    assert len(caught.value.paths) == 7


def test_no_payload_is_an_empty_one(registry):
    assert paths(registry, None) == ("payload.amount",)


@pytest.mark.parametrize("payload", [[1], "text", 5, Item(sku="a")])
def test_what_is_no_such_object_is_refused(registry, payload):
    assert paths(registry, payload) == ("payload",)


def test_an_instance_that_was_made_past_its_model_is_refused(registry):
    assert paths(registry, Voided.model_construct(amount="secret", currency="EUR", items=[], labels={})) == ("payload",)


def test_validators_and_serializers_that_raise_anything_refuse(registry):
    class Raising(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def _break(cls, value):
            raise KeyError(value)

    class NoObject(BaseModel):
        @model_serializer
        def _list(self) -> Any:
            return [1]

    registry.event_type("a.raising")(Raising)
    registry.event_type("a.list")(NoObject)
    with pytest.raises(InvalidPayload, match=r"a\.raising version 1: payload: KeyError"):
        registry.check("a.raising", {"number": 77})
    with pytest.raises(InvalidPayload, match=r"a\.list version 1: payload: not_an_object"):
        registry.check("a.list", {})


def test_an_action_without_a_type_is_left_alone_or_refused():
    payload = {"anything": object()}
    assert SchemaRegistry().check("order.created", payload) == (payload, 1)
    assert SchemaRegistry().check("order.created", None) == ({}, 1)
    for registry, given in ((SchemaRegistry(unknown="refuse"), {}), (SchemaRegistry(), Item(sku="a"))):
        with pytest.raises(PayloadRefused) as caught:
            registry.check("order.created", given)
        assert caught.value.reason == "unknown_event_type"
    with pytest.raises(ConfigurationError, match="unknown must be"):
        SchemaRegistry(unknown="maybe")


def test_one_action_and_version_is_registered_once(registry):
    with pytest.raises(ConfigurationError, match=r"payment\.voided version 1 is registered already, by Voided"):
        registry.event_type("payment.voided")(Item)
    with pytest.raises(ConfigurationError, match="already"):
        registry.event_type("payment.voided")(Voided)
    assert registry.find("payment.voided").model is Voided


@pytest.mark.parametrize(
    "action", ["", "Payment.voided", "payment voided", "payment.", "payment.voided\n", "a" * 129, 5]
)
def test_an_action_is_a_dotted_name(registry, action):
    with pytest.raises(ConfigurationError, match="dotted name"):
        registry.event_type(action)(Item)


@pytest.mark.parametrize(
    ("options", "model", "said"),
    [
        ({"version": 0}, Item, "whole number"),
        ({"version": True}, Item, "whole number"),
        ({"version": 2**31}, Item, "whole number"),
        ({"durability": "maybe"}, Item, "buffered, durable, atomic"),
        ({}, dict, "pydantic model"),
        ({}, Item(sku="a"), "pydantic model"),
        ({}, RootModel[list[int]], "pydantic model"),
    ],
)
def test_a_type_that_no_event_can_have_is_refused(registry, options, model, said):
    with pytest.raises(ConfigurationError, match=said):
        registry.event_type("order.created", **options)(model)


def test_the_export_tells_what_readers_find_and_what_writers_give(registry):
    registry.event_type("a.first", version=2, durability="durable")(VoidedLater)
    document = registry.export()
    assert list(document["events"]) == ["a.first", "payment.voided"]
    voided = document["events"]["payment.voided"]["1"]
    assert voided["durability"] == "atomic"
    # Events always carry what has a default; callers may leave it out.
    assert voided["read"]["required"] == ["amount", "currency", "items", "labels"]
    assert voided["write"]["required"] == ["amount"]
    assert document["events"]["a.first"]["2"]["read"]["properties"]["total"]["type"] == "string"
    assert json.loads(json.dumps(document)) == document


def test_optional_keys_of_a_typed_dict_stay_optional(registry):
    from typing import NotRequired

    from typing_extensions import TypedDict

    class Keys(TypedDict):
        one: int
        two: NotRequired[int]

    class Holder(BaseModel):
        keys: Keys

    registry.event_type("a.holder")(Holder)
    schema = registry.export()["events"]["a.holder"]["1"]["read"]
    assert schema["$defs"]["Keys"]["required"] == ["one"]


def test_a_model_without_a_json_schema_is_named_by_the_export_and_checks_all_the_same(registry):
    class Odd(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)

        number: int
        thing: Manual | None = None

    registry.event_type("a.odd")(Odd)
    with pytest.raises(ConfigurationError, match=r"a\.odd version 1: Odd has no JSON Schema"):
        registry.export()
    assert paths(registry, {"number": "x"}, "a.odd") == ("payload.number",)
    assert registry.check("a.odd", {"number": 1}) == ({"number": 1, "thing": None}, 1)


def test_the_decorator_registers_in_the_default_registry_or_the_one_it_is_given(registry):
    @event_type("order.typed", version=3, durability="durable", registry=registry)
    class Typed(BaseModel):
        number: int

    assert registry.find("order.typed").model is Typed
    assert DEFAULT_REGISTRY.find("order.typed") is None

    @event_type("test_schema_registry.only_here")
    class Here(BaseModel):
        number: int

    assert DEFAULT_REGISTRY.find("test_schema_registry.only_here").model is Here
    assert Here(number=1).number == 1


def test_a_producer_holds_successes_to_their_type_and_says_which_version():
    registry = SchemaRegistry()

    @registry.event_type("order.paid", version=3)
    class OrderPaid(BaseModel):
        amount: int
        currency: str = "EUR"

    async def main():
        sink = MemorySink()
        async with AuditProducer(
            sink, service="shop", schemas=registry.check, registry=CollectorRegistry()
        ) as producer:
            said = [
                producer.emit("order.paid", payload={"amount": 5}, context=CONTEXT),
                producer.emit("order.paid", payload={"amount": "much"}, context=CONTEXT),
                producer.emit("order.paid", context=CONTEXT),
                producer.emit("order.paid", outcome="failure", payload={"error": "declined"}, context=CONTEXT),
                producer.emit("order.seen", payload={"any": 1}, context=CONTEXT),
            ]
        return [(one.status, one.reason) for one in said], [(e.payload, e.schema_version) for e in sink.events]

    said, events = asyncio.run(main())
    refused = ("rejected", "invalid_payload")
    assert said == [("accepted", None), refused, refused, ("accepted", None), ("accepted", None)]
    assert events == [({"amount": 5, "currency": "EUR"}, 3), ({"error": "declined"}, 1), ({"any": 1}, 1)]
