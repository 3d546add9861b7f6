"""Reading header bytes is reading the same pairs as text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenaudit import ApiError
from tenaudit.security import IDENTITY_HEADERS, SecuritySettings, extract_context, extract_raw

TENANT = b"7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
OTHERS = (b"traceparent", b"tracestate", b"user-agent", b"x_roles", b"accept", b"x_other", b"x-tenant_id")
NAMES = st.sampled_from([*(name.encode() for name in sorted(IDENTITY_HEADERS)), *OTHERS])
VALUES = st.one_of(
    st.sampled_from(
        [TENANT, b"Cashier", b"Cashier,Admin", b"u-1", b"a=1", b"", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"]
    ),
    st.binary(max_size=20),
)
SETTINGS = SecuritySettings(random_bytes=bytes, on_unknown_roles=lambda _count: None)


def outcome(read: Any) -> Any:
    try:
        return read()
    except ApiError as error:
        return error.code, error.message, error.errors


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.booleans())
def test_both_readings_agree(headers: list[tuple[bytes, bytes]], with_tenant: bool) -> None:
    if with_tenant:
        headers = [*headers, (b"x-tenant-id", TENANT)]
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    said = outcome(lambda: extract_context(pairs, settings=SETTINGS, client_ip="192.0.2.1"))
    # The second time an identity is known, and only the trace is read.
    for _ in range(2):
        assert outcome(lambda: extract_raw(headers, settings=SETTINGS, client_ip="192.0.2.1")) == said


@pytest.mark.parametrize(
    ("traced", "told"),
    [
        ({"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}, ("1" * 32, "2" * 16, True, "")),
        ({"traceparent": " 00-" + "1" * 32 + "-" + "2" * 16 + "-00\t"}, ("1" * 32, "2" * 16, False, "")),
        (
            {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "tracestate": "a=1"},
            ("1" * 32, "2" * 16, True, "a=1"),
        ),
        ({"traceparent": "bad", "x-trace-id": "3" * 32}, ("3" * 32, None, False, "")),
        ({"x-trace-id": "3" * 32}, ("3" * 32, None, False, "")),
        ({"tracestate": "a=1"}, ("0" * 32, None, False, "")),
        ({}, ("0" * 32, None, False, "")),
    ],
)
def test_a_known_caller_comes_in_a_trace_of_its_own(traced: dict[str, str], told: tuple[Any, ...]) -> None:
    settings = SecuritySettings(random_bytes=bytes)
    known = [(b"x-tenant-id", TENANT), (b"x-user-id", b"u-1"), (b"x-roles", b"Cashier"), (b"user-agent", b"curl")]
    extract_raw([*known, (b"x-trace-id", b"9" * 32)], settings=settings)
    pairs = [(name.encode(), value.encode()) for name, value in traced.items()]
    context = extract_raw([*known, *pairs], settings=settings, client_ip="192.0.2.1")
    trace = context.trace
    assert (trace.trace_id, trace.parent_id, trace.sampled, trace.tracestate) == told
    assert (str(context.tenant_id), context.actor.id, context.roles) == (TENANT.decode(), "u-1", {"Cashier"})
    assert (context.client_ip, context.user_agent) == ("192.0.2.1", "curl")


@pytest.mark.parametrize("changed", ["x-tenant-id", "x-roles", "x-user-id", "x-actor-type", "x-auth-method"])
@pytest.mark.parametrize("more", ["x-session-id", "user-agent"])
def test_who_differs_in_one_header_is_not_taken_for_the_other(changed: str, more: str) -> None:
    settings = SecuritySettings(random_bytes=bytes)
    one = {"x-tenant-id": TENANT.decode(), "x-roles": "Cashier", "x-user-id": "u-1", "x-actor-type": "service"}
    one |= {"x-auth-method": "jwt", "x-session-id": "s-1", "user-agent": "curl"}
    others = {"x-tenant-id": "11111111-2222-4333-8444-555555555555", "x-roles": "Admin", "x-user-id": "u-2"}
    others |= {"x-actor-type": "user", "x-auth-method": "api_key", "x-session-id": "s-2", "user-agent": "wget"}
    callers = [one, *({**one, name: others[name]} for name in (changed, more))]
    for caller in [*callers, *callers]:
        pairs = list(caller.items())
        read = extract_raw([(name.encode(), value.encode()) for name, value in pairs], settings=settings)
        assert read == extract_context(pairs, settings=SecuritySettings(random_bytes=bytes))


def test_a_twin_of_a_known_caller_is_refused() -> None:
    settings = SecuritySettings(random_bytes=bytes)
    known = [(b"x-tenant-id", TENANT), (b"x-roles", b"Cashier")]
    for _ in range(2):
        assert extract_raw(known, settings=settings).roles == {"Cashier"}
        with pytest.raises(ApiError, match="underscores"):
            extract_raw([*known, (b"x_roles", b"Admin")], settings=settings)


def test_a_header_that_a_known_caller_sends_twice_is_refused() -> None:
    settings = SecuritySettings(random_bytes=bytes)
    known = [(b"x-tenant-id", TENANT), (b"x-roles", b"Cashier")]
    for harmless in ([], [(b"accept", b"a"), (b"accept", b"b")]):
        for _ in range(2):
            assert extract_raw([*known, *harmless], settings=settings).roles == {"Cashier"}
            for name, value in known:
                with pytest.raises(ApiError) as caught:
                    extract_raw([*known, (name, value)], settings=settings)
                assert caught.value.code == "ambiguous_header"


def test_headers_may_come_from_anything_that_can_be_read_once() -> None:
    pairs = [(b"x-tenant-id", TENANT), (b"x-roles", b"Cashier")]
    assert extract_raw(iter(pairs), settings=SETTINGS) == extract_raw(tuple(pairs), settings=SETTINGS)


def test_an_example_of_each() -> None:
    parent = b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"
    states = [(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    context = extract_raw([(b"x-tenant-id", TENANT), (b"traceparent", parent), *states], settings=SETTINGS)
    assert (str(context.tenant_id), context.trace.tracestate) == (TENANT.decode(), "a=1,b=2")
    with pytest.raises(ApiError, match="underscores"):
        extract_raw([(b"x-tenant-id", TENANT), (b"x_roles", b"Admin")], settings=SETTINGS)
