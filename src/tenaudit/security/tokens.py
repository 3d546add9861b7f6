"""Bearer tokens: JWTs checked with keys, issuer and audience that the configuration names."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.errors import ApiError
from tenaudit.security.context import Actor
from tenaudit.security.forms import CANONICAL_UUID, TOKEN, carryable
from tenaudit.security.jwt_keys import LocalKeys
from tenaudit.security.key_source import KeySource
from tenaudit.security.principal import Principal
from tenaudit.security.settings import SecuritySettings

try:
    import jwt
except ImportError as error:
    raise MissingExtra("jwt", "PyJWT") from error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit._kernel.clock import Clock

__all__ = ["JwtAuthenticator"]

_MAX_TOKEN = 8192
_MAX_LEEWAY = 300.0
# RFC 7515 section 7.1: three base64url parts.
_COMPACT = re.compile(r"[A-Za-z0-9_\-=]+\.[A-Za-z0-9_\-=]+\.[A-Za-z0-9_\-=]+\Z")
_NOT_VALID = "The bearer token is not valid."


class JwtAuthenticator:
    """Turns `Authorization: Bearer <JWT>` into a principal (RFC 7519, RFC 8725).

    The algorithm is pinned to each key and never read from the token (RFC 8725 section 3.1); keys that a token
    brings or points at (`jwk`, `jku`, `x5u`) are never looked at, and a token with `crit` is refused, since no
    extension is understood (RFC 7515 section 4.1.11). `exp`, `iss`, `aud` and `sub` must be there. `sub` is
    printable ASCII, as OpenID Connect Core section 2 has it, and has no comma: it travels as `X-User-ID`. A `sid`
    that fits no header is left out.

    Args:
        keys: key id to (algorithm, key), or a source of keys such as `tenaudit.backends.jwks.JwksKeySource`; a token
            without `kid` is taken only when there is one key.
        issuer: the `iss` that is accepted.
        audience: the `aud` that is accepted.
        leeway: seconds of clock skew allowed for `exp`, `nbf` and `iat`, 0 to 300.
        tenant_claim: claim with the tenant's UUID in canonical text form.
        roles_claim: claim with a list of role names.
        settings: the role vocabulary.
        clock: time source of `exp`, `nbf` and `iat`.

    Raises:
        ConfigurationError: no key, an algorithm outside the allow-list, a key that does not fit its algorithm or is
            too short for it, no issuer or audience, or a leeway out of range.

    Example:
        >>> import jwt, asyncio
        >>> secret = "an example secret of at least 32 bytes"
        >>> token = jwt.encode({"sub": "u-1", "iss": "idp", "aud": "api", "exp": 4102444800, "roles": ["Cashier"],
        ...     "tenant_id": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"}, secret, headers={"kid": "k1"})
        >>> check = JwtAuthenticator({"k1": ("HS256", secret)}, issuer="idp", audience="api")
        >>> asyncio.run(check.authenticate({"authorization": f"Bearer {token}"})).actor.id
        'u-1'
    """

    scheme = "Bearer"

    def __init__(
        self,
        keys: Mapping[str, tuple[str, Any]] | KeySource,
        *,
        issuer: str,
        audience: str,
        leeway: float = 5.0,
        tenant_claim: str = "tenant_id",
        roles_claim: str = "roles",
        settings: SecuritySettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not issuer or not audience:
            raise ConfigurationError("JwtAuthenticator needs an issuer and an audience")
        if not 0 <= leeway <= _MAX_LEEWAY:
            raise ConfigurationError(f"leeway must be 0 to {_MAX_LEEWAY:.0f} seconds, not {leeway}")
        if not isinstance(keys, (Mapping, KeySource)):
            raise ConfigurationError("keys must be a mapping of key id to (algorithm, key), or a key source")
        self._keys: KeySource = LocalKeys(keys) if isinstance(keys, Mapping) else keys
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._tenant_claim = tenant_claim
        self._roles_claim = roles_claim
        self._settings = settings or SecuritySettings()
        self._clock = clock or SystemClock()

    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """Return the principal of a bearer token, None without one.

        Raises:
            ApiError: 401 `unauthorized` for a bad token; 503 `unavailable` when the key source has no keys to check
                it with.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self._principal(await self._claims(token.strip()))

    async def _claims(self, token: str) -> Mapping[str, Any]:
        if len(token) > _MAX_TOKEN or _COMPACT.match(token) is None:
            raise _refused("The bearer token is malformed or too long.")
        try:
            header = _header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            # Deeply nested JSON is a RecursionError: also just a bad token.
            raise _refused(_NOT_VALID) from None
        # Outside of any `except`: what a key source raises is about the keys, not about this token.
        found = await self._keys.key_for(header.get("kid"))
        if found is None:
            raise _refused(_NOT_VALID)
        claims = self._verified(token, *found)
        self._check_times(claims)
        return claims

    def _verified(self, token: str, algorithm: str, key: Any) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                # PyJWT reads the machine's clock; time is checked below, with the clock that was given.
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise _refused(_NOT_VALID) from None
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.time_ns() / 1e9
        if not _number(claims["exp"]) or claims["exp"] <= now - self._leeway:
            raise _refused("The bearer token has expired.")
        if "nbf" in claims and (not _number(claims["nbf"]) or claims["nbf"] > now + self._leeway):
            raise _refused("The bearer token is not valid yet.")
        # RFC 7519 section 4.1.6 asks for no more than a number; a token from the future is a clock or a forger.
        if "iat" in claims and (not _number(claims["iat"]) or claims["iat"] > now + self._leeway):
            raise _refused("The bearer token is issued in the future.")

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        tenant, subject = claims.get(self._tenant_claim), claims["sub"]
        if not isinstance(tenant, str) or CANONICAL_UUID.match(tenant) is None:
            raise _refused("The bearer token names no tenant.")
        if not isinstance(subject, str) or not carryable(subject):
            raise _refused("The bearer token names no usable subject.")
        listed = claims.get(self._roles_claim)
        names: Iterable[Any] = listed if isinstance(listed, list) else ()
        roles = frozenset(
            role for name in names if isinstance(name, str) and (role := self._settings.role_of(name)) is not None
        )
        session = claims.get("sid")
        fits = isinstance(session, str) and TOKEN.match(session) is not None
        return Principal(UUID(tenant), Actor(subject), roles, "jwt", session if fits else None)


def _header(token: str) -> Mapping[str, Any]:
    """Return the protected header; one that names a member twice is refused (RFC 7515 section 4)."""
    part = token.split(".", 1)[0]
    header = json.loads(
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode(), object_pairs_hook=_without_twins
    )
    if not isinstance(header, dict):
        raise jwt.InvalidTokenError("the header is no object")
    if "crit" in header:
        raise jwt.InvalidTokenError("crit names extensions that are not understood")
    if not isinstance(header.get("kid", ""), str):
        raise jwt.InvalidTokenError("kid is no text")
    return header


def _without_twins(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise jwt.InvalidTokenError("a member occurs twice")
    return found


def _number(value: object) -> bool:
    # JSON as Python reads it has NaN, which is neither before nor after any time.
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _refused(message: str) -> ApiError:
    # RFC 6750 section 3.1: a presented token that fails is `invalid_token`.
    return ApiError.unauthorized(message, challenge='Bearer error="invalid_token"')
