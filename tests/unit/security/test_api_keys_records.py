"""Records of API keys: the form of each field, and rotation with a clock."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from uuid import UUID

import pytest

from tenaudit.errors import ConfigurationError
from tenaudit.security import (
    ApiKeyChangeError,
    ApiKeyRecord,
    ApiKeyRotation,
    InMemoryApiKeyStore,
    new_api_key,
    rotate_api_key,
)
from tenaudit.testing.clock import ManualClock

TENANT = UUID(int=7)
GOOD = ApiKeyRecord("ta_0123456789ab", bytes(32), TENANT, frozenset({"Cashier"}))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prefix": "ta_0123"}, "prefix"),
        ({"prefix": "ta_0123456789ab_secret"}, "prefix"),
        ({"prefix": "ta_0123456789ab\n"}, "prefix"),
        ({"rotated_from": "x"}, "rotated_from"),
        ({"replaced_by": ""}, "replaced_by"),
        ({"secret_hash": b"short"}, "secret_hash"),
        ({"secret_hash": "x" * 32}, "secret_hash"),
        ({"tenant_id": str(TENANT)}, "tenant_id"),
        ({"roles": frozenset(map(str, range(65)))}, "at most 64"),
        ({"roles": frozenset({"a,b"})}, "roles"),
        ({"roles": frozenset({""})}, "roles"),
        ({"roles": frozenset({"é"})}, "roles"),
        ({"expires_at": math.nan}, "expires_at"),
        ({"created_at": math.inf}, "created_at"),
        ({"revoked_at": -math.inf}, "revoked_at"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "\u202e"}, "name"),
        ({"description": "x" * 501}, "description"),
        ({"description": "a\nb"}, "description"),
        ({"description": "\udcff"}, "description"),
    ],
)
def test_a_field_out_of_its_form_is_named(fields, says):
    with pytest.raises(ConfigurationError, match=says):
        replace(GOOD, **fields)


def test_the_longest_fields_fit():
    replace(GOOD, roles=frozenset(map(str, range(64))), name="é" * 100, description="x" * 500)


@pytest.mark.parametrize("role", ["a,b", "", "a\r\nX-Roles: Admin", " Admin", "x" * 257])
def test_a_new_key_takes_no_role_that_no_header_carries(role):
    with pytest.raises(ConfigurationError, match="roles"):
        new_api_key(TENANT, ["Cashier", role])


def test_a_time_of_revocation_is_a_revocation():
    assert replace(GOOD, revoked_at=5.0).revoked
    assert replace(GOOD, revoked=True).revoked_at is None
    assert replace(replace(GOOD, revoked_at=5.0), revoked=False).revoked
    assert not GOOD.revoked


def test_a_new_key_notes_what_it_is_told():
    _, record = new_api_key(TENANT, ["Cashier"], created_at=5.0, expires_at=9.0, name="tills", description="shop 7")
    assert (record.created_at, record.expires_at, record.name, record.description) == (5.0, 9.0, "tills", "shop 7")
    assert (record.revoked, record.revoked_at, record.rotated_from, record.replaced_by) == (False, None, None, None)


def rotated(record, **options):
    store = InMemoryApiKeyStore([record])
    clock = ManualClock(start=1000.0)

    async def main():
        async with store:
            key, fresh = await rotate_api_key(store, record.prefix, clock=clock, **options)
            assert await store.get(fresh.prefix) == fresh
            return key, fresh, await store.get(record.prefix)

    return asyncio.run(main())


def test_by_default_both_keys_work_for_a_day():
    key, fresh, old = rotated(GOOD)
    assert key.startswith(f"{fresh.prefix}_")
    assert (old.expires_at, old.revoked) == (1000.0 + 86_400, False)
    assert fresh == replace(
        GOOD, prefix=fresh.prefix, secret_hash=fresh.secret_hash, created_at=1000.0, rotated_from=GOOD.prefix
    )
    assert fresh.secret_hash != GOOD.secret_hash


def test_an_old_key_that_ends_before_the_overlap_does_keeps_its_end():
    assert rotated(replace(GOOD, expires_at=1010.0), overlap=60)[2].expires_at == 1010.0


def test_a_lifetime_is_handed_on_when_it_is_known():
    assert rotated(replace(GOOD, created_at=900.0, expires_at=1100.0))[1].expires_at == 1200.0
    assert rotated(replace(GOOD, expires_at=1100.0))[1].expires_at == 1100.0


def test_without_overlap_the_old_key_is_revoked():
    _, fresh, old = rotated(GOOD, overlap=0)
    assert (old.revoked_at, fresh.revoked) == (1000.0, False)


@pytest.mark.parametrize("overlap", [-1, math.nan, math.inf])
def test_an_overlap_out_of_range_is_a_configuration_error(overlap):
    with pytest.raises(ConfigurationError, match="overlap"):
        rotated(GOOD, overlap=overlap)


def test_a_rotation_at_no_time_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="at must"):
        ApiKeyRotation("ta_0123456789ab", bytes(32), math.nan)


def test_a_pasted_key_is_not_repeated():
    key, _ = new_api_key(TENANT, [])
    with pytest.raises(ApiKeyChangeError) as caught:
        asyncio.run(InMemoryApiKeyStore().rotate(key, ApiKeyRotation("ta_0123456789ab", bytes(32), 1.0)))
    assert key[16:] not in str(caught.value)


def test_a_rotation_shows_no_hash():
    assert "secret_hash" not in repr(ApiKeyRotation("ta_0123456789ab", b"h" * 32, 1.0))


def test_a_revocation_in_memory_needs_no_time():
    store = InMemoryApiKeyStore([GOOD])
    assert asyncio.run(store.revoke(GOOD.prefix)) is True
    assert asyncio.run(store.get(GOOD.prefix)).revoked_at > 1_700_000_000
