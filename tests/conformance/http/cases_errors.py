"""Each error in both media types, what frameworks raise themselves, and the order in which things are refused."""

from __future__ import annotations

from typing import Any

from tests.conformance.http.case import IDENTITY, PROBLEM, Case, envelope, identity, ok, problem, streamed
from tests.conformance.http.cases_identity import BAD_TENANT, NO_TENANT

# Kind of the shop's errors: status, title, code, message, headers, further members.
KINDS: dict[str, tuple[int, str, str, str, dict[str, str], dict[str, Any]]] = {
    "bad_request": (
        400,
        "Bad Request",
        "bad_request",
        "Field a is wrong.",
        {},
        {"errors": [{"field": "a", "message": "is wrong"}]},
    ),
    "missing_tenant_id": (400, "Bad Request", "missing_tenant_id", "X-Tenant-ID is required.", {}, {}),
    "unauthorized": (401, "Unauthorized", "unauthorized", "Unauthorized.", {"www-authenticate": "Bearer"}, {}),
    "forbidden": (403, "Forbidden", "forbidden", "Forbidden.", {}, {}),
    "missing_role": (
        403,
        "Forbidden",
        "missing_role",
        "A required capability is missing.",
        {},
        {"missing_role": "payment_access"},
    ),
    "not_found": (404, "Not Found", "customer_not_found", "No such customer.", {}, {}),
    "conflict": (409, "Conflict", "conflict", "Conflict.", {}, {}),
    "method_not_allowed": (
        405,
        "Method Not Allowed",
        "method_not_allowed",
        "Method Not Allowed.",
        {"allow": "GET, POST"},
        {},
    ),
    "payload_too_large": (413, "Request Entity Too Large", "payload_too_large", "Request Entity Too Large.", {}, {}),
    "unprocessable": (
        422,
        "Unprocessable Entity",
        "unprocessable",
        "Unprocessable Entity.",
        {},
        {"errors": [{"field": "b", "message": "ist ungültig"}]},
    ),
    "rate_limited": (
        429,
        "Too Many Requests",
        "rate_limited",
        "Too Many Requests.",
        {"retry-after": "7"},
        {"retry_after": 7},
    ),
    "unavailable": (
        503,
        "Service Unavailable",
        "unavailable",
        "Service Unavailable.",
        {"retry-after": "3"},
        {"retry_after": 3},
    ),
    "internal": (
        500,
        "Internal Server Error",
        "internal_error",
        "The server failed; quote the trace id to support.",
        {},
        {},
    ),
}
FRAMEWORK = {
    404: ("not_found", "Not Found."),
    409: ("conflict", "Conflict."),
    415: ("bad_request", "Unsupported Media Type"),
    422: ("unprocessable", "Unprocessable Entity."),
    503: ("unavailable", "Service Unavailable."),
}
NOT_FOUND = envelope(404, "not_found", "Not Found.")
CRASHED = envelope(500, "internal_error", "The server failed; quote the trace id to support.")
GDPR_MISSING = envelope(403, "missing_role", "A required capability is missing.", missing_role="gdpr_manage")
TOO_LARGE = envelope(413, "payload_too_large", "Request Entity Too Large.")
WRITE_MISSING = envelope(403, "missing_role", "A required capability is missing.", missing_role="customer_write")


def method_not_allowed(allow: str) -> Any:
    return envelope(405, "method_not_allowed", "Method Not Allowed.", headers={"allow": allow})


CASES = [
    *(
        Case(f"error/{kind}", envelope(status, code, message, headers=headers, **more), target=f"/errors/{kind}")
        for kind, (status, _, code, message, headers, more) in KINDS.items()
    ),
    *(
        Case(
            f"error/{kind}-as-problem",
            problem(status, title, code, message, headers=headers, **more),
            target=f"/errors/{kind}",
            headers=identity(("Accept", PROBLEM)),
        )
        for kind, (status, title, code, message, headers, more) in KINDS.items()
    ),
    *(
        Case(f"framework/{status}", envelope(status, code, message), target=f"/framework/{status}")
        for status, (code, message) in FRAMEWORK.items()
    ),
    Case("crash/is-opaque", CRASHED, target="/crash"),
    Case(
        "crash/as-problem",
        problem(500, "Internal Server Error", "internal_error", "The server failed; quote the trace id to support."),
        target="/crash",
        headers=identity(("Accept", PROBLEM)),
    ),
    Case("nested/denied-inside-the-handler", GDPR_MISSING, target="/nested"),
    Case("nested/allowed", ok("done"), target="/nested", headers=identity(("X-Roles", "Admin"))),
    Case("route/none", NOT_FOUND, target="/none"),
    Case("route/none-below", NOT_FOUND, target="/things/1/2"),
    Case("route/none-in-a-part", NOT_FOUND, target="/sub/none"),
    Case("route/root", NOT_FOUND, target="/"),
    Case("route/part", ok("7"), target="/sub/things/7"),
    Case("route/query-is-no-path", ok("7"), target="/things/7?id=8&X-Roles=Admin"),
    Case("route/encoded", ok("a b"), target="/things/a%20b"),
    Case("body/echoed", ok("x" * 1024), method="POST", target="/echo", body=b"x" * 1024),
    Case("body/too-large", TOO_LARGE, method="POST", target="/echo", body=b"x" * 1025),
    Case("stream/has-its-context", streamed("u-1;u-1;u-1;"), target="/stream"),
    Case("public/without-identity", ok("hello"), target="/hello", headers=[]),
    Case("public/with-a-bad-identity", ok("hello"), target="/hello", headers=[("X-Tenant-ID", "x")]),
    # The order: 400 identity, then 404 and 405, then 403, then the handler's own.
    Case("order/identity-before-no-route", NO_TENANT, target="/none", headers=[]),
    Case("order/bad-identity-before-no-route", BAD_TENANT, target="/none", headers=identity(("X-Tenant-ID", "x"))),
    Case("order/identity-before-no-route-in-a-part", NO_TENANT, target="/sub/none", headers=[]),
    Case("order/identity-before-method", NO_TENANT, method="POST", target="/whoami", headers=[]),
    Case(
        "order/method-before-capability",
        method_not_allowed("GET, HEAD, OPTIONS"),
        method="POST",
        target="/cap/gdpr_manage",
    ),
    Case(
        "order/identity-before-capability",
        NO_TENANT,
        target="/cap/gdpr_manage",
        headers=identity(without="X-Tenant-ID"),
    ),
    Case("order/capability-before-the-body", WRITE_MISSING, method="POST", target="/things/1", body=b"x" * 2000),
    Case("order/identity-before-the-body", NO_TENANT, method="POST", target="/echo", headers=[], body=b"x" * 1025),
]
del IDENTITY
