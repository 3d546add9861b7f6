"""Properties of identity headers: closed for any input, stripped in any spelling, carried without loss."""

from __future__ import annotations

import string
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.errors import ApiError
from tenaudit.security import (
    IDENTITY_HEADERS,
    Actor,
    Principal,
    Role,
    SecuritySettings,
    extract_context,
    strip_identity_headers,
    synthesize_headers,
)

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
CODES = {"missing_tenant_id", "invalid_tenant_id", "invalid_user_id", "ambiguous_header"}
KNOWN = {role.value for role in Role}
SETTINGS = SecuritySettings(on_unknown_roles=lambda _: None)


def outcome(call):
    """Return what *call* returns, or the ApiError it raises; any other exception fails the test."""
    try:
        return call()
    except ApiError as error:
        return error


_anything = st.text(st.characters(exclude_categories=[]), max_size=40)
_names = st.sampled_from(sorted(IDENTITY_HEADERS | {"traceparent", "tracestate", "user-agent", "host"}))
_values = st.one_of(
    _anything,
    st.just(TENANT),
    st.lists(st.sampled_from([*KNOWN, "root", "", " "]), max_size=4).map(",".join),
    st.sampled_from(["u-1", "a,b", "\x00", f"00-{'1' * 32}-{'2' * 16}-01", "1" * 32]),
)


@st.composite
def _spelling(draw, name):
    """One of the spellings that a server may fold into *name*."""
    pieces = []
    for letter in name:
        if letter == "-":
            pieces.append(draw(st.sampled_from("-_ ")))
        else:
            pieces.append(draw(st.sampled_from([letter.lower(), letter.upper()])))
    return draw(st.sampled_from(["", " "])) + "".join(pieces) + draw(st.sampled_from(["", " ", "\t"]))


_pairs = st.lists(st.tuples(st.one_of(_names, _names.flatmap(_spelling), _anything), _values), max_size=8)


@given(pairs=_pairs, tenant=st.booleans())
def test_any_header_list_gives_a_context_or_a_documented_400(pairs, tenant):
    headers = [("X-Tenant-ID", TENANT), *pairs] if tenant else pairs
    ctx = outcome(lambda: extract_context(headers, settings=SETTINGS))
    if isinstance(ctx, ApiError):
        assert (ctx.status, ctx.code in CODES) == (400, True)
        return
    assert ctx.roles <= KNOWN
    assert isinstance(ctx.tenant_id, UUID)
    assert len(ctx.trace.trace_id) == 32
    assert set(ctx.trace.trace_id) <= set("0123456789abcdef")
    for text in (ctx.actor.id, ctx.session_id, ctx.user_agent, ctx.auth_method, ctx.trace.tracestate):
        (text or "").encode()
        assert not set(text or "") & set("\x00\r\n\x1b\u2028")


_identity = _names.filter(lambda name: name in IDENTITY_HEADERS)
_harmless = st.text(string.ascii_letters + "-_", min_size=1, max_size=12).filter(
    lambda name: name.lower().replace("_", "-") not in IDENTITY_HEADERS
)


@given(data=st.data())
def test_every_spelling_is_stripped_and_the_rest_stays_in_order(data):
    spellings = _identity.flatmap(_spelling).map(lambda name: (name, True))
    marked = data.draw(st.lists(st.tuples(st.one_of(spellings, _harmless.map(lambda n: (n, False))), _values)))
    pairs = [(name, value) for (name, _), value in marked]
    assert strip_identity_headers(pairs) == [(name, value) for (name, hostile), value in marked if not hostile]


@given(name=_anything, value=_values)
def test_what_is_left_reads_as_no_identity_after_any_folding(name, value):
    for left, _ in strip_identity_headers([(name, value)]):
        for folded in (left.upper(), left.lower(), left.strip().upper()):
            assert folded.replace("_", "-").replace(" ", "-").lower() not in IDENTITY_HEADERS


_visible = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) != ",")
_ids = st.one_of(
    st.none(),
    st.tuples(st.text(_visible, min_size=1, max_size=5), st.text(_visible + " ", max_size=200)).map(
        lambda halves: (halves[0] + halves[1]).rstrip(" ")
    ),
)


@given(
    tenant=st.uuids(),
    actor_id=_ids,
    kind=st.sampled_from(["user", "service", "api_key", "system"]),
    roles=st.frozensets(st.sampled_from(sorted(KNOWN))),
    method=st.text(_visible, min_size=1, max_size=20),
    session=st.none() | st.text(_visible, min_size=1, max_size=128),
)
def test_a_principal_arrives_as_it_was_sent(tenant, actor_id, kind, roles, method, session):
    actor = Actor(None, "anonymous") if actor_id is None else Actor(actor_id, kind)
    headers = synthesize_headers(Principal(tenant, actor, roles, method, session))
    ctx = extract_context(headers, settings=SETTINGS)
    assert (ctx.tenant_id, ctx.actor, ctx.roles) == (tenant, actor, roles)
    assert (ctx.auth_method, ctx.session_id) == (method, session)


@given(
    actor_id=st.none() | _anything,
    kind=st.sampled_from(["user", "service", "root", ""]) | _anything,
    roles=st.frozensets(st.sampled_from(sorted(KNOWN)) | _anything, max_size=3),
    method=st.just("jwt") | _anything,
    session=st.none() | _anything,
)
def test_any_principal_is_refused_with_401_or_carried_without_injection(actor_id, kind, roles, method, session):
    principal = Principal(UUID(TENANT), Actor(actor_id, kind), roles, method, session)
    headers = outcome(lambda: synthesize_headers(principal))
    if isinstance(headers, ApiError):
        assert headers.status == 401
        return
    assert all(ch in _visible + " ," for _, value in headers for ch in value)
    ctx = extract_context(headers, settings=SETTINGS)
    assert ctx.roles == {r for r in KNOWN if r.lower() in {name.lower() for name in roles}}
    assert (ctx.actor.id, ctx.auth_method, ctx.session_id) == (actor_id, method, session)
