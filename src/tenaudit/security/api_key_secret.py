"""The two parts of an API key: a visible prefix to find the record, and a secret of which only a hash is kept."""

from __future__ import annotations

import hashlib
import re
import secrets

__all__ = ["hash_secret", "is_prefix", "random_key", "split_key"]

_PREFIX = re.compile(r"ta_[0-9a-f]{12}\Z")
_KEY = re.compile(r"(ta_[0-9a-f]{12})_([A-Za-z0-9_\-]{43})\Z")


def is_prefix(text: object) -> bool:
    """Tell whether *text* is one and has the form of a prefix: `ta_` and 12 hex digits.

    >>> is_prefix("ta_0123456789ab"), is_prefix("ta_0123456789ab_and-more")
    (True, False)
    """
    return isinstance(text, str) and _PREFIX.match(text) is not None


def split_key(text: str) -> tuple[str, str] | None:
    """Return prefix and secret of a whole key, None when it has not the form of one."""
    match = _KEY.match(text)
    return None if match is None else (match[1], match[2])


def random_key() -> tuple[str, str, bytes]:
    """Return a new key of 256 random bits, its prefix, and the hash of its secret."""
    prefix = f"ta_{secrets.token_hex(6)}"
    secret = secrets.token_urlsafe(32)
    return f"{prefix}_{secret}", prefix, hash_secret(secret)


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 of a secret, 32 bytes; with 256 random bits behind it no slow hash is needed."""
    return hashlib.sha256(secret.encode()).digest()
