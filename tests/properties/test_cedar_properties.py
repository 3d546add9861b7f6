"""A matrix in Cedar answers as the matrix does, whatever its names; and no split of a text loses a policy."""

from __future__ import annotations

import json
from uuid import UUID

import cedarpy
from hypothesis import given, settings
from hypothesis import strategies as st

from tenaudit.backends.cedar import CedarEngine, matrix_to_cedar
from tenaudit.policy import MatrixEngine, PolicyMatrix
from tenaudit.security import Actor, SecurityContext, TraceContext

ROLES = ["Admin", "Till-1", "back.office", "a:b", "Z_9"]
CAPABILITIES = ["read", "write", "page.edit", "in", "if", "x:y-z"]
TRACE = TraceContext("0" * 31 + "1", None, False)
HARD = st.text(st.characters(codec="utf-8"), max_size=12)
COMMENT = st.sampled_from(["", '// note; with ; and "\n', "// it's\r", "\n\n", "\t// x\r\n"])
SCHEMA = matrix_to_cedar(PolicyMatrix.from_mapping({"r": {"a"}}))[1]


def caller(roles: frozenset[str], actor: str | None = "u") -> SecurityContext:
    return SecurityContext(UUID(int=1), Actor(actor), roles, TRACE)


def matrices(roles: st.SearchStrategy[str], capabilities: st.SearchStrategy[str]) -> st.SearchStrategy[PolicyMatrix]:
    cells = st.dictionaries(roles, st.frozensets(capabilities, max_size=4), min_size=1, max_size=5)
    return cells.filter(lambda grants: any(grants.values())).map(lambda grants: PolicyMatrix(grants, {}))


@settings(max_examples=40, deadline=None)
@given(
    matrices(st.sampled_from(ROLES), st.sampled_from(CAPABILITIES)),
    st.lists(st.frozensets(st.sampled_from([*ROLES, "Unknown"])), max_size=6),
)
def test_a_compiled_matrix_agrees_with_the_matrix_engine(matrix: PolicyMatrix, held: list[frozenset[str]]) -> None:
    cedar, reference = CedarEngine.from_text(*matrix_to_cedar(matrix)), MatrixEngine(matrix)
    for roles in [*held, *(frozenset({role}) for role in ROLES)]:
        for capability in CAPABILITIES:
            ours, theirs = (each.decide(caller(roles), capability) for each in (cedar, reference))
            assert (ours.allowed, ours.reason, ours.granted_by) == (theirs.allowed, theirs.reason, theirs.granted_by)
            assert ours.would_grant == (frozenset() if theirs.allowed else theirs.would_grant)


@settings(max_examples=60, deadline=None)
@given(matrices(HARD, HARD), HARD, HARD)
def test_no_name_of_a_matrix_breaks_out_of_its_string(matrix: PolicyMatrix, role: str, capability: str) -> None:
    cedar = CedarEngine.from_text(*matrix_to_cedar(matrix))
    assert cedar.capabilities == matrix.capabilities
    assert len(cedar.policies) == sum(map(bool, matrix.grants.values()))
    for asked in {*matrix.capabilities, capability}:
        for held in {*matrix.roles, role}:
            assert cedar.decide(caller(frozenset({held})), asked).allowed is matrix.allows({held}, asked)


@settings(max_examples=60, deadline=None)
@given(HARD, st.frozensets(HARD, max_size=3))
def test_an_actor_never_holds_a_role_by_its_id(actor: str, roles: frozenset[str]) -> None:
    engine = CedarEngine.from_text('permit (principal in Tenaudit::Role::"r", action, resource);', SCHEMA)
    assert engine.decide(caller(roles, actor), "a").allowed is ("r" in roles)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(COMMENT, st.booleans(), st.text('";/\\ \n*', max_size=8), COMMENT), max_size=6))
def test_every_policy_that_cedar_reads_is_kept_in_order(pieces: list[tuple[str, bool, str, str]]) -> None:
    text = ""
    for before, permits, inside, within in pieces:
        quoted = json.dumps(inside)
        text += (
            f'{before}{"permit" if permits else "forbid"}(principal,{within}action,resource) when {{ {quoted} == "" }};'
        )
    engine = CedarEngine.from_text(text, SCHEMA)
    assert [policy.effect for policy in engine.policies] == ["permit" if p else "forbid" for _, p, _, _ in pieces]
    assert len(engine.policies) == len(cedarpy.PolicySet.from_str(text))
    assert len({policy.name for policy in engine.policies}) == len(pieces)
    for policy in engine.policies:
        line = text.split("\n")[policy.line - 1]
        assert policy.text.split("\n")[0] in line
