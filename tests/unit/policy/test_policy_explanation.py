"""An explanation of one answer, and a matrix as a table."""

from __future__ import annotations

import pytest

from tenaudit.policy import Capability, PolicyMatrix, explain_roles, matrix_json, matrix_markdown

DEFAULT = PolicyMatrix.default()


def test_a_grant_names_who_grants_it():
    found = explain_roles(DEFAULT, ["support", "Cashier", "Owner", "Inventory"], "customer_view")
    assert found.to_json() == {
        "allowed": True,
        "capability": "customer_view",
        "reason": "granted",
        "granted_by": ["Cashier", "Support"],
        "would_grant": ["SuperAdmin", "Admin", "Manager", "Cashier", "Support"],
        "unknown_roles": ["Owner"],
        "missing_role": None,
    }


@pytest.mark.parametrize("roles", [["Inventory"], [], ["owner", "owner"]])
def test_a_denial_names_what_is_missing(roles):
    found = explain_roles(DEFAULT, roles, "payment_process")
    assert (found.allowed, found.reason, found.missing_role) == (False, "no_role_grants", "payment_access")
    assert (found.granted_by, found.would_grant) == ((), ("SuperAdmin", "Admin", "Manager", "Cashier"))
    assert found.unknown_roles == (("owner",) if "owner" in roles else ())


def test_a_capability_that_nobody_grants():
    found = explain_roles(DEFAULT, ["SuperAdmin"], "launch_rockets")
    assert (found.allowed, found.reason, found.would_grant) == (False, "unknown_capability", ())


@pytest.mark.parametrize("capability", [*Capability])
@pytest.mark.parametrize("role", DEFAULT.roles)
def test_it_explains_the_answer_that_the_matrix_gives(role, capability):
    assert explain_roles(DEFAULT, [role.upper()], capability).allowed is DEFAULT.allows([role], capability)


MIXED = PolicyMatrix.from_mapping(
    {"Boss": ["zebra", "audit_view", "apple", "inventory_view"], "Clerk": ["apple"]}, denial_names={"zebra": "stripes"}
)


def test_the_platforms_capabilities_come_first_and_the_rest_by_name():
    assert matrix_markdown(MIXED).splitlines() == [
        "| capability | Boss | Clerk | denial name |",
        "| --- | --- | --- | --- |",
        "| `inventory_view` | allow | deny | `inventory_view` |",
        "| `audit_view` | allow | deny | `audit_view` |",
        "| `apple` | allow | allow | `apple` |",
        "| `zebra` | allow | deny | `stripes` |",
    ]


def test_the_table_as_json():
    assert matrix_json(MIXED) == {
        "content_hash": MIXED.content_hash,
        "roles": ["Boss", "Clerk"],
        "capabilities": [
            {"name": "inventory_view", "denial_name": "inventory_view", "granted_by": ["Boss"]},
            {"name": "audit_view", "denial_name": "audit_view", "granted_by": ["Boss"]},
            {"name": "apple", "denial_name": "apple", "granted_by": ["Boss", "Clerk"]},
            {"name": "zebra", "denial_name": "stripes", "granted_by": ["Boss"]},
        ],
    }
