"""The whole matrix over HTTP: six roles, eight capabilities, every framework, and all sets of roles."""

from __future__ import annotations

import json
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from tests.conformance.http.case import TRACE_ID, TRACEPARENT
from tests.conformance.http.conftest import ADAPTERS
from tests.conformance.http.kept_connection import KeptConnection
from tests.conformance.http.shop import CAPABILITIES, TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.http.conftest import Shops
    from tests.conformance.http.raw_http import Answer

ROLES = ("SuperAdmin", "Admin", "Manager", "Inventory", "Cashier", "Support")
# As published: a cell for each of the roles above, and what a denial names.
TABLE = {
    "inventory_view": ("++++--", "inventory_view"),
    "customer_view": ("+++-++", "customer_view"),
    "customer_write": ("+++---", "customer_write"),
    "payment_process": ("+++-+-", "payment_access"),
    "loyalty_view": ("+++++-", "loyalty_view"),
    "gdpr_manage": ("++----", "gdpr_manage"),
    "audit_view": ("+++--+", "audit_view"),
    "audit_view_unredacted": ("++----", "audit_view_unredacted"),
}
UNKNOWN = ("Root", "superadmin2", "Super Admin", "*", "Admin;", "customer_write")


def granting(capability: str) -> list[str]:
    return [role for role, cell in zip(ROLES, TABLE[capability][0], strict=True) if cell == "+"]


class Client:
    """Asks one shop for a capability in the name of some roles."""

    def __init__(self, connection: KeptConnection) -> None:
        self._connection = connection

    def ask(self, capability: str, *roles: str) -> Answer:
        headers = f"X-Tenant-ID: {TENANT}\r\nX-Roles: {','.join(roles)}\r\ntraceparent: {TRACEPARENT}"
        request = f"GET /cap/{capability} HTTP/1.1\r\nHost: shop.test\r\n{headers}\r\n\r\n"
        answer = self._connection.exchange(request.encode())
        assert answer is not None
        return answer

    def allows(self, capability: str, *roles: str) -> bool:
        answer = self.ask(capability, *roles)
        assert answer.status in {200, 403}
        return answer.status == 200


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def client(adapter: str, shops: Shops) -> Iterator[Client]:
    with KeptConnection(shops.port(adapter, "mesh")) as connection:
        yield Client(connection)


def test_the_table_is_whole() -> None:
    assert tuple(TABLE) == CAPABILITIES
    assert all(len(cells) == len(ROLES) and set(cells) <= {"+", "-"} for cells, _ in TABLE.values())


@pytest.mark.parametrize("capability", TABLE)
@pytest.mark.parametrize("role", ROLES)
def test_cell(role: str, capability: str, client: Client) -> None:
    answer = client.ask(capability, role)
    if role in granting(capability):
        assert (answer.status, answer.body) == (200, capability.encode())
        assert answer.header("x-error-code") is None
        return
    assert (answer.status, answer.header("x-error-code")) == (403, "missing_role")
    assert json.loads(answer.body) == {
        "code": "missing_role",
        "message": "A required capability is missing.",
        "trace_id": TRACE_ID,
        "missing_role": TABLE[capability][1],
    }


@pytest.mark.parametrize("capability", TABLE)
def test_roles_add_up_and_none_takes_away(capability: str, client: Client) -> None:
    for size in range(len(ROLES) + 1):
        for roles in combinations(ROLES, size):
            assert client.allows(capability, *roles) == any(role in granting(capability) for role in roles), roles


@pytest.mark.parametrize("capability", TABLE)
def test_unknown_roles_add_nothing(capability: str, client: Client) -> None:
    assert not client.allows(capability, *UNKNOWN)
    for role in ROLES:
        assert client.allows(capability, *UNKNOWN, role) == (role in granting(capability))


@pytest.mark.parametrize("capability", TABLE)
def test_a_denial_that_may_tell_names_the_roles_that_would_do(capability: str, adapter: str, shops: Shops) -> None:
    with KeptConnection(shops.port(adapter, "roles")) as connection:
        body = json.loads(Client(connection).ask(capability).body)
    assert body["message"] == f"Needs one of these roles: {', '.join(sorted(granting(capability)))}."
    assert body["missing_role"] == TABLE[capability][1]
