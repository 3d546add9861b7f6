"""Between two requests: each header counts, a refusal comes again, and trace and address are read anew."""

from __future__ import annotations

import pytest

from tenaudit.errors import ApiError
from tenaudit.security import Actor, SecuritySettings, extract_context
from tenaudit.security.extract import extract_trace

BASE = ("X-Tenant-ID", "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")
T = "0af7651916cd43dd8448eb211c80319c"


def test_each_identity_header_changes_the_answer():
    settings = SecuritySettings(on_unknown_roles=lambda _: None)
    pairs = [("X-User-ID", "u"), ("X-Roles", "Admin"), ("X-Actor-Type", "service"), ("X-Session-ID", "s")]
    pairs.append(("X-Auth-Method", "jwt"))

    def read(extra):
        ctx = extract_context([BASE, ("X-User-ID", "u"), *extra], settings=settings)
        return ctx.actor, ctx.roles, ctx.session_id, ctx.auth_method

    plain = read([])
    for pair in pairs[1:]:
        assert read([pair]) != plain
        assert read([]) == plain
    assert extract_context([BASE], settings=settings).actor == Actor(None, "anonymous")


@pytest.mark.parametrize("bad", [[BASE, BASE], [BASE, ("X-User-ID", "a,b")], [("X-Tenant-ID", "acme")], []])
def test_a_refusal_is_never_remembered_and_comes_again(bad):
    settings = SecuritySettings()
    extract_context([BASE], settings=settings)
    for _ in range(3):
        with pytest.raises(ApiError):
            extract_context(bad, settings=settings)
    assert len(settings.memo) == 1


def test_the_trace_and_the_user_agent_are_read_anew():
    settings = SecuritySettings()
    first = extract_context([BASE, ("User-Agent", "a"), ("X-Trace-ID", "1" * 32)], settings=settings)
    second = extract_context([BASE, ("User-Agent", "b"), ("X-Trace-ID", "2" * 32)], settings=settings)
    assert (first.user_agent, second.user_agent) == ("a", "b")
    assert (first.trace.trace_id, second.trace.trace_id) == ("1" * 32, "2" * 32)


def test_a_refused_request_still_names_its_trace():
    headers = [BASE, BASE, ("x_roles", "Admin"), ("traceparent", f"00-{T}-b7ad6b7169203331-01")]
    assert extract_trace(headers).trace_id == T
    assert len(extract_trace([]).trace_id) == 32


def test_the_client_address_comes_from_the_server_alone():
    headers = [BASE, ("X-Forwarded-For", "10.0.0.1"), ("X-Real-IP", "10.0.0.1")]
    assert extract_context(headers).client_ip is None
    assert extract_context(headers, client_ip="192.0.2.7").client_ip == "192.0.2.7"
