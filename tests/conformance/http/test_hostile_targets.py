"""Hostile spellings of a path, and headers that would move a request to another: none goes round the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.http.cases_trust import signed
from tests.conformance.http.conftest import ADAPTERS
from tests.conformance.http.kept_connection import REFUSALS, exchange_or_none
from tests.conformance.http.raw_http import request_bytes
from tests.conformance.http.shop import TENANT

if TYPE_CHECKING:
    from tests.conformance.http.conftest import Shops

# Ways to write /cap/gdpr_manage, or what a careless router takes for it.
TARGETS = [
    "/cap/gdpr_manage",
    "/cap/gdpr_manage/",
    "//cap/gdpr_manage",
    "/cap//gdpr_manage",
    "/CAP/GDPR_MANAGE",
    "/./cap/gdpr_manage",
    "/hello/../cap/gdpr_manage",
    "/hello/..%2fcap/gdpr_manage",
    "/hello/%2e%2e/cap/gdpr_manage",
    "/cap/gdpr_manage;x=1",
    "/cap/gdpr_manage%00",
    "/cap/gdpr_manage%20",
    "/cap/gdpr%5Fmanage",
    "/%63ap/gdpr_manage",
    "/cap%2Fgdpr_manage",
    "/cap/gdpr_manage%0d%0aX-Roles:%20SuperAdmin",
    "/cap/gdpr_manage?X-Roles=SuperAdmin",
    "/cap/gdpr_manage#/hello",
    "/cap/gdpr_manage%ff",
    "http://shop.test/cap/gdpr_manage",
    "http://bank.test/cap/gdpr_manage",
    "/sub/../cap/gdpr_manage",
    "*",
]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "get", "OPTIONS", "POST"])
@pytest.mark.parametrize("target", TARGETS)
def test_no_spelling_of_a_path_goes_round_the_guard(target: str, method: str, adapter: str, shops: Shops) -> None:
    port = shops.port(adapter, "mesh")
    stranger = exchange_or_none(port, request_bytes(method, target, []))
    cashier = exchange_or_none(port, request_bytes(method, target, [("X-Tenant-ID", TENANT), ("X-Roles", "Cashier")]))
    for answer in (stranger, cashier):
        assert answer is None or answer.status < 500 or answer.status in REFUSALS
        assert answer is None or not 200 <= answer.status < 300 or (method == "OPTIONS" and not answer.body)
    # A stranger is not told by a 403, a 404 or a redirect which paths there are; OPTIONS is answered to anyone.
    assert stranger is None or stranger.status in REFUSALS or (method == "OPTIONS" and stranger.status == 204)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("name", ["SCRIPT_NAME", "Script-Name", "PATH_INFO", "Path-Info", "X-Forwarded-Prefix"])
def test_no_header_moves_a_signed_context_to_another_path(name: str, adapter: str, shops: Shops) -> None:
    admin = [("X-Tenant-ID", TENANT), ("X-Roles", "Admin"), ("X-User-ID", "u-1")]
    # A gateway signs what it is asked for, whether or not the service has such a route.
    moved = [*signed("/hello/cap/gdpr_manage", headers=admin), (name, "/hello")]
    answer = exchange_or_none(shops.port(adapter, "signed"), request_bytes("GET", "/hello/cap/gdpr_manage", [*moved]))
    assert answer is None or answer.status in {401, 404, *REFUSALS}
