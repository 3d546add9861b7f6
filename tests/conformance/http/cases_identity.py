"""Each rule of the identity headers (the table of headers in the reference)."""

from __future__ import annotations

from tests.conformance.http.case import IDENTITY, TRACED, Case, Expected, envelope, identity, who
from tests.conformance.http.shop import TENANT

NO_TENANT = envelope(400, "missing_tenant_id", "X-Tenant-ID is required.")
BAD_TENANT = envelope(
    400,
    "invalid_tenant_id",
    "X-Tenant-ID is not a UUID in canonical text form.",
    errors=[{"field": "X-Tenant-ID", "message": "must be a UUID such as 7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"}],
)
BAD_USER = envelope(
    400,
    "invalid_user_id",
    "X-User-ID is too long or holds control characters.",
    errors=[{"field": "X-User-ID", "message": "at most 256 bytes, no control characters"}],
)


def ambiguous(name: str) -> Expected:
    return envelope(
        400,
        "ambiguous_header",
        f"{name} was sent more than once.",
        errors=[{"field": name, "message": "takes one value, spelled with hyphens"}],
    )


def twin(name: str) -> Expected:
    return envelope(
        400,
        "ambiguous_header",
        "A header is spelled with underscores.",
        errors=[{"field": name, "message": "takes one value, spelled with hyphens"}],
    )


MALFORMED_TENANTS = {
    "braces": f"{{{TENANT}}}",
    "urn": f"urn:uuid:{TENANT}",
    "no-hyphens": TENANT.replace("-", ""),
    "short": TENANT[:-1],
    "long": f"{TENANT}0",
    "no-hex": "g" + TENANT[1:],
    "moved-hyphen": "7b0e4c9-e6f0a-4d5c-9f0e-0a1b2c3d4e5f",
    "space-inside": TENANT[:8] + " " + TENANT[9:],
    "word": "default",
    "number": "1",
    "null": "null",
    "slash": f"{TENANT}/",
    "latin-digits": TENANT[:-1] + "\xb2",
    "quote": f'"{TENANT}"',
    "semicolon": f"{TENANT};a=1",
    "very-long": "a" * 3000,
}

