"""What one policy check costs: granted, denied, and all 48 cells of the default matrix in turn.

Every side answers from the same matrix of 6 roles and 8 capabilities, for a caller who holds one role, and must
give the right answer to all 48 cells before anything is timed.

Ours: `ensure_capability` with its metrics: every decision is counted, 1 in 64 timed. A denial raises `ApiError`
    with its explanation, which the loop catches; no denial event is made (no producer).
pycasbin: `Enforcer.enforce`, an RBAC model, the cheaper half of its matcher first. It returns a bool.
pycasbin-fast: `FastEnforcer` with an index by capability (and an object, for it takes two fields).
cedarpy: `is_authorized` with a parsed `PolicySet` and parsed `Entities`, one policy a role. It returns the
    decision and its reasons, and carries the policies' full language, which a matrix does not need.

In the rows `cedar-*` ours is `ensure_capability` with `CedarEngine`, over the policies and the schema that
`matrix_to_cedar` writes. It does more than the bare cedarpy beside it: principal, context and resource are made from
the security context and checked against the schema on each call, and a denial asks Cedar which roles would grant.

Not shown: rules on attributes, which ours leaves to an engine of its own, thousands of rules, loading policies.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice, repeat
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from benchmarks.peer import Peer, installed
from benchmarks.result import AtMost, TimesBetter, compare
from benchmarks.rounds import Contender, measure
from benchmarks.sample_request import CAPABILITY, CONTEXT, ROLE
from tenaudit.errors import ApiError
from tenaudit.policy import PolicyGuard, PolicyMatrix, ensure_capability
from tenaudit.policy.guard import BOUND_GUARD
from tenaudit.security import SecurityContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.result import Result
    from benchmarks.rounds import Plan
    from tenaudit.policy import PolicyEngine

__all__ = ["run"]

_TARGETS: list[AtMost | TimesBetter] = [AtMost(1.2), TimesBetter(100, "pycasbin"), TimesBetter(100, "cedarpy")]
_MATRIX = PolicyMatrix.default()
_Cell = tuple[str, str]
_CELLS: list[_Cell] = [(role, capability) for role in _MATRIX.roles for capability in _MATRIX.capabilities]
_MODEL = """
[request_definition]
r = sub, act
[policy_definition]
p = sub, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && g(r.sub, p.sub)
"""


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield `policy/allow`, `policy/deny` and `policy/mix`, then the first two again for `CedarEngine`."""
    subjects: dict[str, Sequence[_Cell]] = {
        "allow": [(ROLE, CAPABILITY)],
        "deny": [("Support", CAPABILITY)],
        "mix": _CELLS,
    }
    with _guarded():
        for place, (name, cells) in enumerate(subjects.items()):
            sides = [_ours(cells), *installed(_peers(cells), note if place == 0 else _ignore)]
            samples = measure(sides, plan)
            yield compare(f"policy/{name}", samples, unit="us", scale=1e6, targets=_TARGETS)
        for name in ("allow", "deny"):
            # Without cedarpy there is no side of ours either; what is missing has been noted above.
            ours = installed([Peer("CedarEngine", "tenaudit[cedar]", partial(_our_cedar, subjects[name]))], _ignore)
            if ours:
                sides = [*ours, _cedarpy(subjects[name])]
                yield compare(f"policy/cedar-{name}", measure(sides, plan), unit="us", scale=1e6)


def _ignore(_line: str) -> None:
    """Say nothing: the first sub-case has said it."""


@contextmanager
def _guarded() -> Iterator[None]:
    token = BOUND_GUARD.set(PolicyGuard(registry=CollectorRegistry()))
    try:
        yield
    finally:
        BOUND_GUARD.reset(token)


def _peers(cells: Sequence[_Cell]) -> list[Peer]:
    return [
        Peer("pycasbin", "casbin", lambda: _pycasbin(cells)),
        Peer("pycasbin-fast", "casbin", lambda: _pycasbin_fast(cells)),
        Peer("cedarpy", "cedarpy", lambda: _cedarpy(cells)),
    ]


def _prove(name: str, allows: Callable[[_Cell], bool]) -> None:
    """Refuse to time a side that gives a wrong answer."""
    wrong = [cell for cell in _CELLS if allows(cell) != _MATRIX.allows((cell[0],), cell[1])]
    if wrong:
        raise RuntimeError(f"{name} answers {len(wrong)} of {len(_CELLS)} cells wrongly, first {wrong[0]}")


