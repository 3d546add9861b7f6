"""Parsed policies and their schema, and the one call into cedarpy that asks them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.backends.cedar.request import ACTION, ROLE, probes
from tenaudit.backends.cedar.statement import CedarPolicy, Statement, check_depth, split_statements

try:
    import cedarpy
except ImportError as error:
    raise MissingExtra("cedar", "cedarpy") from error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tenaudit.backends.cedar.request import CedarRequest

__all__ = ["CedarAnswer", "CedarRules", "Source"]

_MAX_TOLD = 10
_FOR_POLICY = re.compile(r"for policy `policy\d+`, ")
_ERRING = re.compile(r"error while evaluating policy `policy(\d+)`")
_OTHER_RESOURCE = "failed to build request: resource type"


class Source(NamedTuple):
    """A text and what errors call it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class CedarAnswer:
    """What Cedar said.

    Args:
        outcome: `allow`, `deny`, or `none` when it could not take the request.
        policies: those that led to it; on an error, those that erred.
        errors: in Cedar's words, with our names of policies.
    """

    outcome: Literal["allow", "deny", "none"]
    policies: tuple[CedarPolicy, ...] = ()
    errors: tuple[str, ...] = ()


class CedarRules:
    """Policies and schema, parsed and validated once; immutable, so threads share it.

    Args:
        policies: policy texts, in order.
        schema: a schema in Cedar's syntax or its JSON form.

    Raises:
        ConfigurationError: a text does not parse, a policy does not fit the schema or has the `@id` of another, or the
            schema does not take the requests that an engine makes.
    """

    __slots__ = ("_policy_set", "_schema", "capabilities", "policies", "roles")

    def __init__(self, policies: Sequence[Source], schema: Source) -> None:
        self._schema = _parse_schema(schema)
        parsed = [_parse(statement) for source in policies for statement in split_statements(source.text, source.name)]
        self.policies = tuple(policy for policy, _ in parsed)
        self.roles: tuple[str, ...] = tuple(sorted(set().union(*(roles for _, roles in parsed))))
        _refuse_twins(self.policies)
        text = "\n".join(policy.text for policy in self.policies)
        self._policy_set = cedarpy.PolicySet.from_str(text)
        self._validate(text)
        self.capabilities = self._checked_capabilities(schema)

    def ask(self, request: CedarRequest) -> CedarAnswer:
        """Return Cedar's answer to *request*; any error in it is an error of the whole."""
        result = self._ask(request, self._policy_set)
        errors = tuple(result.diagnostics.errors)
        if errors or result.decision is cedarpy.Decision.NoDecision:
            erring = {error: self._erring(error) for error in errors}
            return CedarAnswer(
                "none",
                tuple(policy for policy in erring.values() if policy is not None),
                tuple(_renamed(error, policy) for error, policy in erring.items()),
            )
        reasons = sorted(int(name.removeprefix("policy")) for name in result.diagnostics.reasons)
        return CedarAnswer("allow" if result.allowed else "deny", tuple(self.policies[place] for place in reasons))

    def _ask(self, request: CedarRequest, policies: cedarpy.PolicySet) -> cedarpy.AuthzResult:
        # A handle that was made with the schema is checked, and faster than the same text given to is_authorized.
        entities: cedarpy.Entities | str
        try:
            entities = cedarpy.Entities.from_json_str(request.entities, self._schema)
        except ValueError:
            # The text says what the handle does not: which attribute of which entity does not fit.
            entities = request.entities
        return cedarpy.is_authorized(request.body, policies, entities, self._schema)

    def _erring(self, error: str) -> CedarPolicy | None:
        found = _ERRING.match(error)
        return None if found is None else self.policies[int(found[1])]

    def _validate(self, text: str) -> None:
        errors = cedarpy.validate_policies(text, self._schema).errors
        if not errors:
            return
        told = [self._told(error) for error in errors[:_MAX_TOLD]]
        more = [f"and {len(errors) - _MAX_TOLD} more"] if len(errors) > _MAX_TOLD else []
        raise ConfigurationError("\n".join(told + more))

    def _told(self, error: cedarpy.ValidationError) -> str:
        policy = self.policies[int(error.policy_id.removeprefix("policy"))]
        return f"{policy.source}:{policy.line}: policy {policy.name!r}: {_FOR_POLICY.sub('', error.error)}"

    def _checked_capabilities(self, source: Source) -> frozenset[str]:
        # Cedar adds the schema's actions to any entities; nothing else lists them.
        actions = json.loads(str(cedarpy.Entities.from_json_str("[]", self._schema)))
        names = {action["uid"]["id"] for action in actions if action["uid"]["type"] == ACTION}
        groups = {parent["id"] for action in actions for parent in action["parents"]}
        if not names:
            raise ConfigurationError(f"{source.name}: declares no action in the namespace Tenaudit")
        refusals = {name: self._refusals(name) for name in sorted(names)}
        for name, errors in refusals.items():
            # A group of actions is there to be named in policies, and need not take requests.
            if errors and name not in groups:
                what = f"action {name!r} does not take an engine's requests"
                raise ConfigurationError(f"{source.name}: {what}: {errors[0]}")
        return frozenset(name for name, errors in refusals.items() if not errors)

    def _refusals(self, action: str) -> list[str]:
        """Return why requests for *action* could never be asked; one for other resources than a tenant can."""
        nothing = cedarpy.PolicySet.from_str("")
        errors = [error for request in probes(action) for error in self._ask(request, nothing).diagnostics.errors]
        return [error for error in errors if not error.startswith(_OTHER_RESOURCE)]


