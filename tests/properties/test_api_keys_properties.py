"""API keys under any order of changes: an end is never undone, and every store says what the one in memory says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tenaudit.backends.sqlite import SqliteApiKeyStore
from tenaudit.errors import ApiError
from tenaudit.security import (
    ApiKeyAuthenticator,
    ApiKeyChangeError,
    ApiKeyRecord,
    ApiKeyRotation,
    InMemoryApiKeyStore,
    new_api_key,
)
from tenaudit.testing.clock import ManualClock

TENANTS = (UUID(int=1), UUID(int=2))
TIMES = st.floats(0, 100, allow_nan=False)
NUMBERS = st.integers(0, 3)
PREFIXES = NUMBERS.map("ta_{:012x}".format)
TEXTS = st.text().filter(str.isprintable).map(lambda text: text[:100])
ROLES = st.frozensets(st.text("!+-~ az\\\"'{}", min_size=1, max_size=8).filter(lambda r: r == r.strip()), max_size=4)


@st.composite
def records(draw):
    return ApiKeyRecord(
        prefix := draw(PREFIXES),
        bytes([int(prefix[-1], 16)]) * 32,
        draw(st.sampled_from(TENANTS)),
        draw(ROLES),
        draw(st.none() | TIMES),
        draw(st.booleans()),
        draw(st.none() | TIMES),
        draw(st.none() | TIMES),
        draw(TEXTS),
        draw(TEXTS),
        draw(st.none() | PREFIXES),
        draw(st.none() | PREFIXES),
    )


ROTATIONS = st.builds(
    lambda number, at, overlap: ApiKeyRotation(f"ta_{number:012x}", bytes([number]) * 32, at, overlap),
    *(NUMBERS, TIMES, TIMES | st.just(0.0)),
)
STEPS = st.one_of(
    st.tuples(st.just("put"), records()),
    st.tuples(st.just("revoke"), PREFIXES, TIMES),
    st.tuples(st.just("rotate"), PREFIXES, ROTATIONS),
)


async def answer(store, step):
    try:
        return await getattr(store, step[0])(*step[1:])
    except ApiKeyChangeError as refusal:
        return str(refusal)


async def contents(store):
    return {record.prefix: record for record in (await store.list()).records}


def ended(record, now):
    return record.revoked or record.expired(now)


@given(st.lists(STEPS, max_size=15))
def test_no_change_undoes_an_end(steps):
    async def main():
        store = InMemoryApiKeyStore()
        for step in steps:
            before = await contents(store)
            said = await answer(store, step)
            after = await contents(store)
            if isinstance(said, str):
                assert after == before
            for prefix, old in before.items():
                new = after[prefix]
                assert (new.secret_hash, new.tenant_id) == (old.secret_hash, old.tenant_id)
                assert new.revoked >= old.revoked
                if old.revoked_at is not None:
                    assert new.revoked_at <= old.revoked_at
                if old.replaced_by is not None:
                    assert new.replaced_by == old.replaced_by
                    assert old.expires_at is None or new.expires_at <= old.expires_at

    asyncio.run(main())


@given(records(), ROTATIONS)
def test_a_rotation_keeps_who_and_what_and_ends_the_old_key_in_time(record, rotation):
    try:
        old, fresh = rotation.apply(record)
    except ApiKeyChangeError:
        assert record.revoked or record.expired(rotation.at) or record.replaced_by is not None
        return
    assert ended(old, rotation.at + rotation.overlap)
    assert old.replaced_by == fresh.prefix
    assert fresh.rotated_from == old.prefix
    assert not fresh.revoked
    assert (fresh.tenant_id, fresh.roles, fresh.name) == (record.tenant_id, record.roles, record.name)


@given(st.lists(STEPS, max_size=12))
def test_sqlite_says_what_memory_says(steps):
    async def main(path):
        model = InMemoryApiKeyStore()
        async with SqliteApiKeyStore.open(path) as store:
            for step in steps:
                assert await answer(store, step) == await answer(model, step)
            assert await contents(store) == await contents(model)
            for tenant in TENANTS:
                assert await store.list(tenant, limit=1) == await model.list(tenant, limit=1)

    with TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder) / "keys.db"))


KEY, RECORD = new_api_key(TENANTS[0], ["Cashier"])


@given(st.text() | st.just(""), st.integers(0, len(KEY)), st.integers(0, len(KEY)))
def test_no_other_text_is_the_key(text, start, end):
    altered = KEY[:start] + text + KEY[end:]

    async def main():
        try:
            return await ApiKeyAuthenticator(InMemoryApiKeyStore([RECORD])).authenticate({"x-api-key": altered})
        except ApiError as refusal:
            return refusal.status

    said = asyncio.run(main())
    assert (said == 401) != (altered == KEY)


@given(st.lists(st.floats(0, 20), max_size=8), st.floats(0, 300), st.integers(0, 7))
def test_a_revoked_key_outlives_its_revocation_by_the_cache_at_most(pauses, seconds, place):
    async def main():
        clock = ManualClock(start=1000.0)
        store = InMemoryApiKeyStore([replace(RECORD, expires_at=None)])
        check = ApiKeyAuthenticator(store, clock=clock, cache_seconds=seconds)
        revoked_at = None
        for number, pause in enumerate(pauses):
            if number == place:
                await store.revoke(RECORD.prefix, at=1.0)
                revoked_at = clock.monotonic()
            clock.advance(pause)
            try:
                passed = await check.authenticate({"x-api-key": KEY}) is not None
            except ApiError:
                passed = False
            assert passed or revoked_at is not None
            if revoked_at is not None and clock.monotonic() - revoked_at >= seconds:
                assert not passed

    asyncio.run(main())
