"""Looking keys up: how often the store is asked, what a failing store means, how long a revoked key lives."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.gate import Gate, RequestView
from tenaudit.security import ApiKeyAuthenticator, ApiKeyStoreError, InMemoryApiKeyStore, new_api_key
from tenaudit.testing.clock import ManualClock

TENANT = UUID(int=7)


class Counting(InMemoryApiKeyStore):
    """A store that notes what it was asked, and can be out of order."""

    def __init__(self, *records):
        super().__init__(records)
        self.asked = []
        self.fails = False

    async def get(self, prefix):
        self.asked.append(prefix)
        if self.fails:
            raise ApiKeyStoreError("keys.db: locked")
        return await super().get(prefix)


def status(check, key):
    try:
        principal = asyncio.run(check.authenticate({"x-api-key": key}))
    except ApiError as refusal:
        return refusal.status
    assert principal is not None
    return 200


def wrong(key):
    return key[:-1] + ("A" if key[-1] != "A" else "B")


def test_a_store_that_fails_is_no_verdict_on_the_key(caplog):
    key, record = new_api_key(TENANT, ["Cashier"])
    store = Counting(record)
    store.fails = True
    check = ApiKeyAuthenticator(store)
    with caplog.at_level(logging.WARNING), pytest.raises(ApiError) as caught:
        asyncio.run(check.authenticate({"x-api-key": key}))
    error = caught.value
    assert (error.status, error.code, error.retry_after) == (503, "unavailable", 1)
    assert "locked" not in error.message
    (line,) = caplog.records
    assert (line.action, line.error) == ("api_key_store_failed", "keys.db: locked")
    assert key[16:] not in str(vars(line))


def test_the_gate_answers_503_and_not_401():
    key, record = new_api_key(TENANT, ["Cashier"])
    store = Counting(record)
    store.fails = True
    gate = Gate("edge", registry=CollectorRegistry(), authenticators=[ApiKeyAuthenticator(store)])
    identity = asyncio.run(gate.identify(RequestView([("X-API-Key", key)])))
    assert (identity.context, identity.refusal.status, identity.refusal.code) == (None, 503, "unavailable")


def test_by_default_the_store_is_asked_each_time():
    key, record = new_api_key(TENANT, [])
    store = Counting(record)
    check = ApiKeyAuthenticator(store)
    assert [status(check, key) for _ in range(3)] == [200] * 3
    assert store.asked == [record.prefix] * 3


def test_a_good_key_is_remembered_for_its_seconds():
    clock = ManualClock()
    key, record = new_api_key(TENANT, [])
    store = Counting(record)
    check = ApiKeyAuthenticator(store, clock=clock, cache_seconds=10)
    for _ in range(3):
        assert status(check, key) == 200
    assert len(store.asked) == 1
    clock.advance(9.5)
    asyncio.run(store.revoke(record.prefix, at=1.0))
    store.fails = True
    assert status(check, key) == 200
    clock.advance(0.5)
    assert status(check, key) == 503
    store.fails = False
    assert status(check, key) == 401
    assert len(store.asked) == 3


def test_wall_time_that_steps_back_keeps_nothing_longer():
    clock = ManualClock()
    key, record = new_api_key(TENANT, [])
    store = Counting(record)
    check = ApiKeyAuthenticator(store, clock=clock, cache_seconds=10)
    assert status(check, key) == 200
    clock.jump_wall(-1000)
    clock.advance(10)
    assert status(check, key) == 200
    assert len(store.asked) == 2


def test_a_remembered_key_ends_at_its_second():
    clock = ManualClock(start=1000.0)
    key, record = new_api_key(TENANT, [], expires_at=1005.0)
    check = ApiKeyAuthenticator(Counting(record), clock=clock, cache_seconds=300)
    assert status(check, key) == 200
    clock.advance(5)
    assert status(check, key) == 401


def test_a_wrong_secret_asks_the_store_whether_the_key_is_remembered_or_not():
    key, record = new_api_key(TENANT, [])
    store = Counting(record)
    check = ApiKeyAuthenticator(store, clock=ManualClock(), cache_seconds=10)
    assert [status(check, text) for text in (wrong(key), key, wrong(key), key)] == [401, 200, 401, 200]
    assert len(store.asked) == 3


def test_only_good_keys_are_remembered():
    key, record = new_api_key(TENANT, [])
    store = Counting(replace(record, revoked=True))
    check = ApiKeyAuthenticator(store, clock=ManualClock(), cache_seconds=10)
    unknown, _ = new_api_key(TENANT, [])
    assert [status(check, text) for text in (key, key, unknown, unknown)] == [401] * 4
    assert len(store.asked) == 4


def test_a_revocation_that_is_seen_is_not_forgotten():
    key, record = new_api_key(TENANT, [])
    store = Counting(record)
    check = ApiKeyAuthenticator(store, clock=ManualClock(), cache_seconds=10)
    assert status(check, key) == 200
    asyncio.run(store.revoke(record.prefix, at=1.0))
    assert [status(check, text) for text in (wrong(key), key)] == [401, 401]


def test_the_cache_is_bounded_and_forgets_the_oldest():
    made = [new_api_key(TENANT, []) for _ in range(3)]
    store = Counting(*(record for _, record in made))
    check = ApiKeyAuthenticator(store, clock=ManualClock(), cache_seconds=10, cache_size=2)
    for key, _ in made:
        assert status(check, key) == 200
    store.asked.clear()
    for key, _ in reversed(made):
        assert status(check, key) == 200
    assert store.asked == [made[0][1].prefix]


class Slow(Counting):
    """A store whose clock goes on while it is asked, and whose answer is from the start of that."""

    def __init__(self, record, clock):
        super().__init__(record)
        self.clock = clock

    async def get(self, prefix):
        found = await super().get(prefix)
        self.clock.advance(4)
        return found


def test_a_record_is_as_old_as_the_question():
    clock = ManualClock()
    key, record = new_api_key(TENANT, [])
    store = Slow(record, clock)
    check = ApiKeyAuthenticator(store, clock=clock, cache_seconds=10)
    assert status(check, key) == 200
    clock.advance(5.9)
    assert status(check, key) == 200
    clock.advance(0.2)
    assert status(check, key) == 200
    assert len(store.asked) == 2


@pytest.mark.parametrize(
    "wrong_options",
    [{"cache_seconds": value} for value in (-1, 301, math.nan, math.inf)] + [{"cache_size": 0}],
    ids=str,
)
def test_a_cache_out_of_range_is_a_configuration_error(wrong_options):
    with pytest.raises(ConfigurationError, match="cache_"):
        ApiKeyAuthenticator(InMemoryApiKeyStore(), **wrong_options)


def test_a_store_needs_no_more_than_get():
    key, record = new_api_key(TENANT, ["Cashier"])

    class Lookup:
        async def get(self, prefix):
            return record if prefix == record.prefix else None

    assert status(ApiKeyAuthenticator(Lookup()), key) == 200
