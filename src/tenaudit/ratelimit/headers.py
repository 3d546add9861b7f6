"""The `RateLimit` response fields of a decision.

draft-ietf-httpapi-ratelimit-headers-11 (sections 3 and 4, the syntax of -08 to -11), written as structured
fields (RFC 9651); `Retry-After` as in RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from hashlib import sha256
from math import ceil, isinf
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from tenaudit.ratelimit.verdict import RateDecision, RuleVerdict

__all__ = ["rate_limit_headers", "retry_after_seconds"]

_PK_BYTES = 16


def rate_limit_headers(
    decision: RateDecision, *, partition_key: str | None = None, secret: bytes | None = None
) -> list[tuple[str, str]]:
    """Return the headers that tell a client where it stands.

    `RateLimit-Policy` lists every rule. `RateLimit` lists what is left of each, or, when the hit was refused,
    of the rules that refused it: `Retry-After` is then never earlier than any `t` (section 6 of the draft).
    Shadow rules are never mentioned.

    Args:
        decision: what the engine said.
        partition_key: whose quota it is; sent as `pk`, and only as the first 16 bytes of its HMAC-SHA256.
        secret: the HMAC key.

    Raises:
        ConfigurationError: a partition key without a secret.

    Example:
        >>> from tenaudit.ratelimit import InMemoryEngine, parse_rule
        >>> decision = InMemoryEngine().hit_nowait("tenant-1", parse_rule("100/minute;name=burst"))
        >>> rate_limit_headers(decision)
        [('RateLimit-Policy', '"burst";q=100;w=60'), ('RateLimit', '"burst";r=99;t=1')]
    """
    verdicts = [verdict for verdict in decision.rules if not verdict.rule.shadow]
    if not verdicts:
        return []
    suffix = _partition(partition_key, secret)
    reported = verdicts if decision.allowed else decision.refused_by
    headers = [
        ("RateLimit-Policy", ", ".join(verdict.rule.policy + suffix for verdict in verdicts)),
        ("RateLimit", ", ".join(_limit(verdict) + suffix for verdict in reported)),
    ]
    seconds = retry_after_seconds(decision)
    if seconds is not None:
        headers.append(("Retry-After", str(seconds)))
    return headers


def retry_after_seconds(decision: RateDecision) -> int | None:
    """Return the whole seconds of `Retry-After`; None when nothing was refused, or waiting will not help.

    Example:
        >>> from tenaudit.ratelimit import InMemoryEngine, parse_rule
        >>> retry_after_seconds(InMemoryEngine().hit_nowait("tenant-1", parse_rule("100/minute"), cost=101))
    """
    if decision.allowed or isinf(decision.retry_after):
        return None
    return max(ceil(max(v.retry_after, v.refill_after)) for v in decision.refused_by)


def _limit(verdict: RuleVerdict) -> str:
    rule = verdict.rule
    # A bucket may hold more than the quota of its window; what is advertised as left never exceeds it.
    text = f"{rule.quoted};r={min(verdict.remaining, rule.limit)}"
    if rule.algorithm == "concurrency" or not verdict.refill_after:
        return text
    return f"{text};t={ceil(verdict.refill_after)}"


def _partition(partition_key: str | None, secret: bytes | None) -> str:
    if partition_key is None:
        return ""
    if not secret:
        raise ConfigurationError("rate_limit_headers needs a secret to send a partition_key as its HMAC")
    digest = hmac.digest(secret, partition_key.encode("utf-8", "surrogatepass"), sha256)
    return f";pk=:{b64encode(digest[:_PK_BYTES]).decode('ascii')}:"
