"""Properties of the whole policy: roles only add, engines that err deny, differences and golden cells are sound."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.policy import (
    Decision,
    GoldenCell,
    MatrixEngine,
    PolicyFile,
    PolicyGuard,
    PolicyMatrix,
    RoleCompat,
    ShadowEngine,
    check_golden,
    explain_roles,
    golden_cells,
    golden_toml,
    load_golden,
)
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.clock import ManualClock

TRACE = TraceContext("0" * 31 + "1", None, False)
_name = st.text("abc_.", min_size=1, max_size=3).map(lambda text: "n" + text)
_grants = st.dictionaries(_name, st.frozensets(_name, max_size=5), max_size=5)
_roles = st.frozensets(_name, max_size=4)


@st.composite
def _matrices(draw):
    grants = draw(_grants)
    granted = sorted(frozenset().union(*grants.values()))
    shown = draw(st.dictionaries(st.sampled_from(granted), _name, max_size=3)) if granted else {}
    return PolicyMatrix.from_mapping(grants, denial_names=shown)


def context(roles):
    return SecurityContext(UUID(int=1), Actor("u"), frozenset(roles), TRACE)


def _allowed(guard, roles, capability):
    try:
        return guard.check(context(roles), capability).allowed
    except ApiError:
        return False


@given(matrix=_matrices(), roles=_roles, more=_name, capability=_name)
def test_another_role_never_takes_away_and_an_unknown_one_never_adds(matrix, roles, more, capability):
    guard = PolicyGuard(MatrixEngine(matrix), registry=CollectorRegistry())
    before, after = _allowed(guard, roles, capability), _allowed(guard, roles | {more}, capability)
    assert after or not before
    unknown = _allowed(guard, roles | {"x" + more}, capability)
    assert unknown is before
    # Whatever is added, the answer is one of the single answers.
    assert after is any(_allowed(guard, {role}, capability) for role in roles | {more})


_garbage = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.booleans(),
    st.builds(Decision, st.integers() | st.text(max_size=3) | st.none(), st.just("write"), st.text(max_size=3)),
    st.sampled_from(
        [ValueError("x"), RecursionError(), MemoryError(), StopIteration(), AssertionError(), OSError(1, "x")]
    ),
    st.builds(type("Odd", (Exception,), {})),
    st.sampled_from([type("Loose", (), {"allowed": True})(), type("Loose", (), {"allowed": 1})()]),
).filter(lambda answer: not (isinstance(answer, Decision) and isinstance(answer.allowed, bool)))


class _Erring:
    """Raises or returns what is no decision."""

    name = "erring"

    def __init__(self, answer, named):
        self.answer, self.named = answer, named

    def decide(self, _ctx, _capability, _resource=None):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def denial_name(self, _capability):
        if isinstance(self.named, Exception):
            raise self.named
        return self.named


@given(answer=_garbage, named=st.sampled_from(["shown", KeyError("x")]), disclose=st.sampled_from(["none", "roles"]))
def test_an_engine_that_errs_denies(answer, named, disclose):
    registry = CollectorRegistry()
    guard = PolicyGuard(_Erring(answer, named), registry=registry, disclose=disclose)
    assert not _allowed(guard, {"SuperAdmin"}, "write")
    labels = {"capability": "write", "outcome": "deny"}
    assert registry.get_sample_value("capability_checks_total", labels) == 1
    compat = RoleCompat([], "write", engine=_Erring(answer, named), registry=registry, decide="capability")
    assert not compat.allows(context({"SuperAdmin"}))


@given(matrix=_matrices(), answer=_garbage, roles=_roles, capability=_name)
def test_a_shadow_never_changes_the_answer(matrix, answer, roles, capability):
    live = MatrixEngine(matrix)
    engine = ShadowEngine(live, _Erring(answer, "x"), registry=CollectorRegistry(), clock=ManualClock())
    assert engine.decide(context(roles), capability) == live.decide(context(roles), capability)
    assert engine.denial_name(capability) == live.denial_name(capability)


@given(one=_matrices(), two=_matrices())
def test_a_diff_is_empty_for_itself_symmetric_and_the_hash_agrees(one, two):
    assert not PolicyMatrix.diff(one, one)
    there, back = PolicyMatrix.diff(one, two), PolicyMatrix.diff(two, one)
    assert [(cell.role, cell.capability, cell.before, cell.after) for cell in there.cells] == [
        (cell.role, cell.capability, cell.after, cell.before) for cell in back.cells
    ]
    assert (there.roles_added, there.roles_removed) == (back.roles_removed, back.roles_added)
    assert (there.capabilities_added, there.capabilities_removed) == (
        back.capabilities_removed,
        back.capabilities_added,
    )
    assert [(each.capability, each.before, each.after) for each in there.denial_names] == [
        (each.capability, each.after, each.before) for each in back.denial_names
    ]
    assert bool(there) is (one.content_hash != two.content_hash) is (one != two)


@given(one=_matrices(), two=_matrices())
def test_a_diff_holds_exactly_the_cells_whose_answer_changes(one, two):
    changed = {(cell.role, cell.capability): (cell.before, cell.after) for cell in PolicyMatrix.diff(one, two).cells}
    for role in {*one.roles, *two.roles, "nobody"}:
        for capability in {*one.capabilities, *two.capabilities, "nothing"}:
            answers = one.allows({role}, capability), two.allows({role}, capability)
            assert changed.get((role, capability)) == (answers if answers[0] is not answers[1] else None)


@given(matrix=_matrices())
def test_the_golden_cells_of_a_matrix_always_pass(matrix):
    cells = golden_cells(matrix)
    assert check_golden(matrix, cells, complete=True) == ()
    assert len(cells) == len(matrix.roles) * len(matrix.capabilities)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.toml"
        path.write_text(golden_toml(cells) or "cell = []\n", encoding="utf-8")
        assert [(c.role, c.capability, c.allow) for c in load_golden(path)] == [
            (c.role, c.capability, c.allow) for c in cells
        ]


@given(matrix=_matrices(), data=st.data())
def test_a_golden_cell_that_is_turned_round_is_found_and_no_other(matrix, data):
    cells = list(golden_cells(matrix))
    if not cells:
        return
    place = data.draw(st.integers(0, len(cells) - 1))
    right = cells[place]
    cells[place] = GoldenCell(right.role, right.capability, not right.allow)
    (fault,) = check_golden(matrix, cells, complete=True)
    assert (fault.kind, fault.role, fault.capability) == ("mismatch", right.role, right.capability)


@given(matrix=_matrices(), roles=_roles, capability=_name)
def test_an_explanation_is_the_engines_decision(matrix, roles, capability):
    decision = MatrixEngine(matrix).decide(context(roles), capability)
    found = explain_roles(matrix, roles, capability)
    assert (found.allowed, found.reason) == (decision.allowed, decision.reason)
    assert (frozenset(found.granted_by), frozenset(found.would_grant)) == (decision.granted_by, decision.would_grant)
    assert frozenset(found.unknown_roles) == roles - {*matrix.roles}


@given(matrix=_matrices(), old=_roles, capability=_name, roles=_roles)
def test_a_role_list_without_differences_answers_as_its_capability(matrix, old, capability, roles):
    registry = CollectorRegistry()
    if capability not in matrix.capabilities:
        with pytest.raises(ConfigurationError):
            RoleCompat(old, capability, matrix=matrix, registry=registry)
        return
    compat = RoleCompat(old, capability, matrix=matrix, registry=registry, clock=ManualClock())
    by_roles, by_capability = bool(old & roles), matrix.allows(roles, capability)
    assert compat.allows(context(roles)) is by_roles
    if compat.report().statically_equal:
        assert by_roles is by_capability
    assert compat.report().differed == (by_roles is not by_capability)
    for each in compat.differences():
        assert each.by_roles is (each.role in old)
        assert each.by_capability is matrix.allows({each.role}, capability)


def _text(version):
    # Cell and denial name carry the version, so a mix of two would show.
    return f'[roles]\nR{version} = ["write"]\n[denial_names]\nwrite = "v{version}"\n'


@pytest.mark.parametrize("check_every", [0, 3600])
def test_readers_beside_reloads_see_whole_matrices(tmp_path, check_every):
    path = tmp_path / "policy.toml"
    path.write_text(_text(0))
    registry = CollectorRegistry()
    file = PolicyFile(path, registry=registry, check_every=check_every)
    guard = PolicyGuard(file, registry=registry, disclose="roles")
    stop, wrong, seen = threading.Event(), [], set()

    def read():
        nobody = context(())
        while not stop.is_set():
            try:
                guard.check(nobody, "write")
            except ApiError as error:
                version = (error.missing_role or "v")[1:]
                seen.add(version)
                if error.message != f"Needs one of these roles: R{version}.":
                    wrong.append((error.message, error.missing_role))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for version in range(1, 60):
            beside = tmp_path / "policy.new"
            # Now and then a broken one, which nobody may see.
            beside.write_text(_text(version) if version % 5 else "[roles\n")
            beside.replace(path)
            assert file.reload().outcome in ("loaded" if version % 5 else "failed", "unchanged")
    finally:
        stop.set()
        for reader in readers:
            reader.join(30)
    assert wrong == []
    assert seen <= {str(version) for version in range(60) if version == 0 or version % 5}
    assert file.denial_name("write") == "v59"


@settings(max_examples=30, deadline=None)
@given(matrices=st.lists(_matrices(), min_size=1, max_size=5), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_after_any_sequence_of_files_the_last_good_one_answers(matrices, cuts):
    with tempfile.TemporaryDirectory() as folder:
        path, clock = Path(folder) / "policy.toml", ManualClock()
        path.write_text("[roles]\n")
        file = PolicyFile(path, clock=clock, registry=CollectorRegistry())
        good = file.matrix
        for place, matrix in enumerate(matrices):
            text = _toml(matrix)
            path.write_text(text[: cuts[place]] if place < len(cuts) else text)
            try:
                good = PolicyMatrix.from_toml(path)
            except Exception:  # noqa: BLE001 - whatever is wrong, the one before stays
                expected = "failed"
            else:
                expected = "loaded" if good != file.matrix else "unchanged"
            assert file.reload().outcome == expected
            assert (file.matrix, file.content_hash) == (good, good.content_hash)


def _toml(matrix):
    lines = ["[roles]", *(f'"{role}" = {sorted(names)!r}' for role, names in matrix.grants.items())]
    lines += ["[denial_names]", *(f'"{name}" = "{shown}"' for name, shown in matrix.denial_names.items())]
    return "\n".join(lines)


@given(
    st.lists(_matrices(), min_size=1, max_size=3),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.lists(_name, max_size=2), _name), max_size=40),
)
def test_a_guard_that_remembers_says_what_its_engine_says(matrices, need_actor, asked):
    engines = [MatrixEngine(matrix, require_actor=need_actor) for matrix in matrices]
    registry = CollectorRegistry()
    guard = PolicyGuard(engines[0], registry=registry)
    for place, named, roles, capability in asked:
        guard.engine = engines[place % len(engines)]
        ctx = SecurityContext(UUID(int=1), Actor("u" if named else None), frozenset(roles), TRACE)
        wanted = guard.engine.decide(ctx, capability)
        if wanted.allowed:
            assert guard.check(ctx, capability) == wanted
        else:
            with pytest.raises(ApiError) as denial:
                guard.check(ctx, capability)
            assert denial.value.missing_role == guard.engine.denial_name(capability)
    checks = [sample for family in registry.collect() for sample in family.samples]
    counted = {
        name: sum(s.value for s in checks if s.name == name)
        for name in ("capability_checks_total", "capability_denials_total")
    }
    assert counted["capability_checks_total"] == len(asked)
    denials = [s.value for s in checks if s.name == "capability_checks_total" and s.labels["outcome"] == "deny"]
    assert counted["capability_denials_total"] == sum(denials)
