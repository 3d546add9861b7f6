"""What a denied client may read, and the credentials of an edge."""

from __future__ import annotations

from tests.conformance.http.case import TRACED, Case, envelope, identity, ok, who
from tests.conformance.http.cases_errors import NOT_FOUND
from tests.conformance.http.shop import API_KEY, TENANT

MISSING = "A required capability is missing."
NO_CREDENTIAL = envelope(
    401, "unauthorized", "No credential was presented.", headers={"www-authenticate": "Bearer, ApiKey"}
)
BAD_KEY = envelope(401, "unauthorized", "The API key is not valid.", headers={"www-authenticate": "ApiKey"})
KEY_CONTEXT = who(actor=["ta_0123456789ab", "api_key"], method="api_key", roles=["Inventory"])


def edge(*headers: tuple[str, str]) -> list[tuple[str, str]]:
    return [*TRACED, *headers]


CASES = [
    Case(
        "disclose/capability",
        envelope(403, "missing_role", MISSING, missing_role="gdpr_manage"),
        target="/cap/gdpr_manage",
    ),
    Case(
        "disclose/capability-by-its-denial-name",
        envelope(403, "missing_role", MISSING, missing_role="payment_access"),
        target="/cap/payment_process",
        headers=identity(("X-Roles", "Support")),
    ),
    Case("disclose/none", envelope(403, "missing_role", MISSING), target="/cap/gdpr_manage", variant="none"),
    Case(
        "disclose/roles",
        envelope(
            403,
            "missing_role",
            "Needs one of these roles: Admin, SuperAdmin.",
            missing_role="gdpr_manage",
        ),
        target="/cap/gdpr_manage",
        variant="roles",
    ),
    Case(
        "capability/no-roles",
        envelope(403, "missing_role", MISSING, missing_role="loyalty_view"),
        target="/cap/loyalty_view",
        headers=identity(("X-Roles", "")),
    ),
    Case(
        "capability/roles-add-up",
        ok("loyalty_view"),
        target="/cap/loyalty_view",
        headers=identity(("X-Roles", "Support,Inventory")),
    ),
    Case(
        "capability/unknown-roles-add-nothing",
        envelope(403, "missing_role", MISSING, missing_role="gdpr_manage"),
        target="/cap/gdpr_manage",
        headers=identity(("X-Roles", "Root,Cashier")),
    ),
    Case(
        "capability/anonymous-with-a-role",
        ok("loyalty_view"),
        target="/cap/loyalty_view",
        headers=identity(without="X-User-ID"),
    ),
    Case("edge/key", KEY_CONTEXT, headers=edge(("X-API-Key", API_KEY)), variant="edge"),
    Case("edge/no-credential", NO_CREDENTIAL, headers=edge(), variant="edge"),
    Case("edge/identity-headers-are-no-credential", NO_CREDENTIAL, headers=identity(), variant="edge"),
    Case("edge/wrong-secret", BAD_KEY, headers=edge(("X-API-Key", API_KEY[:-1] + "T")), variant="edge"),
    Case("edge/unknown-key", BAD_KEY, headers=edge(("X-API-Key", "ta_ffffffffffff_" + "S" * 43)), variant="edge"),
    Case("edge/key-out-of-form", BAD_KEY, headers=edge(("X-API-Key", "key")), variant="edge"),
    Case("edge/empty-key", BAD_KEY, headers=edge(("X-API-Key", "")), variant="edge"),
    Case(
        "edge/what-the-client-says-of-itself-is-stripped",
        KEY_CONTEXT,
        headers=edge(
            ("X-API-Key", API_KEY),
            ("X-Tenant-ID", "11111111-2222-4333-8444-555555555555"),
            ("X-Tenant-ID", TENANT),
            ("X-Roles", "SuperAdmin"),
            ("X_Roles", "SuperAdmin"),
            ("x-user-id", "root"),
            ("X-Session-ID", "stolen"),
            ("X-Actor-Type", "system"),
            ("X-Trace-ID", "1" * 32),
        ),
        variant="edge",
    ),
    Case(
        "edge/capability-of-the-key",
        ok("inventory_view"),
        target="/cap/inventory_view",
        headers=edge(("X-API-Key", API_KEY)),
        variant="edge",
    ),
    Case(
        "edge/no-capability-beyond-the-key",
        envelope(403, "missing_role", MISSING, missing_role="gdpr_manage"),
        target="/cap/gdpr_manage",
        headers=edge(("X-API-Key", API_KEY), ("X-Roles", "SuperAdmin")),
        variant="edge",
    ),
    Case(
        "edge/no-route-for-the-known", NOT_FOUND, target="/none", headers=edge(("X-API-Key", API_KEY)), variant="edge"
    ),
    Case("edge/no-route-for-strangers", NO_CREDENTIAL, target="/none", headers=edge(), variant="edge"),
    Case("edge/public", ok("hello"), target="/hello", headers=edge(), variant="edge"),
]
