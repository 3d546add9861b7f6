"""Gateway side: client headers stripped, verified ones written, nothing injected."""

from __future__ import annotations

from uuid import UUID

import pytest

from tenaudit.errors import ApiError
from tenaudit.security import Actor, Principal, extract_context, strip_identity_headers, synthesize_headers

TENANT = UUID("7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")
ROLES = frozenset({"Cashier", "Admin"})


@pytest.mark.parametrize(
    "name",
    [
        *("X-Roles", "x-roles", "X_ROLES", "X-ROLES ", " X-Roles", "X Roles", "x_Tenant-ID", "X-TENANT_ID", "x\troles"),
        *("X-User-ID", "X-Actor-Type", "X-Session-ID", "X-Auth-Method", "X-Trace-ID", "x__roles".replace("__", "_")),
        *("X-Se\u00dfion-ID", "X-U\u017fer-ID", "X-Tenant-\u0131D"),
    ],
)
def test_every_spelling_of_an_identity_header_is_removed(name):
    assert strip_identity_headers([("A", "1"), (name, "SuperAdmin"), ("B", "2")]) == [("A", "1"), ("B", "2")]
    assert strip_identity_headers({"A": "1", name: "SuperAdmin"}) == [("A", "1")]


def test_duplicates_are_all_removed_and_the_rest_keeps_its_order():
    others = [("Accept", "*/*"), ("traceparent", "x"), ("Cookie", "a"), ("cookie", "b"), ("X-Rolesx", "1"), ("X", "")]
    mixed = [pair for other in others for pair in (("X-Roles", "Admin"), other, ("x_roles", "Admin"))]
    assert strip_identity_headers(mixed) == others


def test_the_headers_of_a_principal_are_fixed():
    principal = Principal(TENANT, Actor("u-1", "service"), ROLES, "jwt", "s-1")
    assert synthesize_headers(principal) == [
        ("X-Tenant-ID", str(TENANT)),
        ("X-Roles", "Admin,Cashier"),
        ("X-Auth-Method", "jwt"),
        ("X-User-ID", "u-1"),
        ("X-Actor-Type", "service"),
        ("X-Session-ID", "s-1"),
    ]


def test_an_anonymous_principal_names_no_user():
    headers = synthesize_headers(Principal(TENANT, Actor(None, "anonymous"), frozenset()))
    assert [name for name, _ in headers] == ["X-Tenant-ID", "X-Roles", "X-Auth-Method"]
    assert extract_context(headers).actor == Actor(None, "anonymous")


HOSTILE = [
    *("", " ", " a", "a ", "a,b", "a\r\nX-Roles: SuperAdmin", "a\n", "a\x00", "a\x1b"),
    *("é", "名", "\udcff", "x" * 257),
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda value: ascii(value[:20]))
@pytest.mark.parametrize("part", ["actor id", "roles", "auth method", "session id"])
def test_a_value_that_would_not_arrive_as_it_is_is_refused(part, text):
    principal = Principal(
        TENANT,
        Actor(text if part == "actor id" else "u"),
        frozenset({"Cashier", text}) if part == "roles" else ROLES,
        text if part == "auth method" else "jwt",
        text if part == "session id" else None,
    )
    with pytest.raises(ApiError) as caught:
        synthesize_headers(principal)
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")
    assert part in caught.value.message
    assert dict(caught.value.headers)["WWW-Authenticate"]
    assert "SuperAdmin" not in caught.value.message


@pytest.mark.parametrize("kind", ["anonymous", "root", "", "user\r\n"])
def test_an_actor_type_that_would_read_back_as_another_is_refused(kind):
    with pytest.raises(ApiError, match="actor type"):
        synthesize_headers(Principal(TENANT, Actor("u", kind), ROLES))


@pytest.mark.parametrize(("length", "fits"), [(256, True), (257, False)])
def test_an_id_of_256_characters_is_the_longest_that_is_carried(length: int, fits: bool) -> None:
    principal = Principal(TENANT, Actor("u" * length), frozenset())
    if fits:
        assert dict(synthesize_headers(principal))["X-Auth-Method"] == "jwt"
    else:
        with pytest.raises(ApiError, match="actor id"):
            synthesize_headers(principal)


@pytest.mark.parametrize(
    ("principal", "told"),
    [
        (Principal(TENANT, Actor("a,b"), ROLES), "actor id"),
        (Principal(TENANT, Actor("u-1", "root"), ROLES), "actor type"),
        (Principal(TENANT, Actor("u-1"), frozenset({"a,b"})), "roles"),
        (Principal(TENANT, Actor("u-1"), ROLES, "a b"), "auth method"),
        (Principal(TENANT, Actor("u-1"), ROLES, "jwt", "a b"), "session id"),
    ],
)
def test_what_cannot_be_carried_is_named_and_not_repeated(principal: Principal, told: str) -> None:
    with pytest.raises(ApiError) as refusal:
        synthesize_headers(principal)
    assert refusal.value.message == f"The credential's {told} cannot be carried in a header."