def _parse_schema(source: Source) -> cedarpy.Schema:
    check_depth(source.text, source.name, schema=True)
    try:
        if source.text.lstrip().startswith("{"):
            return cedarpy.Schema.from_json_str(source.text)
        return cedarpy.Schema.from_str(source.text)
    except ValueError as error:
        raise ConfigurationError(f"{source.name}: {error}") from error


def _parse(statement: Statement) -> tuple[CedarPolicy, set[str]]:
    """Return the policy of *statement* with the roles it mentions."""
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(statement.text))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{statement.where}: {error}") from error
    if parsed["templates"]:
        raise ConfigurationError(f"{statement.where}: is a template, which grants nothing until it is linked")
    policy = parsed["staticPolicies"]["policy0"]
    name = policy.get("annotations", {}).get("id") or statement.where
    role = _scope_role(policy["principal"])
    found = CedarPolicy(name, statement.source, statement.line, policy["effect"], statement.text, role)
    return found, set(_roles_in(policy))


def _scope_role(principal: Mapping[str, Any]) -> str | None:
    """Return the role of `principal in Role::"..."`, also behind an `is`."""
    inside = principal.get("entity") or principal.get("in", {}).get("entity") or {}
    return str(inside["id"]) if inside.get("type") == ROLE else None


def _roles_in(policy: Any) -> Iterator[str]:
    """Yield the name of each role in the JSON form of a policy."""
    nodes = [policy]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if node.get("type") == ROLE and isinstance(node.get("id"), str):
                yield node["id"]
            nodes.extend(node.values())
        elif isinstance(node, list):
            nodes.extend(node)


def _refuse_twins(policies: Sequence[CedarPolicy]) -> None:
    first: dict[str, CedarPolicy] = {}
    for policy in policies:
        before = first.setdefault(policy.name, policy)
        if before is not policy:
            where = f"{policy.source}:{policy.line}"
            raise ConfigurationError(f"{where}: policy {policy.name!r} is also at {before.source}:{before.line}")


def _renamed(error: str, policy: CedarPolicy | None) -> str:
    return error if policy is None else _ERRING.sub(f"error while evaluating policy `{policy.name}`", error, count=1)
