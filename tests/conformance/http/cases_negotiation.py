"""Which of the two media types an Accept header gets (RFC 9110 section 12.5.1)."""

from __future__ import annotations

from tests.conformance.http.case import PROBLEM, Case, envelope, identity, problem

PLAIN = envelope(409, "conflict", "Conflict.")
AS_PROBLEM = problem(409, "Conflict", "conflict", "Conflict.")

PLAIN_FOR = {
    "any": "*/*",
    "json": "application/json",
    "html": "text/html",
    "nothing": "",
    "application-any": "application/*",
    "json-preferred": f"application/json, {PROBLEM};q=0.5",
    "refused": f"{PROBLEM};q=0",
    "refused-with-any": f"{PROBLEM};q=0, */*",
    "weight-out-of-form": f"{PROBLEM};q=high",
    "any-preferred": f"*/*, {PROBLEM};q=0.9",
    "garbage": ",;,=;q=,",
    "another-problem": "application/problem+xml",
}
PROBLEM_FOR = {
    "named": PROBLEM,
    "upper-case": PROBLEM.upper(),
    "weighted": f"{PROBLEM};q=0.1",
    "preferred": f"application/json;q=0.5, {PROBLEM}",
    "equal": f"application/json, {PROBLEM}",
    "before-any": f"{PROBLEM}, */*;q=0.1",
    "with-whitespace": f"text/html ,\t{PROBLEM} ; q=1.0",
    "with-a-parameter": f"{PROBLEM};charset=utf-8",
}

CASES = [
    *(
        Case(f"accept/plain-{name}", PLAIN, target="/errors/conflict", headers=identity(("Accept", value)))
        for name, value in PLAIN_FOR.items()
    ),
    *(
        Case(f"accept/problem-{name}", AS_PROBLEM, target="/errors/conflict", headers=identity(("Accept", value)))
        for name, value in PROBLEM_FOR.items()
    ),
    Case(
        "accept/two-headers",
        AS_PROBLEM,
        target="/errors/conflict",
        headers=identity(("Accept", "text/html"), ("Accept", PROBLEM)),
    ),
    Case(
        "accept/of-a-refusal",
        problem(400, "Bad Request", "missing_tenant_id", "X-Tenant-ID is required."),
        headers=[("Accept", PROBLEM)],
    ),
    Case(
        "accept/of-no-route",
        problem(404, "Not Found", "not_found", "Not Found."),
        target="/none",
        headers=identity(("Accept", PROBLEM)),
    ),
]