CASES = [
    Case("tenant/absent", NO_TENANT, headers=identity(without="X-Tenant-ID")),
    Case("tenant/empty", NO_TENANT, headers=identity(("X-Tenant-ID", ""))),
    Case("tenant/blank", NO_TENANT, headers=identity(("X-Tenant-ID", " \t "))),
    Case("tenant/nothing-at-all", NO_TENANT, headers=[]),
    *(
        Case(f"tenant/malformed-{name}", BAD_TENANT, headers=identity(("X-Tenant-ID", value)))
        for name, value in MALFORMED_TENANTS.items()
    ),
    Case("tenant/upper-case", who(), headers=identity(("X-Tenant-ID", TENANT.upper()))),
    Case("tenant/whitespace-around", who(), headers=identity(("X-Tenant-ID", f"  {TENANT} \t"))),
    Case(
        "tenant/nil",
        who(tenant="00000000-0000-0000-0000-000000000000"),
        headers=identity(("X-Tenant-ID", "00000000-0000-0000-0000-000000000000")),
    ),
    Case("tenant/twice-equal", ambiguous("X-Tenant-ID"), headers=[*IDENTITY, ("X-Tenant-ID", TENANT)]),
    Case("tenant/twice-different", ambiguous("X-Tenant-ID"), headers=[*IDENTITY, ("x-tenant-id", "1" * 36)]),
    Case("tenant/comma", ambiguous("X-Tenant-ID"), headers=identity(("X-Tenant-ID", f"{TENANT},{TENANT}"))),
    Case("tenant/name-in-other-case", who(), headers=identity(("x-TENANT-id", TENANT))),
    # gunicorn drops a name with an underscore, so the service behind it never sees the twin.
    Case("tenant/twin", twin("x_tenant_id"), headers=[*IDENTITY, ("X_Tenant_ID", TENANT)], wsgi=who()),
    Case(
        "tenant/twin-alone",
        twin("x_tenant_id"),
        headers=identity(("X_Tenant_ID", TENANT), without="X-Tenant-ID"),
        wsgi=NO_TENANT,
    ),
    Case("roles/absent", who(roles=[]), headers=identity(without="X-Roles")),
    Case("roles/empty", who(roles=[]), headers=identity(("X-Roles", ""))),
    Case("roles/several", who(roles=["Admin", "Cashier"]), headers=identity(("X-Roles", "Cashier,Admin"))),
    Case("roles/case-and-space", who(roles=["Admin", "Cashier"]), headers=identity(("X-Roles", " cASHIER ,\tadmin"))),
    Case("roles/unknown", who(roles=["Cashier"]), headers=identity(("X-Roles", "Root,Cashier,root,Wheel"))),
    Case("roles/unknown-only", who(roles=[]), headers=identity(("X-Roles", "Root"))),
    Case("roles/empty-members", who(roles=["Cashier"]), headers=identity(("X-Roles", ",,Cashier,, ,"))),
    Case("roles/repeated-inside", who(roles=["Cashier"]), headers=identity(("X-Roles", "Cashier,Cashier,cashier"))),
    Case("roles/semicolon-is-no-separator", who(roles=[]), headers=identity(("X-Roles", "Cashier;Admin"))),
    Case("roles/quoted", who(roles=[]), headers=identity(("X-Roles", '"Cashier"'))),
    Case("roles/prefix-is-no-role", who(roles=[]), headers=identity(("X-Roles", "Cash,Admins,SuperAdminX"))),
    Case("roles/latin-letters", who(roles=[]), headers=identity(("X-Roles", "Cash\xefer"))),
    # Two headers are one text to WSGI; only a signed context tells them apart there.
    Case(
        "roles/two-headers",
        ambiguous("X-Roles"),
        headers=[*IDENTITY, ("X-Roles", "Cashier")],
        wsgi=who(roles=["Cashier"]),
    ),
    Case("roles/twin", twin("x_roles"), headers=[*IDENTITY, ("X_Roles", "SuperAdmin")], wsgi=who()),
    Case("roles/half-twin", who(), headers=identity(("X-Roles", "Cashier"), ("XRoles", "SuperAdmin"))),
    Case("user/absent", who(actor=[None, "anonymous"]), headers=identity(without="X-User-ID")),
    Case("user/empty", who(actor=[None, "anonymous"]), headers=identity(("X-User-ID", ""))),
    Case("user/at-the-limit", who(actor=["u" * 256, "user"]), headers=identity(("X-User-ID", "u" * 256))),
    Case("user/over-the-limit", BAD_USER, headers=identity(("X-User-ID", "u" * 257))),
    Case("user/bytes-are-counted", BAD_USER, headers=identity(("X-User-ID", "\xe9" * 129))),
    Case("user/latin-1", who(actor=["\xe9t\xe9", "user"]), headers=identity(("X-User-ID", "\xe9t\xe9"))),
    Case("user/utf-8-bytes", who(actor=["\xc3\xa9", "user"]), headers=identity(("X-User-ID", "é".encode()))),
    Case("user/c1-control", BAD_USER, headers=identity(("X-User-ID", "u\x85"))),
    Case("user/tab-inside", BAD_USER, headers=identity(("X-User-ID", "u\t1"))),
    Case("user/comma", ambiguous("X-User-ID"), headers=identity(("X-User-ID", "u-1,u-2"))),
    Case("user/twice", ambiguous("X-User-ID"), headers=[*IDENTITY, ("X-User-ID", "u-1")]),
    Case("user/twin", twin("x_user_id"), headers=[*IDENTITY, ("X_User_ID", "root")], wsgi=who()),
    Case("user/twin-one-underscore", twin("x-user_id"), headers=[*IDENTITY, ("X-User_ID", "root")], wsgi=who()),
    Case("user/symbols", who(actor=["auth0|a b<c>&'d", "user"]), headers=identity(("X-User-ID", "auth0|a b<c>&'d"))),
    *(
        Case(f"actor-type/{kind}", who(actor=["u-1", kind]), headers=[*IDENTITY, ("X-Actor-Type", kind)])
        for kind in ("user", "service", "api_key", "system")
    ),
    Case("actor-type/unknown", who(), headers=[*IDENTITY, ("X-Actor-Type", "root")]),
    Case(
        "actor-type/without-user",
        who(actor=[None, "anonymous"]),
        headers=identity(("X-Actor-Type", "system"), without="X-User-ID"),
    ),
    Case(
        "actor-type/twice",
        ambiguous("X-Actor-Type"),
        headers=[*IDENTITY, ("X-Actor-Type", "user"), ("X-Actor-Type", "system")],
    ),
    Case("session/given", who(session="s-1"), headers=[*IDENTITY, ("X-Session-ID", "s-1")]),
    Case("session/out-of-form", who(), headers=[*IDENTITY, ("X-Session-ID", "a b")]),
    Case("session/too-long", who(), headers=[*IDENTITY, ("X-Session-ID", "s" * 129)]),
    Case("session/twice", ambiguous("X-Session-ID"), headers=[*IDENTITY, ("X-Session-ID", "a"), ("X-Session-ID", "b")]),
    Case("method/given", who(method="jwt"), headers=[*IDENTITY, ("X-Auth-Method", "jwt")]),
    Case("method/out-of-form", who(), headers=[*IDENTITY, ("X-Auth-Method", "j\xfct")]),
    Case(
        "method/twice", ambiguous("X-Auth-Method"), headers=[*IDENTITY, ("X-Auth-Method", "a"), ("X-Auth-Method", "b")]
    ),
    Case("agent/given", who(agent="curl/8"), headers=[*IDENTITY, ("User-Agent", "curl/8")]),
    Case("agent/cut", who(agent="a" * 512), headers=[*IDENTITY, ("User-Agent", "a" * 600)]),
    Case(
        "forwarded/is-not-believed",
        who(),
        headers=[
            *IDENTITY,
            ("X-Forwarded-For", "10.0.0.1"),
            ("Forwarded", "for=10.0.0.1"),
            ("X-Forwarded-User", "root"),
        ],
    ),
    Case(
        "connection/cannot-hide-the-tenant", who(), headers=[*IDENTITY, ("Connection", "close, X-Tenant-ID, X-Roles")]
    ),
    Case("errors/name-a-trace-of-their-own", NO_TENANT, headers=[("X-Roles", "Cashier")]),
    Case("errors/continue-the-trace", NO_TENANT, headers=list(TRACED)),
]
