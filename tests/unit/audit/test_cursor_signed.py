"""Signed cursors: every single-bit change is refused, and each wrong use has its own reason."""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tenaudit import ConfigurationError
from tenaudit.audit import AuditQuery, InvalidCursor
from tenaudit.audit.cursor import MAX_PLACE_BYTES, CursorRefused, SignedCursors

KEY = b"a key of this test, 32 bytes it!"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
QUERY = AuditQuery(UUID(int=1), action="payment.*")
CURSORS = SignedCursors([KEY])


def refused(cursor: str, query: AuditQuery = QUERY, cursors: SignedCursors = CURSORS, now: float = 0) -> str:
    with pytest.raises(CursorRefused) as caught:
        cursors.read(query, cursor, now=now)
    assert isinstance(caught.value, InvalidCursor)
    assert str(caught.value) == f"the cursor {caught.value.message}"
    return caught.value.reason


@pytest.mark.parametrize("place", [b"", b"x", b"xy", b"xyz", b"q" * 44, bytes(range(MAX_PLACE_BYTES))])
def test_a_place_comes_back_and_every_single_bit_of_its_bytes_counts(place: bytes) -> None:
    cursor = CURSORS.write(QUERY, place, expires=100)
    assert set(cursor) <= set(ALPHABET)
    assert CURSORS.read(QUERY, cursor, now=99.9) == place
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for bit in range(len(raw) * 8):
        altered = bytearray(raw)
        altered[bit // 8] ^= 1 << (bit % 8)
        assert refused(base64.urlsafe_b64encode(altered).decode().rstrip("=")) == "altered"


@pytest.mark.parametrize("place", [b"", b"x", b"xy", b"q" * 44])
def test_every_single_bit_of_its_text_counts_too(place: bytes) -> None:
    cursor = CURSORS.write(QUERY, place, expires=100)
    tried = 0
    for index, letter in enumerate(cursor):
        for bit in range(8):
            altered = cursor[:index] + chr(ord(letter) ^ (1 << bit)) + cursor[index + 1 :]
            assert refused(altered) == "altered"
            tried += 1
    assert tried == 8 * len(cursor)


@pytest.mark.parametrize(
    "spell",
    [
        lambda c: c + "=", lambda c: c + "==", lambda c: c + "\n", lambda c: " " + c, lambda c: c + "A",
        lambda c: c + "AAAA", lambda c: c[:-1], lambda c: c[1:], lambda c: c[:-4], lambda c: c * 2, lambda c: "",
        lambda c: "é" + c[1:], lambda c: "\ud800", lambda c: c.replace("A", "+", 1) + "/", lambda c: "A" * 10_000,
        lambda c: c[:4] + "\n" + c[4:], lambda c: c[:4] + "=" + c[4:],
    ],
)  # fmt: skip
def test_a_cursor_has_one_spelling_and_no_part_of_it_is_one(spell) -> None:
    assert refused(spell(CURSORS.write(QUERY, b"place", expires=100))) == "altered"


def test_every_cut_is_refused() -> None:
    cursor = CURSORS.write(QUERY, b"a place", expires=100)
    for length in range(len(cursor)):
        assert refused(cursor[:length]) == "altered"
        assert refused(cursor[-length:] if length else "") == "altered"


def test_each_wrong_use_has_its_own_reason() -> None:
    cursor = CURSORS.write(QUERY, b"place", expires=100)
    assert refused(cursor, replace(QUERY, tenant_id=UUID(int=2))) == "other_tenant"
    assert refused(cursor, replace(QUERY, action="payment.voided")) == "other_filters"
    assert refused(cursor, replace(QUERY, order="asc")) == "other_filters"
    assert refused(cursor, now=100) == "expired"
    # Whoever is of another tenant learns nothing else of it.
    assert refused(cursor, AuditQuery(UUID(int=2), order="asc"), now=100) == "other_tenant"
    assert refused(cursor, cursors=SignedCursors([KEY], purpose="tail")) == "altered"


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "None"}, {"action": None}, {"resource_type": "a"}, {"resource_id": "a"}, {"severity": "warn"},
        {"min_severity": "warn"}, {"outcome": "denied"}, {"trace_id": "a"}, {"service": "a"}, {"q": "a"},
        {"from_": datetime(2026, 1, 1, tzinfo=UTC)}, {"to": datetime(2026, 1, 1, tzinfo=UTC)}, {"order": "asc"},
    ],
)  # fmt: skip
def test_every_filter_is_bound(change) -> None:
    assert refused(CURSORS.write(QUERY, b"", expires=100), replace(QUERY, **change)) == "other_filters"


@pytest.mark.parametrize("change", [{"limit": 7}, {"cursor": "x"}, {"include_redacted": True}])
def test_what_changes_no_place_is_free(change) -> None:
    cursor = CURSORS.write(QUERY, b"here", expires=100)
    assert CURSORS.read(replace(QUERY, **change), cursor, now=0) == b"here"


def test_keys_are_changed_without_breaking_what_is_out() -> None:
    old, new = SignedCursors([KEY]), SignedCursors([b"n" * 16, KEY])
    cursor = old.write(QUERY, b"here", expires=100)
    assert new.read(QUERY, cursor, now=0) == b"here"
    later = new.write(QUERY, b"there", expires=100)
    assert refused(later, cursors=old) == "altered"
    assert refused(cursor, cursors=SignedCursors([b"n" * 16])) == "altered"
    assert new.read(QUERY, later, now=0) == b"there"


def test_without_a_key_each_object_reads_its_own_only() -> None:
    one, other = SignedCursors(), SignedCursors()
    cursor = one.write(QUERY, b"here", expires=100)
    assert one.read(QUERY, cursor, now=0) == b"here"
    assert refused(cursor, cursors=other) == "altered"


@pytest.mark.parametrize("keys", [[b""], [b"k" * 15], ["k" * 32], [b"k" * 32, b"short"], b"k" * 32, "k" * 32])
def test_a_key_that_is_none_is_refused_by_its_setting(keys) -> None:
    with pytest.raises(ConfigurationError, match="cursor_keys"):
        SignedCursors(keys)


def test_a_place_has_a_bound() -> None:
    with pytest.raises(ValueError, match="256 bytes"):
        CURSORS.write(QUERY, bytes(MAX_PLACE_BYTES + 1), expires=1)


def test_what_is_signed_is_the_whole_and_names_nobody() -> None:
    tenant = UUID(int=0x7B0E4C9E6F0A4D5C9F0E0A1B2C3D4E5F)
    raw = base64.urlsafe_b64decode(CURSORS.write(AuditQuery(tenant), b"", expires=7) + "==")
    assert tenant.bytes not in raw
    assert len(raw) == 1 + 8 + 16 + 16 + 32
    key = hmac.digest(KEY, b"tenaudit page mac", "sha256")
    assert raw[-32:] == hmac.digest(key, raw[:-32], "sha256")
    later = b"\x02" + raw[1:-32]
    signed = base64.urlsafe_b64encode(later + hmac.digest(key, later, "sha256")).decode().rstrip("=")
    assert refused(signed, AuditQuery(tenant)) == "altered"
