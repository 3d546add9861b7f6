"""The role and capability matrix: finite, so every cell can be listed, checked and compared."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.toml_place import line_of
from tenaudit.policy.matrix_diff import MatrixDiff, matrix_diff
from tenaudit.policy.matrix_rules import problems
from tenaudit.policy.vocabulary import DENIAL_NAMES, Capability, Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

__all__ = ["PolicyMatrix"]

_C = Capability
_DEFAULT: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        Role.SUPER_ADMIN: frozenset(_C),
        Role.ADMIN: frozenset(_C),
        Role.MANAGER: frozenset(_C) - {_C.GDPR_MANAGE, _C.AUDIT_VIEW_UNREDACTED},
        Role.INVENTORY: frozenset({_C.INVENTORY_VIEW, _C.LOYALTY_VIEW}),
        Role.CASHIER: frozenset({_C.CUSTOMER_VIEW, _C.PAYMENT_PROCESS, _C.LOYALTY_VIEW}),
        Role.SUPPORT: frozenset({_C.CUSTOMER_VIEW, _C.AUDIT_VIEW}),
    }
)


@dataclass(frozen=True, slots=True)
class PolicyMatrix:
    """Says which role grants which capability; deny is everything else.

    Args:
        grants: role to the capabilities it grants.
        denial_names: capability to the name a client sees, where it differs.

    Example:
        >>> matrix = PolicyMatrix.from_mapping({"Editor": {"page_write"}, "Reader": set()})
        >>> matrix.allows({"Editor"}, "page_write"), matrix.allows({"Reader"}, "page_write")
        (True, False)
        >>> PolicyMatrix.default().roles_for("gdpr_manage") == {"SuperAdmin", "Admin"}
        True
    """

    grants: Mapping[str, frozenset[str]]
    denial_names: Mapping[str, str]

    @classmethod
    def default(cls) -> PolicyMatrix:
        """Return the platform's matrix, least privilege."""
        return cls(MappingProxyType({str(r): frozenset(map(str, c)) for r, c in _DEFAULT.items()}), DENIAL_NAMES)

    @classmethod
    def from_mapping(
        cls,
        grants: Mapping[str, Iterable[str]],
        *,
        capabilities: Iterable[str] | None = None,
        denial_names: Mapping[str, str] | None = None,
    ) -> PolicyMatrix:
        """Build a matrix from code.

        Args:
            grants: role to the capabilities it grants.
            capabilities: the whole vocabulary; a name outside it is refused. None: what the grants mention.
            denial_names: capability to the name a client sees.

        Raises:
            ConfigurationError: a malformed, unknown or twice listed name, or a capability that no role grants.
        """
        return cls._checked(grants, capabilities, denial_names, "")

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> PolicyMatrix:
        """Read a matrix from a file with `capabilities = [...]`, `[roles]` and optional `[denial_names]`.

        Raises:
            ConfigurationError: the file cannot be read or is not TOML, or a rule of `from_mapping` is broken;
                the message names file and line.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path}: {error}") from error
        return cls.from_toml_text(text, source=str(path))

    @classmethod
    def from_toml_text(cls, text: str, *, source: str = "policy") -> PolicyMatrix:
        """Read a matrix from the text of such a file; *source* is what errors call it.

        Raises:
            ConfigurationError: as `from_toml`.
        """
        try:
            data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{source}: {error}") from error
        for name in sorted(data.keys() - {"capabilities", "roles", "denial_names"}):
            raise ConfigurationError(f"{source}{_at(text, (name,))}: unknown key {name!r}")
        roles, capabilities, denial_names = (data.get(name) for name in ("roles", "capabilities", "denial_names"))
        if not isinstance(roles, dict):
            raise ConfigurationError(f"{source}{_at(text, ('roles',))}: [roles] must be a table of roles")
        for role, names in roles.items():
            if not _strings(names):
                where = f"{source}{_at(text, ('roles', role))}"
                raise ConfigurationError(f"{where}: role {role!r} must have a list of capability names")
        if capabilities is not None and not _strings(capabilities):
            raise ConfigurationError(f"{source}{_at(text, ('capabilities',))}: capabilities must be a list of names")
        if denial_names is not None and not isinstance(denial_names, dict):
            raise ConfigurationError(f"{source}{_at(text, ('denial_names',))}: [denial_names] must be a table")
        return cls._checked(roles, capabilities, denial_names, source, text)

    @classmethod
    def _checked(
        cls,
        grants: Mapping[str, Iterable[str]],
        capabilities: Iterable[str] | None,
        denial_names: Mapping[str, str] | None,
        source: str,
        text: str = "",
    ) -> PolicyMatrix:
        _check_kinds(grants, capabilities, denial_names)
        listed = None if capabilities is None else [str(name) for name in capabilities]
        cells = {str(role): _names_of(str(role), names) for role, names in grants.items()}
        for path, why, nth in problems(cells, listed, denial_names or {}):
            where = f"{source}{_at(text, path, nth)}: " if source else ""
            raise ConfigurationError(f"{where}{path[-1]!r} {why}")
        frozen = {role: frozenset(names) for role, names in cells.items()}
        return cls(MappingProxyType(frozen), MappingProxyType(dict(denial_names or {})))

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles, in the order they were given."""
        return tuple(self.grants)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Every capability that some role grants, sorted."""
        return tuple(sorted(frozenset().union(*self.grants.values())))

    def allows(self, roles: Iterable[str], capability: str) -> bool:
        """Tell whether any of *roles* grants *capability*."""
        return any(capability in self.grants.get(role, ()) for role in roles)

    def roles_for(self, capability: str) -> frozenset[str]:
        """Return the roles that grant *capability*."""
        return frozenset(role for role, names in self.grants.items() if capability in names)

    def denial_name(self, capability: str) -> str:
        """Return the name of *capability* in a denial, the body's `missing_role`."""
        return self.denial_names.get(capability, str(capability))

    @property
    def content_hash(self) -> str:
        """SHA-256 in hex over roles, cells and denial names: the same for equal matrices, whatever their files."""
        content = [{role: sorted(names) for role, names in self.grants.items()}, dict(self.denial_names)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @staticmethod
    def diff(old: PolicyMatrix, new: PolicyMatrix) -> MatrixDiff:
        """Return every answer that changes from *old* to *new*, and every name that comes, goes or is renamed."""
        return matrix_diff(old, new)


def _check_kinds(grants: object, capabilities: object, denial_names: object) -> None:
    if not isinstance(grants, Mapping):
        raise ConfigurationError(f"grants must map each role to its capabilities, not be a {type(grants).__name__}")
    if capabilities is not None and (isinstance(capabilities, str) or not isinstance(capabilities, Iterable)):
        raise ConfigurationError(f"capabilities must be a list of names, not a {type(capabilities).__name__}")
    if denial_names is not None and not isinstance(denial_names, Mapping):
        raise ConfigurationError(f"denial_names must map capabilities to names, not be a {type(denial_names).__name__}")


def _names_of(role: str, names: Iterable[str]) -> list[str]:
    if not isinstance(names, Iterable):
        raise ConfigurationError(f"role {role!r} must list capability names, not be {names!r}")
    if isinstance(names, str):
        # A string is an iterable of its letters, each of which would become a capability.
        raise ConfigurationError(f"role {role!r} must list capability names, not be one string")
    return [str(name) for name in names]


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _at(text: str, path: Sequence[str], nth: int = 1) -> str:
    # A role may be called like a capability: roles and denied names stand as keys, granted names as values.
    as_key = len(path) == 1 or (len(path) == 2 and path[0] != "capabilities")
    line = line_of(text, path, nth, as_key=as_key)
    return "" if line is None else f":{line}"
