"""Bearer tokens: JWTs checked with keys, issuer and audience that the configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.errors import ApiError
from tenaudit.security.context import Actor
from tenaudit.security.principal import Principal
from tenaudit.security.settings import SecuritySettings

try:
    import jwt
except ImportError as error:
    raise MissingExtra("jwt", "PyJWT") from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tenaudit._kernel.clock import Clock

__all__ = ["JwtAuthenticator"]

_MAX_TOKEN = 8192
_SAFE_ALGORITHMS = frozenset(
    {
        "HS256",
        "HS384",
        "HS512",
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "EdDSA",
    }
)


class JwtAuthenticator:
    """Turns `Authorization: Bearer <JWT>` into a principal (RFC 7519, RFC 8725).

    The algorithm is pinned to each key and never read from the token (RFC 8725 section 3.1); `exp`, `iss`,
    `aud` and `sub` must be there.

    Args:
        keys: key id to (algorithm, key); a token without `kid` is taken only when there is one key.
        issuer: the `iss` that is accepted.
        audience: the `aud` that is accepted.
        leeway: seconds of clock skew allowed for `exp` and `nbf`.
        tenant_claim: claim with the tenant's UUID.
        roles_claim: claim with a list of role names.
        settings: the role vocabulary.
        clock: time source of `exp` and `nbf`.

    Raises:
        ConfigurationError: no key, or an algorithm outside the allow-list.

    Example:
        >>> import jwt, asyncio
        >>> secret = "an example secret of at least 32 bytes"
        >>> token = jwt.encode({"sub": "u-1", "iss": "idp", "aud": "api", "exp": 4102444800, "roles": ["Cashier"],
        ...     "tenant_id": "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"}, secret, headers={"kid": "k1"})
        >>> check = JwtAuthenticator({"k1": ("HS256", secret)}, issuer="idp", audience="api")
        >>> asyncio.run(check.authenticate({"authorization": f"Bearer {token}"})).actor.id
        'u-1'
    """

    def __init__(
        self,
        keys: Mapping[str, tuple[str, Any]],
        *,
        issuer: str,
        audience: str,
        leeway: float = 5.0,
        tenant_claim: str = "tenant_id",
        roles_claim: str = "roles",
        settings: SecuritySettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not keys:
            raise ConfigurationError("JwtAuthenticator needs at least one key")
        for kid, (algorithm, _) in keys.items():
            if algorithm not in _SAFE_ALGORITHMS:
                raise ConfigurationError(f"key {kid!r}: algorithm {algorithm!r} is not in the allow-list")
        self._keys = dict(keys)
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._tenant_claim = tenant_claim
        self._roles_claim = roles_claim
        self._settings = settings or SecuritySettings()
        self._clock = clock or SystemClock()

    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """Return the principal of a bearer token, None without one; 401 `unauthorized` for a bad one."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self._principal(self._claims(token.strip()))

    def _claims(self, token: str) -> Mapping[str, Any]:
        if not token or len(token) > _MAX_TOKEN:
            raise _refused("The bearer token is empty or too long.")
        try:
            algorithm, key = self._key_for(jwt.get_unverified_header(token))
            claims: dict[str, Any] = jwt.decode(
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
        except jwt.PyJWTError:
            raise _refused("The bearer token is not valid.") from None
        now = self._clock.time_ns() / 1e9
        if not _number(claims["exp"]) or claims["exp"] <= now - self._leeway:
            raise _refused("The bearer token has expired.")
        if "nbf" in claims and (not _number(claims["nbf"]) or claims["nbf"] > now + self._leeway):
            raise _refused("The bearer token is not valid yet.")
        return claims

    def _key_for(self, header: Mapping[str, Any]) -> tuple[str, Any]:
        kid = header.get("kid")
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        found = self._keys.get(kid) if isinstance(kid, str) else None
        if found is None:
            raise jwt.InvalidKeyError("unknown kid")
        return found

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        try:
            tenant_id = UUID(str(claims.get(self._tenant_claim)))
        except ValueError:
            raise _refused("The bearer token names no tenant.") from None
        listed = claims.get(self._roles_claim)
        names: Iterable[Any] = listed if isinstance(listed, list) else ()
        roles = frozenset(
            role for name in names if isinstance(name, str) and (role := self._settings.role_of(name)) is not None
        )
        session = claims.get("sid")
        return Principal(
            tenant_id, Actor(str(claims["sub"])), roles, "jwt", session if isinstance(session, str) else None
        )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refused(message: str) -> ApiError:
    # RFC 6750 section 3.1: a presented token that fails is `invalid_token`.
    return ApiError.unauthorized(message, challenge='Bearer error="invalid_token"')
