"""Each method: allowed, denied, without a route, and what asks about methods."""

from __future__ import annotations

from tests.conformance.http.case import Case, envelope, identity, ok, options
from tests.conformance.http.cases_errors import NOT_FOUND, WRITE_MISSING, method_not_allowed
from tests.conformance.http.cases_identity import NO_TENANT

ALL = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
READ = "GET, HEAD, OPTIONS"
MANAGER = identity(("X-Roles", "Manager"))
VIEW_MISSING = envelope(403, "missing_role", "A required capability is missing.", missing_role="customer_view")
PREFLIGHT = [("Origin", "https://shop.example"), ("Access-Control-Request-Method", "POST")]

CASES = [
    Case("method/GET", ok("1"), target="/things/1"),
    Case("method/HEAD", ok("1"), method="HEAD", target="/things/1"),
    Case("method/GET-denied", VIEW_MISSING, target="/things/1", headers=identity(("X-Roles", "Inventory"))),
    Case(
        "method/HEAD-denied",
        VIEW_MISSING,
        method="HEAD",
        target="/things/1",
        headers=identity(("X-Roles", "Inventory")),
    ),
    Case("method/HEAD-without-identity", NO_TENANT, method="HEAD", target="/things/1", headers=[]),
    Case("method/HEAD-no-route", NOT_FOUND, method="HEAD", target="/none"),
    Case("method/HEAD-public", ok("hello"), method="HEAD", target="/hello", headers=[]),
    *(
        Case(f"method/{method}", ok("1"), method=method, target="/things/1", headers=MANAGER)
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ),
    *(
        Case(f"method/{method}-denied", WRITE_MISSING, method=method, target="/things/1")
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ),
    *(
        Case(f"method/{method}-without-identity", NO_TENANT, method=method, target="/things/1", headers=[])
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ),
    *(
        Case(f"method/{method}-not-allowed", method_not_allowed(READ), method=method, target="/whoami")
        for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
    ),
    Case("method/GET-not-allowed", method_not_allowed("OPTIONS, POST"), target="/echo"),
    Case("method/HEAD-not-allowed", method_not_allowed("OPTIONS, POST"), method="HEAD", target="/echo"),
    Case(
        "method/not-allowed-names-all-routes-of-the-path",
        method_not_allowed(ALL),
        method="PROPFIND",
        target="/things/1",
    ),
    Case("method/not-allowed-in-a-part", method_not_allowed(READ), method="POST", target="/sub/things/1"),
    Case("method/not-allowed-without-identity", NO_TENANT, method="PROPFIND", target="/things/1", headers=[]),
    Case("options/of-a-route", options(READ), method="OPTIONS", target="/whoami"),
    Case("options/of-several-routes", options(ALL), method="OPTIONS", target="/things/1"),
    Case("options/in-a-part", options(READ), method="OPTIONS", target="/sub/things/1", headers=[]),
    Case("options/of-a-public-route", options(READ), method="OPTIONS", target="/hello", headers=[]),
    Case("options/without-identity", options("OPTIONS, POST"), method="OPTIONS", target="/echo", headers=[]),
    Case(
        "options/with-a-bad-identity", options(READ), method="OPTIONS", target="/whoami", headers=[("X-Tenant-ID", "x")]
    ),
    Case("options/preflight", options(READ), method="OPTIONS", target="/cap/gdpr_manage", headers=PREFLIGHT),
    Case("options/no-route", NOT_FOUND, method="OPTIONS", target="/none"),
    Case("options/no-route-without-identity", NO_TENANT, method="OPTIONS", target="/none", headers=[]),
]
