"""The service's side: is this context what the gateway signed, for this request, just now?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError, TenauditError
from tenaudit.security.signing.base import COMPONENT_OF, DERIVED, TAG, UnsignableError, derived_values, signature_base
from tenaudit.security.signing.fields import FieldError, read_inputs, read_signatures
from tenaudit.security.signing.replay import UsedNonces

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tenaudit._kernel.clock import Clock
    from tenaudit.security.signing.fields import SignatureInput
    from tenaudit.security.signing.keys import SignatureKey
    from tenaudit.security.signing.target import SignedTarget

__all__ = ["ContextVerifier", "UntrustedContext"]

_TAG = f'"{TAG}"'
_MAX_NONCE = 256


class UntrustedContext(TenauditError):  # noqa: N818 - named after what is wrong, as InvalidCursor is
    """A context is not what a known key signed for this request; `reason` is a stable word, for logs and metrics.

    `unsigned`, `malformed`, `ambiguous`, `unknown_key`, `wrong_algorithm`, `uncovered_header`, `missing_component`,
    `future`, `expired`, `stale`, `long_lived`, `altered`, `no_nonce`, `replayed`, `replay_memory_full`, `no_request`.
    """

    def __init__(self, reason: str, key_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        # Of the key that the signature names, where it is one of ours.
        self.key_id = key_id


class _Found(NamedTuple):
    """The fields of one request that matter here."""

    identity: dict[str, str]
    inputs: str
    signatures: str


class ContextVerifier:
    """Checks signed contexts (RFC 9421 section 3.2).

    The algorithm belongs to the key and is never read from the message. Every identity header must be covered, and
    the request line with it: a context that was signed for another path, method, authority or query is refused.

    Args:
        keys: every key that is live; two or more while one is being replaced.
        max_age: seconds since `created` after which a context is refused, whatever its `expires` says, and the
            longest lifetime that is taken.
        leeway: seconds of clock skew between gateway and service, 0 to 60.
        single_use: take each signature once, by its nonce. The memory is this process's own: a copy sent to another
            worker within *max_age* is not seen there.
        used_limit: nonces that are remembered for it at once.
        clock: time source.

    Raises:
        ConfigurationError: no key, two keys of one id, or a number out of range.

    Example:
        >>> from tenaudit.security import ContextSigner, SignatureKey, SignedTarget
        >>> key = SignatureKey.hmac_sha256("k1", b"an example secret of 32 bytes!!!")
        >>> headers = [("X-Tenant-ID", "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")]
        >>> request = SignedTarget("GET", "orders", "/orders/7")
        >>> ContextVerifier([key]).verify(headers + ContextSigner(key).sign(headers, request), request)
    """

    def __init__(
        self,
        keys: Sequence[SignatureKey],
        *,
        max_age: float = 60.0,
        leeway: float = 5.0,
        single_use: bool = False,
        used_limit: int = 100_000,
        clock: Clock | None = None,
    ) -> None:
        # By the key id as it stands in the field; ids hold nothing that would be escaped.
        self._keys = {f'"{key.key_id}"': key for key in keys}
        if not keys or len(self._keys) != len(keys):
            raise ConfigurationError("ContextVerifier needs at least one key, and each key id once")
        if not 1 <= max_age <= 3600 or not 0 <= leeway <= 60:
            raise ConfigurationError("max_age must be 1 to 3600 seconds and leeway 0 to 60")
        if not used_limit >= 1:  # which NaN is not: nothing would ever be too many
            raise ConfigurationError("used_limit must be at least 1")
        self._max_age = max_age
        self._leeway = leeway
        self._used = UsedNonces(used_limit) if single_use else None
        self._clock = clock or SystemClock()

    def verify(self, headers: Iterable[tuple[str, str]], request: SignedTarget | None) -> None:
        """Return when the identity headers are what a known key signed for *request*.

        Args:
            headers: name and value pairs as they came, repeated names included.
            request: the request line as it came; None is refused.

        Raises:
            UntrustedContext: they are not; `reason` says why.
        """
        if request is None:
            raise UntrustedContext("no_request")
        found = _collect(headers)
        try:
            signed = _ours(read_inputs(found.inputs))
            signatures = read_signatures(found.signatures)
        except FieldError:
            raise UntrustedContext("malformed") from None
        if signed is None:
            raise UntrustedContext("unsigned")
        label, input_ = signed
        signature = signatures.get(label)
        if signature is None:
            raise UntrustedContext("unsigned")
        key = self._keys.get(input_.parameters.get("keyid", ""))
        if key is None:
            raise UntrustedContext("unknown_key")
        reason = self._fault(key, input_, signature, {**derived_values(request), **found.identity})
        if reason is not None:
            raise UntrustedContext(reason, key.key_id)

    def _fault(self, key: SignatureKey, input_: SignatureInput, signature: bytes, values: dict[str, str]) -> str | None:
        """Return what is wrong with a signature that names *key*, None when nothing is."""
        parameters = input_.parameters
        # Stated or not, the algorithm that is used is the key's own.
        if parameters.get("alg", f'"{key.algorithm}"') != f'"{key.algorithm}"':
            return "wrong_algorithm"
        created, expires = parameters.get("created", ""), parameters.get("expires", "")
        if not created.isdigit() or not expires.isdigit():
            return "malformed"
        now = self._clock.time_ns() / 1e9
        reason = _coverage_fault(input_.components, values) or self._time_fault(int(created), int(expires), now)
        if reason is not None:
            return reason
        try:
            base = signature_base(input_.components, values, input_.text)
        except UnsignableError:
            return "altered"
        if not key.verify(base, signature):
            return "altered"
        return None if self._used is None else self._use(self._used, parameters, int(expires), now)

    def _time_fault(self, created: int, expires: int, now: float) -> str | None:
        if created > now + self._leeway:
            return "future"
        if expires <= now - self._leeway:
            return "expired"
        if created < now - self._leeway - self._max_age:
            return "stale"
        return "long_lived" if expires - created > self._max_age else None

    def _use(self, used: UsedNonces, parameters: dict[str, str], expires: int, now: float) -> str | None:
        nonce = parameters.get("nonce", "")
        if not nonce.startswith('"') or not 2 < len(nonce) <= _MAX_NONCE:
            return "no_nonce"
        state = used.take(f"{parameters['keyid']} {nonce}", expires + self._leeway, now)
        return None if state == "fresh" else state


def _collect(headers: Iterable[tuple[str, str]]) -> _Found:
    identity: dict[str, str] = {}
    inputs: list[str] = []
    signatures: list[str] = []
    for name, value in headers:
        lowered = name.lower()
        component = COMPONENT_OF.get(lowered)
        if component is not None:
            if component in identity:
                raise UntrustedContext("ambiguous")
            # RFC 9421 section 2.1: without the whitespace around it.
            identity[component] = value.strip(" \t")
        elif lowered == "signature-input":
            inputs.append(value)
        elif lowered == "signature":
            signatures.append(value)
        elif "_" in lowered and lowered.replace("_", "-") in COMPONENT_OF:
            raise UntrustedContext("uncovered_header")
    # Lines of one field are one dictionary (RFC 9651 section 4.2).
    return _Found(identity, ", ".join(inputs), ", ".join(signatures))


def _ours(inputs: dict[str, SignatureInput]) -> tuple[str, SignatureInput] | None:
    """Return the one signature with our tag; those of other applications are theirs to check."""
    tagged = [(label, member) for label, member in inputs.items() if member.parameters.get("tag") == _TAG]
    if len(tagged) > 1:
        raise UntrustedContext("ambiguous")
    return tagged[0] if tagged else None


def _coverage_fault(components: list[str], values: dict[str, str]) -> str | None:
    """Return what is wrong with a list that must be the request line and the identity headers, no more and no less."""
    covered = frozenset(components)
    if len(covered) != len(components):
        return "malformed"
    if covered == values.keys() and '"x-tenant-id"' in covered:
        return None
    missing = '"x-tenant-id"' not in values or not covered.issuperset(DERIVED) or not covered <= values.keys()
    return "missing_component" if missing else "uncovered_header"
