"""Redaction rules as plain values, wherever they came from, and what a rule of a policy may reach.

Rules of this file: pure. Rules add to each other; nothing takes one away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.redaction import RedactionRule, Redactor
from tenaudit.audit.redaction_paths import InvalidRedactionPath, compile_paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from tenaudit.audit.redaction_detectors import Detector
    from tenaudit.audit.redaction_paths import PathState

__all__ = ["OPEN_FIELDS", "RedactionMode", "RedactionRules", "checked_redactor"]

RedactionMode: TypeAlias = Literal["off", "log", "enforce"]

OPEN_FIELDS = ("actor_id", "actor_type", "resource_type", "resource_id", "payload")
"""What a rule may reach; the rest identifies an event, orders it, or is what events are filtered by."""

# A name that no path has.
_ANY_NAME = "\x00"
_NO_TENANTS: Mapping[UUID, tuple[RedactionRule, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RedactionRules:
    """What a `RedactionPolicy` is made of.

    Args:
        rules: for every tenant.
        tenants: further rules of single tenants.
        detect: what is also masked wherever it stands.
        mode: None where nobody told.
        key: secret of the action `hash`.

    Example:
        >>> RedactionRules((RedactionRule("actor_id"),)).plus(RedactionRules(mode="log")).mode
        'log'
    """

    rules: tuple[RedactionRule, ...] = ()
    tenants: Mapping[UUID, tuple[RedactionRule, ...]] = field(default_factory=lambda: _NO_TENANTS)
    detect: tuple[Detector, ...] = ()
    mode: RedactionMode | None = None
    key: bytes | None = field(default=None, repr=False)

    @property
    def redacts(self) -> bool:
        """Whether there is a rule at all."""
        return bool(self.rules or self.detect or any(self.tenants.values()))

    def plus(self, other: RedactionRules) -> RedactionRules:
        """Return the rules of both; mode and key are these, and the others' only where these have none."""
        more = {tenant: (*self.tenants.get(tenant, ()), *rules) for tenant, rules in other.tenants.items()}
        return RedactionRules(
            (*self.rules, *other.rules),
            MappingProxyType({**self.tenants, **more}),
            (*self.detect, *(one for one in other.detect if one not in self.detect)),
            self.mode or other.mode,
            self.key or other.key,
        )


def checked_redactor(place: str, rules: Sequence[str | RedactionRule], key: bytes | None) -> Redactor:
    """Return the redactor of the rules of a policy.

    Args:
        place: what errors call them.
        rules: a bare path is masked.
        key: secret of the action `hash`.

    Raises:
        ConfigurationError: a path that does not follow the grammar or begins with what cannot be redacted, an unknown
            action, or `hash` without a key.
    """
    try:
        redactor = Redactor(rules, "mask", key)
    except (InvalidRedactionPath, ValueError) as error:
        raise ConfigurationError(f"{place}: {error}") from None
    for rule in redactor.paths:
        path = rule.path if isinstance(rule, RedactionRule) else rule
        start = compile_paths([path]).start
        # A wild card reaches what can be redacted, and nothing else.
        if not any(_leads_on(start, name) for name in (*OPEN_FIELDS, _ANY_NAME)):
            raise ConfigurationError(f"{place}: {path!r}: a rule begins with one of {', '.join(OPEN_FIELDS)}")
    return redactor


def _leads_on(start: PathState, name: str) -> bool:
    reached = start.after_key(name)
    return bool(reached.hit or reached.live)
