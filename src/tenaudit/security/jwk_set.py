"""A JSON Web Key Set read with suspicion: each key's algorithm is decided here, once (RFC 7517)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit.security.jwt_keys import ASYMMETRIC_ALGORITHMS, WrongKeyError, prepared_key
from tenaudit.security.key_source import MAX_KID, find_key

try:
    import jwt
except ImportError as error:
    raise MissingExtra("jwt", "PyJWT") from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MAX_KEYS", "InvalidJwkSetError", "JwkSet", "asymmetric_only", "parse_jwk_set"]

MAX_KEYS = 100

# The public members of each key type (RFC 7518 sections 6.2.1 and 6.3.1, RFC 8037 section 2); no other is read.
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES = {("EC", "P-256"): "ES256", ("EC", "P-384"): "ES384", ("OKP", "Ed25519"): "EdDSA"}


class InvalidJwkSetError(ValueError):
    """The document is no key set that can be used; the text never quotes it."""


@dataclass(frozen=True, slots=True)
class JwkSet:
    """Verification keys by key id, and how many keys were left out for which reason.

    Example:
        >>> JwkSet({"k1": ("ES256", "...")}).find(None)
        ('ES256', '...')
    """

    keys: Mapping[str | None, tuple[str, Any]]
    ignored: Mapping[str, int] = field(default_factory=dict)

    def find(self, kid: str | None) -> tuple[str, Any] | None:
        """Return the key of *kid*; without one, the only key there is."""
        return find_key(self.keys, kid)


class _IgnoredError(Exception):
    """One key is left out; the text is the reason, one word."""


def asymmetric_only(algorithms: Sequence[str]) -> tuple[str, ...]:
    """Return *algorithms*, which are what keys of a set may be used with.

    Raises:
        ConfigurationError: there is none, or one that is symmetric or unknown.
    """
    # A lone string is a sequence of strings too, and would be refused letter by letter.
    given = (algorithms,) if isinstance(algorithms, str) else tuple(algorithms)
    if not given:
        raise ConfigurationError("algorithms must name at least one algorithm")
    for algorithm in given:
        if algorithm not in ASYMMETRIC_ALGORITHMS:
            raise ConfigurationError(
                f"algorithms may name {', '.join(sorted(ASYMMETRIC_ALGORITHMS))}, not {algorithm!r}"
            )
    return given


def parse_jwk_set(body: bytes, algorithms: Sequence[str]) -> JwkSet:
    """Return the keys of *body* that may verify a signature, each with its one algorithm.

    The algorithm is the key's `alg` when *algorithms* has it, else what its curve says; an RSA key without `alg`
    gets the RSA algorithm of *algorithms* when that names exactly one. Left out are: symmetric and private keys, keys
    for another `use` or `key_ops`, RSA below 2048 bits, keys that cannot be loaded, and keys that share a `kid`,
    since nothing says which of them is meant (RFC 7517 section 4.5).

    Raises:
        InvalidJwkSetError: no JSON object with a list `keys`, more than 100 keys, or none that can be used.
    """
    listed = _listed(body)
    usable: list[tuple[str | None, str, Any]] = []
    ignored: Counter[str] = Counter()
    for jwk in listed:
        try:
            usable.append(_verification_key(jwk, algorithms))
        except _IgnoredError as reason:
            ignored[str(reason)] += 1
    times = Counter(kid for kid, _, _ in usable)
    keys = {kid: (algorithm, key) for kid, algorithm, key in usable if times[kid] == 1}
    if len(keys) < len(usable):
        ignored["duplicate_kid"] = len(usable) - len(keys)
    if not keys:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(ignored.items()))
        raise InvalidJwkSetError(f"no usable key ({reasons or 'empty'})")
    return JwkSet(keys, dict(ignored))


def _listed(body: bytes) -> list[Any]:
    try:
        document = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise InvalidJwkSetError("not JSON in UTF-8") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise InvalidJwkSetError("not an object with a list of keys")
    if len(listed) > MAX_KEYS:
        raise InvalidJwkSetError(f"more than {MAX_KEYS} keys")
    return listed


def _kid_fits(kid: object) -> bool:
    return kid is None or (isinstance(kid, str) and 0 < len(kid) <= MAX_KID)


def _verification_key(jwk: object, algorithms: Sequence[str]) -> tuple[str | None, str, Any]:
    if not isinstance(jwk, dict):
        raise _IgnoredError("malformed")
    kid, kty = jwk.get("kid"), jwk.get("kty")
    if not _kid_fits(kid):
        raise _IgnoredError("kid")
    names = _PUBLIC.get(kty) if isinstance(kty, str) else None
    if names is None:
        raise _IgnoredError("key_type")
    if "d" in jwk:
        # Whoever can read the set can sign with it: its public half proves nothing any more.
        raise _IgnoredError("private")
    if jwk.get("use", "sig") != "sig" or not _may_verify(jwk.get("key_ops", ["verify"])):
        raise _IgnoredError("use")
    if not all(isinstance(jwk.get(name), str) for name in names):
        raise _IgnoredError("malformed")
    algorithm = _algorithm_of(jwk, algorithms)
    public = {"kty": kty, **{name: jwk[name] for name in names}}
    try:
        # PyJWK's reader of numbers, and then the same measures as for a key of the configuration.
        return kid, algorithm, prepared_key(algorithm, jwt.PyJWK(public, algorithm))
    except WrongKeyError:
        raise _IgnoredError("weak") from None
    except (jwt.PyJWTError, ValueError):
        raise _IgnoredError("malformed") from None


def _may_verify(operations: object) -> bool:
    return isinstance(operations, list) and "verify" in operations


def _algorithm_of(jwk: Mapping[str, Any], algorithms: Sequence[str]) -> str:
    """Pin the one algorithm of a key (RFC 8725 section 3.1)."""
    kty = jwk["kty"]
    by_curve = None if kty == "RSA" else _CURVES.get((kty, jwk["crv"]))
    rsa = [algorithm for algorithm in algorithms if algorithm[:2] in {"RS", "PS"}]
    fitting = rsa if kty == "RSA" else [algorithm for algorithm in algorithms if algorithm == by_curve]
    named = jwk.get("alg")
    if named is not None:
        fitting = [algorithm for algorithm in fitting if algorithm == named]
    if len(set(fitting)) != 1:
        raise _IgnoredError("algorithm")
    return fitting[0]
