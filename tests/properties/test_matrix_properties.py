"""Properties of the policy matrix and its engine against the naive evaluation."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.policy import MatrixEngine, PolicyGuard, PolicyMatrix
from tenaudit.security import Actor, SecurityContext, TraceContext

TRACE = TraceContext("0" * 31 + "1", None, False)
_name = st.text("abcdef_.", min_size=1, max_size=5).map(lambda text: "n" + text)
_grants = st.dictionaries(_name, st.frozensets(_name, max_size=6), max_size=6)


def context(roles):
    return SecurityContext(UUID(int=1), Actor("u"), frozenset(roles), TRACE)


@given(grants=_grants, data=st.data())
def test_the_engine_agrees_with_the_naive_evaluation(grants, data):
    matrix = PolicyMatrix.from_mapping(grants)
    engine = MatrixEngine(matrix)
    guard = PolicyGuard(engine, registry=CollectorRegistry())
    some_role = st.sampled_from(sorted(grants)) | _name if grants else _name
    names = sorted(frozenset().union(*grants.values()))
    some_name = st.sampled_from(names) | _name if names else _name
    for roles, capability in data.draw(
        st.lists(st.tuples(st.frozensets(some_role, max_size=4), some_name), max_size=8)
    ):
        granting = {role for role in roles if capability in grants.get(role, ())}
        would = {role for role, held in grants.items() if capability in held}
        for _ in range(2):  # the second answer is a remembered one
            decision = engine.decide(context(roles), capability)
            assert decision.allowed is bool(granting) is matrix.allows(roles, capability)
            assert (decision.granted_by, decision.would_grant) == (granting, would)
            assert decision.capability == capability
        if granting:
            assert guard.check(context(roles), capability).allowed
        else:
            with pytest.raises(ApiError):
                guard.check(context(roles), capability)


@given(grants=_grants, roles=st.frozensets(_name, max_size=4), more=_name, capability=_name)
def test_another_role_never_takes_a_capability_away(grants, roles, more, capability):
    matrix = PolicyMatrix.from_mapping(grants)
    assert matrix.allows(roles | {more}, capability) or not matrix.allows(roles, capability)


def _toml(grants):
    lines = ["[roles]"]
    for role, names in grants.items():
        lines.append(f'"{role}" = [' + ", ".join(f'"{name}"' for name in sorted(names)) + "]")
    return "\n".join(lines) + "\n"


@given(grants=_grants)
def test_a_file_and_a_mapping_of_the_same_cells_are_the_same_matrix(grants):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.toml"
        path.write_text(_toml(grants), encoding="utf-8")
        loaded = PolicyMatrix.from_toml(path)
    built = PolicyMatrix.from_mapping(grants)
    assert (loaded, loaded.content_hash, loaded.roles) == (built, built.content_hash, built.roles)


@given(grants=_grants.filter(lambda grants: any(grants.values())), data=st.data())
def test_a_repeated_name_is_found_on_its_own_line(grants, data):
    role = data.draw(st.sampled_from(sorted(role for role, names in grants.items() if names)))
    name = data.draw(st.sampled_from(sorted(grants[role])))
    lines = ["# " + " ".join(grants), "[roles]"]
    for each, names in grants.items():
        lines += [f'"{each}" = [', *(f'  "{entry}", # {name}' for entry in sorted(names))]
        if each == role:
            lines.append(f'  "{name}",')
            wrong = len(lines)
        lines.append("]")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        with pytest.raises(ConfigurationError) as caught:
            PolicyMatrix.from_toml(path)
    assert f"policy.toml:{wrong}: {name!r} is listed twice for {role}" in str(caught.value)


@given(text=st.text(max_size=60) | st.text('[]roles="a,\n', max_size=60))
def test_any_file_is_read_or_refused_with_its_name(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.toml"
        path.write_bytes(text.encode("utf-8", "replace"))
        try:
            told = str(PolicyMatrix.from_toml(path)) + "policy.toml"
        except ConfigurationError as error:
            told = str(error)
    assert "policy.toml" in told