def _asking(
    name: str, cells: Sequence[_Cell], ask: Callable[..., object], arguments: Callable[[_Cell], Any]
) -> Contender:
    """Time `ask(*arguments)` over *cells*, the arguments made beforehand; the loop is the same for every side."""
    prepared = [arguments(cell) for cell in cells]
    only = prepared[0]

    def run_one(count: int) -> None:
        for _ in repeat(None, count):
            ask(*only)

    def run_all(count: int) -> None:
        for given in islice(cycle(prepared), count):
            ask(*given)

    return Contender(name, run_one if len(cells) == 1 else run_all)


def _ours(cells: Sequence[_Cell]) -> Contender:
    return _our_side(cells, None)


def _our_cedar(cells: Sequence[_Cell]) -> Contender:
    from tenaudit.backends.cedar import CedarEngine, matrix_to_cedar

    return _our_side(cells, CedarEngine.from_text(*matrix_to_cedar(_MATRIX)))


def _our_side(cells: Sequence[_Cell], engine: PolicyEngine | None) -> Contender:
    contexts = {
        role: SecurityContext(CONTEXT.tenant_id, CONTEXT.actor, frozenset({role}), CONTEXT.trace)
        for role in _MATRIX.roles
    }
    check = ensure_capability if engine is None else partial(ensure_capability, engine=engine)

    def allows(ctx: SecurityContext, capability: str) -> bool:
        try:
            check(ctx, capability)
        except ApiError:
            return False
        return True

    def arguments(cell: _Cell) -> tuple[SecurityContext, str]:
        return contexts[cell[0]], cell[1]

    _prove("ours", lambda cell: allows(*arguments(cell)))
    granted = all(_MATRIX.allows((role,), capability) for role, capability in cells)
    # A caller of `ensure_capability` that is not refused needs no try around it.
    return _asking("ours", cells, check if granted else allows, arguments)


def _pycasbin(cells: Sequence[_Cell]) -> Contender:
    import casbin  # type: ignore[import-untyped]

    return _casbin_side("pycasbin", cells, casbin.Enforcer(casbin.Enforcer.new_model(text=_MODEL)), ())


def _pycasbin_fast(cells: Sequence[_Cell]) -> Contender:
    from casbin import FastEnforcer
    from casbin.model import FastModel  # type: ignore[import-untyped]

    # The index needs two fields, so this side alone carries an object, the same in every rule.
    by_capability_and_object = [2, 1]
    model = FastModel(by_capability_and_object)
    model.load_model_from_text(_MODEL.replace("sub, act", "sub, obj, act"))
    fast = FastEnforcer(model, cache_key_order=by_capability_and_object)
    return _casbin_side("pycasbin-fast", cells, fast, ("payments",))


def _casbin_side(name: str, cells: Sequence[_Cell], enforcer: Any, thing: tuple[str, ...]) -> Contender:
    for role in _MATRIX.roles:
        enforcer.add_grouping_policy(f"user-{role}", role)
        for capability in sorted(_MATRIX.grants[role]):
            enforcer.add_policy(role, *thing, capability)

    def arguments(cell: _Cell) -> tuple[str, ...]:
        return f"user-{cell[0]}", *thing, cell[1]

    _prove(name, lambda cell: enforcer.enforce(*arguments(cell)))
    return _asking(name, cells, enforcer.enforce, arguments)


def _cedarpy(cells: Sequence[_Cell]) -> Contender:
    import cedarpy

    actions = {role: ", ".join(f'Action::"{name}"' for name in sorted(_MATRIX.grants[role])) for role in _MATRIX.roles}
    policies = cedarpy.PolicySet.from_str(
        "\n".join(
            f'permit(principal in Role::"{role}", action in [{listed}], resource);' for role, listed in actions.items()
        )
    )
    users = [
        {"uid": {"type": "User", "id": role}, "attrs": {}, "parents": [{"type": "Role", "id": role}]}
        for role in _MATRIX.roles
    ]
    entities = cedarpy.Entities.from_json_str(json.dumps(users))

    def arguments(cell: _Cell) -> tuple[Any, ...]:
        role, capability = cell
        request = {
            "principal": f'User::"{role}"',
            "action": f'Action::"{capability}"',
            "resource": 'Service::"payments"',
        }
        return request, policies, entities

    _prove("cedarpy", lambda cell: cedarpy.is_authorized(*arguments(cell)).allowed)
    return _asking("cedarpy", cells, cedarpy.is_authorized, arguments)
