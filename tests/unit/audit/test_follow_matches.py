"""Which events a follower's filters let through: each filter at its edge."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tenaudit.audit import AuditQuery
from tenaudit.audit.follow import matches
from tenaudit.testing.conformance.events import OTHER_TENANT, START, TENANT, an_event

EVENT = an_event(5, severity="warn", action="pay.a", payload={"text": "Äpfel and B", "n": [1, 2]})
AT = START + timedelta(seconds=5)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({}, True), ({"actor": "u-1"}, True), ({"actor": "u-2"}, False), ({"resource_type": "order"}, True),
        ({"resource_type": "Order"}, False), ({"resource_id": "o-5"}, True), ({"resource_id": "o-6"}, False),
        ({"service": "orders"}, True), ({"service": "order"}, False), ({"trace_id": f"{6:032x}"}, True),
        ({"trace_id": f"{7:032x}"}, False), ({"outcome": "success"}, True), ({"outcome": "denied"}, False),
        ({"severity": "warn"}, True), ({"severity": "error"}, False), ({"min_severity": "info"}, True),
        ({"min_severity": "warn"}, True), ({"min_severity": "error"}, False), ({"action": "pay.a"}, True),
        ({"action": "pay"}, False), ({"action": "pay.*"}, True), ({"action": "pa.*"}, False),
        ({"from_": AT}, True), ({"from_": AT + TICK}, False), ({"to": AT}, False), ({"to": AT + TICK}, True),
        ({"q": "and b"}, True), ({"q": "ÄPFEL"}, True), ({"q": "äpfel"}, False), ({"q": '"n":[1,2]'}, True),
        ({"q": '"n": [1'}, False), ({"actor": "u-1", "outcome": "denied"}, False),
    ],
)  # fmt: skip
def test_each_filter(filters: dict[str, Any], fits: bool) -> None:
    assert matches(AuditQuery(TENANT, **filters), EVENT) is fits


def test_another_tenants_event_never_fits() -> None:
    assert not matches(AuditQuery(OTHER_TENANT), EVENT)


def test_an_absent_field_fits_no_value() -> None:
    assert not matches(AuditQuery(TENANT, actor="None"), an_event(1, actor_id=None))
