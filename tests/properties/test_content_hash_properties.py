"""The keyed hash of a row is HMAC with SHA-256, as the standard library makes it."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.audit.integrity.stored import content_hash


@given(st.binary(max_size=150), st.binary(max_size=100))
def test_it_is_that_of_the_standard_library(key, leaf):
    assert content_hash(key, leaf) == hmac.digest(key, leaf, hashlib.sha256)
    assert content_hash(key, leaf) == hmac.digest(key, leaf, hashlib.sha256)
