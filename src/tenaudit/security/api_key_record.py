"""What is known of an API key, and how one state of it follows from another; pure.

Rules of this file: an end is never undone. A revocation stays at its earliest time, a key that was rotated keeps its
successor, and from then on its expiry only moves forward in time. Stores call these functions on a row that they hold
locked, so that the rules are written once and hold in each of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from tenaudit._kernel.error import ConfigurationError, TenauditError
from tenaudit.security.api_key_secret import is_prefix, random_key
from tenaudit.security.forms import carryable

__all__ = ["ApiKeyChangeError", "ApiKeyRecord", "earliest", "is_time", "new_api_key", "no_such_key", "prefix_taken"]

_HASH_BYTES = 32
_MAX_ROLES = 64
_MAX_NAME = 100
_MAX_DESCRIPTION = 500
# Whole numbers up to here are the same in every store: a double of PostgreSQL, an integer of SQLite.
_LAST_SECOND = 2**53


class ApiKeyChangeError(TenauditError):
    """The change to an API key cannot be made; nothing was changed."""


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """What is stored of a key: never the secret.

    Args:
        prefix: visible part, `ta_` and 12 hex digits; it names the key in logs and audit events.
        secret_hash: SHA-256 of the secret, 32 bytes; the secret has 256 random bits, so no slow hash is needed.
        tenant_id: the tenant that the key acts for.
        roles: at most 64 roles that the key carries, each fit for `X-Roles`.
        expires_at: Unix seconds from which the key is refused, or None for no end.
        revoked: a revoked key is refused at once, whatever the time; true whenever *revoked_at* is set.
        created_at: Unix seconds, None when nobody noted it.
        revoked_at: Unix seconds of the revocation, None when there was none or nobody noted it.
        name: what people call the key; at most 100 printable characters.
        description: what it is for; at most 500 printable characters.
        rotated_from: prefix of the key whose place this one takes.
        replaced_by: prefix of the key that takes this one's place.

    Raises:
        ConfigurationError: a field is out of its form; the message names it.

    Example:
        >>> ApiKeyRecord("ta_0123456789ab", bytes(32), UUID(int=1), frozenset({"Cashier"}), revoked_at=5.0).revoked
        True
    """

    prefix: str
    secret_hash: bytes = field(repr=False)
    tenant_id: UUID
    roles: frozenset[str]
    expires_at: float | None = None
    revoked: bool = False
    created_at: float | None = None
    revoked_at: float | None = None
    name: str = ""
    description: str = ""
    rotated_from: str | None = None
    replaced_by: str | None = None

    def __post_init__(self) -> None:
        for wanted, holds in self._rules():
            if not holds:
                raise ConfigurationError(wanted)
        object.__setattr__(self, "revoked", self.revoked or self.revoked_at is not None)

    def _rules(self) -> tuple[tuple[str, bool], ...]:
        prefixes = (self.prefix, self.rotated_from, self.replaced_by)
        # What a database gave, which no annotation vouches for.
        secret_hash: Any = self.secret_hash
        roles: Any = self.roles
        return (
            (
                "prefix, rotated_from and replaced_by must be ta_ and 12 hex digits",
                all(one is None or is_prefix(one) for one in prefixes),
            ),
            (
                "secret_hash must be a SHA-256 of 32 bytes",
                isinstance(secret_hash, bytes) and len(secret_hash) == _HASH_BYTES,
            ),
            ("tenant_id must be a UUID", isinstance(self.tenant_id, UUID)),
            (f"roles must be at most {_MAX_ROLES}", isinstance(roles, frozenset) and len(roles) <= _MAX_ROLES),
            (
                "roles must be printable ASCII without commas",
                isinstance(roles, frozenset) and all(isinstance(role, str) and carryable(role) for role in roles),
            ),
            *(
                (f"{name} must be a finite number of Unix seconds, or None", value is None or is_time(value))
                for name, value in (
                    ("expires_at", self.expires_at),
                    ("created_at", self.created_at),
                    ("revoked_at", self.revoked_at),
                )
            ),
            (
                f"name must be at most {_MAX_NAME} printable characters",
                _fits(self.name, _MAX_NAME),
            ),
            (
                f"description must be at most {_MAX_DESCRIPTION} printable characters",
                _fits(self.description, _MAX_DESCRIPTION),
            ),
        )

    def expired(self, now: float) -> bool:
        """Tell whether the key has ended at *now*, in Unix seconds."""
        return self.expires_at is not None and now >= self.expires_at

    def revoked_since(self, at: float) -> ApiKeyRecord:
        """Return the record as revoked at *at*, or earlier when it was."""
        return replace(self, revoked_at=earliest(self.revoked_at, at))

    def updated(self, given: ApiKeyRecord) -> ApiKeyRecord:
        """Return what a store keeps of this record when *given* is put over it.

        Raises:
            ApiKeyChangeError: *given* is another key: its secret or its tenant differs.
        """
        if (self.secret_hash, self.tenant_id) != (given.secret_hash, given.tenant_id):
            raise prefix_taken(self.prefix)
        rotated = self.replaced_by is not None
        return replace(
            given,
            revoked=self.revoked or given.revoked,
            revoked_at=earliest(self.revoked_at, given.revoked_at),
            expires_at=earliest(self.expires_at, given.expires_at) if rotated else given.expires_at,
            replaced_by=self.replaced_by if rotated else given.replaced_by,
        )


def new_api_key(
    tenant_id: UUID,
    roles: Iterable[str],
    *,
    expires_at: float | None = None,
    created_at: float | None = None,
    name: str = "",
    description: str = "",
) -> tuple[str, ApiKeyRecord]:
    """Make a key of 256 random bits; the full key is returned once and stored nowhere.

    Args:
        tenant_id: the tenant that the key acts for.
        roles: the roles that it carries.
        expires_at: Unix seconds of its end, or None for no end.
        created_at: Unix seconds of now, for those who list keys.
        name: what people call it.
        description: what it is for.

    Raises:
        ConfigurationError: *roles* is one string instead of a list, or a value is out of its form.
    """
    if isinstance(roles, str):
        raise ConfigurationError("roles is a list of names, not one string")
    if not isinstance(roles, Iterable):
        raise ConfigurationError(f"roles is a list of names, not {roles!r}")
    key, prefix, secret_hash = random_key()
    record = ApiKeyRecord(
        prefix,
        secret_hash,
        tenant_id,
        frozenset(map(str, roles)),
        expires_at,
        created_at=created_at,
        name=name,
        description=description,
    )
    return key, record


def no_such_key(prefix: str) -> ApiKeyChangeError:
    """Return the error of a prefix that no key has."""
    # Who pasted a whole key does not find its secret in a log.
    return ApiKeyChangeError(f"there is no key {prefix}" if is_prefix(prefix) else "there is no such key")


def prefix_taken(prefix: str) -> ApiKeyChangeError:
    """Return the error of a new key whose prefix is another key's."""
    return ApiKeyChangeError(f"another key has the prefix {prefix}; make a new one")


def is_time(value: object) -> bool:
    """Tell whether *value* is a number of seconds that every store can keep; NaN and the infinite are none."""
    if isinstance(value, int):
        return -_LAST_SECOND <= value <= _LAST_SECOND
    return isinstance(value, float) and math.isfinite(value)


def _fits(text: object, limit: int) -> bool:
    return isinstance(text, str) and len(text) <= limit and text.isprintable()


def earliest(*times: float | None) -> float | None:
    """Return the first of the times that are known, None when none is."""
    return min((time for time in times if time is not None), default=None)
