"""What a case is: a request to the byte, and the answer that every framework must give to the byte."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.conformance.http.raw_http import Text, request_bytes
from tests.conformance.http.shop import TENANT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.http.raw_http import Answer

Headers = list[tuple[Text, Text]]

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"
TRACED: Headers = [("traceparent", TRACEPARENT)]
IDENTITY: Headers = [("X-Tenant-ID", TENANT), ("X-Roles", "Cashier"), ("X-User-ID", "u-1"), *TRACED]
PROBLEM = "application/problem+json"

# What a contract says of an answer; what is not expected must be absent.
CONTRACT = (
    "content-type",
    "content-length",
    "x-error-code",
    "x-trace-id",
    "www-authenticate",
    "allow",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "location",
    "cache-control",
)


@dataclass(frozen=True, slots=True)
class Expected:
    """An answer; `{trace}` in the body stands for the trace id that the headers name."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One request and its answer.

    Args:
        name: unique in the list.
        expected: the answer.
        method: of the request line.
        target: of the request line.
        headers: exactly these, or what a function returns when the case is run, for signatures of the hour.
        body: of the request.
        variant: which gate stands before the shop.
        wsgi: another answer for frameworks behind a WSGI server, which joins and drops headers before they see them.
    """

    name: str
    expected: Expected
    method: str = "GET"
    target: str = "/whoami"
    headers: Headers | Callable[[], Headers] = field(default_factory=lambda: list(IDENTITY))
    body: bytes = b""
    variant: str = "mesh"
    wsgi: Expected | None = None

    def request(self) -> bytes:
        headers = self.headers() if callable(self.headers) else self.headers
        return request_bytes(self.method, self.target, headers, self.body)

    def expect(self, adapter: str) -> Expected:
        return self.wsgi if self.wsgi is not None and adapter == "flask" else self.expected


def seen(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """Return what the contract covers of an answer, the trace id put aside when it is the server's own."""
    trace = answer.header("x-trace-id") or ""
    headers = {name: value for name in CONTRACT if (value := answer.header(name)) is not None}
    headers.pop("x-trace-id", None)
    return answer.status, headers, answer.body.replace(trace.encode(), b"{trace}") if trace else answer.body


def wanted(case: Case, expected: Expected) -> tuple[int, dict[str, str], bytes]:
    """Return the same of what a case expects."""
    body = expected.body.encode()
    headers = {name: value for name, value in expected.headers.items() if name != "-"}
    if "-" not in expected.headers:
        # The trace id is 32 digits, wherever it comes from.
        headers.setdefault("content-length", str(len(expected.body.replace("{trace}", "0" * 32).encode())))
    return expected.status, headers, b"" if case.method == "HEAD" else body


def ok(body: str, kind: str = "text/plain", **headers: str) -> Expected:
    return Expected(200, body, {"content-type": kind, **_dashed(headers)})


def streamed(body: str) -> Expected:
    """A body without a length of its own."""
    return Expected(200, body, {"content-type": "text/plain", "-": ""})


def envelope(status: int, code: str, message: str, *, headers: dict[str, str] | None = None, **more: Any) -> Expected:
    """The envelope of an error, its members in the order that they have on the wire."""
    body = {"code": code, "message": message, "trace_id": "{trace}", **more}
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Expected(status, text, {"content-type": "application/json", "x-error-code": code, **(headers or {})})


def problem(
    status: int, title: str, code: str, message: str, *, headers: dict[str, str] | None = None, **more: Any
) -> Expected:
    """The same error as RFC 9457 problem details."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": message,
        "instance": "urn:trace:{trace}",
        "code": code,
        "message": message,
        "trace_id": "{trace}",
        **more,
    }
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Expected(status, text, {"content-type": PROBLEM, "x-error-code": code, **(headers or {})})


def options(allow: str) -> Expected:
    return Expected(204, "", {"allow": allow, "-": ""})


def who(**changes: Any) -> Expected:
    """The context of the usual identity, with what is changed."""
    context: dict[str, Any] = {
        "actor": ["u-1", "user"],
        "agent": None,
        "method": "header",
        "roles": ["Cashier"],
        "session": None,
        "tenant": TENANT,
        "trace": ["{trace}", "b7ad6b7169203331", True, ""],
    }
    context |= changes
    return ok(json.dumps(context, separators=(",", ":"), sort_keys=True), "application/json")


def identity(*changed: tuple[Text, Text], without: str = "") -> Headers:
    """The usual headers with some in the place of those of the same name, or without one."""
    names = {(name if isinstance(name, str) else name.decode("latin-1")).lower() for name, _ in changed} | {
        without.lower()
    }
    return [pair for pair in IDENTITY if str(pair[0]).lower() not in names] + list(changed)


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
