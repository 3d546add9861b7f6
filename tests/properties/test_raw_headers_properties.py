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
    raw = outcome(lambda: extract_raw(headers, settings=SETTINGS, client_ip="192.0.2.1"))
    assert raw == outcome(lambda: extract_context(pairs, settings=SETTINGS, client_ip="192.0.2.1"))


def test_an_example_of_each() -> None:
    parent = b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"
    states = [(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    context = extract_raw([(b"x-tenant-id", TENANT), (b"traceparent", parent), *states], settings=SETTINGS)
    assert (str(context.tenant_id), context.trace.tracestate) == (TENANT.decode(), "a=1,b=2")
    with pytest.raises(ApiError, match="underscores"):
        extract_raw([(b"x-tenant-id", TENANT), (b"x_roles", b"Admin")], settings=SETTINGS)
