"""What it costs to redact one event: 10 paths over a payload of 30 fields, nested three deep, with two lists.

Every side masks the same fields and must leave the same payload before anything is timed. All copy what they change and
leave the event as it was; ours also names what it touched.

Ours: a `Redactor` with its ten paths compiled.
glom: one `Assign` spec a path, compiled, over a deep copy, since it changes what it is given.
jsonpath-ng: one parsed expression a path, `update` over a deep copy, for the same reason.

Not shown: paths with `**` (`redact/deep` is ours alone: the peers have no such walk through lists and objects alike, or
visit every node once a path), hashing.
"""

from __future__ import annotations

import copy
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

from benchmarks.peer import Peer, installed
from benchmarks.result import AtMost, compare
from benchmarks.rounds import Contender, measure
from tenaudit.audit import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]

_PATHS = (
    "actor_id",
    "payload.card.number",
    "payload.card.holder",
    "payload.customer.email",
    "payload.customer.phone",
    "payload.customer.address.street",
    "payload.items[*].note",
    "payload.shipping.address.street",
    "payload.shipping.phone",
    "payload.iban",
)
_DEEP = ("payload.**.email", "payload.**.phone", "payload.**.street", "payload.**.number")
_ADDRESS = {"street": "1 Long Street", "city": "Bern", "zip": "3011", "country": "CH"}
_EVENT: dict[str, Any] = {
    "tenant_id": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f",
    "actor_id": "alice@example.com",
    "action": "order.placed",
    "payload": {
        "order": "o-1",
        "amount": 1999,
        "currency": "CHF",
        "iban": "CH9300762011623852957",
        "card": {"number": "4111111111111111", "holder": "Alice Example", "month": 4, "year": 2030, "brand": "visa"},
        "customer": {"id": "c-1", "email": "alice@example.com", "phone": "+41441112233", "address": _ADDRESS},
        "items": [
            {"sku": "s-1", "count": 2, "note": "a gift for Bob"},
            {"sku": "s-2", "count": 1, "note": "ring twice, please"},
        ],
        "shipping": {"phone": "+41441112234", "express": False, "address": {**_ADDRESS, "street": "2 Long Street"}},
    },
}


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield the ten plain paths beside the peers, and four that go through every depth."""
    peers = installed([Peer("glom", "glom", _glom), Peer("jsonpath-ng", "jsonpath-ng", _jsonpath)], note)
    sides = [_repeated("ours", partial(Redactor(_PATHS), _EVENT)), *peers]
    yield compare("redact", measure(sides, plan), unit="us", scale=1e6, targets=[AtMost(10)])
    deep = [_repeated("ours", partial(Redactor(_DEEP), _EVENT))]
    yield compare("redact/deep", measure(deep, plan), unit="us", scale=1e6)


def _repeated(name: str, redact: Callable[[], object]) -> Contender:
    def run(count: int) -> None:
        for _ in repeat(None, count):
            redact()

    return Contender(name, run)


def _mask(value: str) -> str:
    return f"****{value[-4:]}"


def _checked(name: str, redact: Callable[[], Any]) -> Contender:
    if redact() != Redactor(_PATHS)(_EVENT)[0]:
        raise RuntimeError(f"{name} leaves another event")
    return _repeated(name, redact)


def _glom() -> Contender:
    import glom

    def masked(path: str) -> Any:
        place = path.replace("[*]", ".*")
        return glom.Assign(place, glom.Spec((place, _mask)))

    lists = glom.Spec(("payload.items", [lambda item: item.update(note=_mask(item["note"]))]))
    steps = [masked(path) for path in _PATHS if "[*]" not in path]

    def redact() -> Any:
        event = copy.deepcopy(_EVENT)
        for step in steps:
            glom.glom(event, step)
        glom.glom(event, lists)
        return event

    return _checked("glom", redact)


def _jsonpath() -> Contender:
    from jsonpath_ng import parse

    steps = [parse(f"$.{path}") for path in _PATHS]

    def redact() -> Any:
        event = copy.deepcopy(_EVENT)
        for step in steps:
            step.update(event, lambda value, _data, _field: _mask(value))
        return event

    return _checked("jsonpath-ng", redact)
