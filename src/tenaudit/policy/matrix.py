"""The role and capability matrix: finite, so every cell can be listed, checked and compared."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit.policy.vocabulary import DENIAL_NAMES, Capability, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from os import PathLike

__all__ = ["PolicyMatrix"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:\-]{0,63}\Z")
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
            data = tomllib.loads(text)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path}: {error}") from error
        unknown = sorted(data.keys() - {"capabilities", "roles", "denial_names"})
        if unknown:
            raise ConfigurationError(f"{path}{_line(text, unknown[0])}: unknown key {unknown[0]!r}")
        roles = data.get("roles")
        if not isinstance(roles, dict) or not all(_strings(names) for names in roles.values()):
            raise ConfigurationError(f"{path}: [roles] must map each role to a list of capability names")
        capabilities, denial_names = data.get("capabilities"), data.get("denial_names", {})
        if (capabilities is not None and not _strings(capabilities)) or not isinstance(denial_names, dict):
            raise ConfigurationError(f"{path}: capabilities is a list of names, denial_names maps names to names")
        return cls._checked(roles, capabilities, denial_names, str(path), text)

    @classmethod
    def _checked(
        cls,
        grants: Mapping[str, Iterable[str]],
        capabilities: Iterable[str] | None,
        denial_names: Mapping[str, str] | None,
        source: str,
        text: str = "",
    ) -> PolicyMatrix:
        def refuse(name: str, why: str, nth: int = 1) -> ConfigurationError:
            where = f"{source}{_line(text, name, nth)}: " if source else ""
            return ConfigurationError(f"{where}{name!r} {why}")

        listed = None if capabilities is None else [str(name) for name in capabilities]
        cells = {str(role): [str(name) for name in names] for role, names in grants.items()}
        for problem in _problems(cells, listed, denial_names or {}):
            raise refuse(*problem)
        frozen = {role: frozenset(names) for role, names in cells.items()}
        return cls(MappingProxyType(frozen), MappingProxyType(dict(denial_names or {})))

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles, in the order they were given."""
        return tuple(self.grants)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Every capability that some role grants, sorted."""
        return tuple(sorted(frozenset().union(*self.grants.values()))) if self.grants else ()

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
        """SHA-256 in hex over the sorted cells: equal matrices have equal hashes, whatever file they came from."""
        cells = sorted(f"{role}\t{name}\n" for role, names in self.grants.items() for name in names)
        return hashlib.sha256("".join(cells).encode()).hexdigest()


def _problems(
    cells: Mapping[str, list[str]], listed: list[str] | None, denial_names: Mapping[str, str]
) -> Iterator[tuple[str, str] | tuple[str, str, int]]:
    """Yield (name, what is wrong with it, which mention of it) for each broken rule, worst first."""
    granted = {name for names in cells.values() for name in names}
    yield from _misspelt(cells, listed or [])
    for role, names in cells.items():
        for name in names:
            if listed is not None and name not in listed:
                yield name, f"is granted to {role} and is no known capability"
    for name in listed or ():
        if name not in granted:
            yield name, "is a capability that no role grants"
    for name in denial_names:
        if name not in granted:
            yield name, "has a denial name and is no known capability"


def _misspelt(cells: Mapping[str, list[str]], listed: list[str]) -> Iterator[tuple[str, str] | tuple[str, str, int]]:
    granted = [name for names in cells.values() for name in names]
    for name in (*cells, *granted, *listed):
        if _NAME.match(name) is None:
            yield name, "is not a name: letters, digits, _ . : -, at most 64"
    for name in _repeated(listed):
        yield name, "is listed twice", 2
    for role, names in cells.items():
        for name in _repeated(names):
            yield name, f"is listed twice for {role}", 2


def _repeated(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _line(text: str, name: str, nth: int = 1) -> str:
    """Return `:LINE` of the nth mention of *name*; tomllib keeps no positions of values."""
    mentions = re.finditer(rf"(?<![\w.:\-]){re.escape(name)}(?![\w.:\-])", text)
    for count, mention in enumerate(mentions, 1):
        if count == nth:
            return f":{text.count(chr(10), 0, mention.start()) + 1}"
    return ""
