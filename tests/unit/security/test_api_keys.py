"""API keys: good, wrong, unknown, revoked, expired, malformed; and the chain of authenticators."""

from __future__ import annotations

import asyncio
import math
from uuid import UUID

import pytest

from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.security import (
    Actor,
    ApiKeyAuthenticator,
    InMemoryApiKeyStore,
    Principal,
    authenticate_chain,
    new_api_key,
    synthesize_headers,
)
from tenaudit.testing.clock import ManualClock

TENANT = UUID(int=7)


def ask(store, key, clock=None, **options):
    check = ApiKeyAuthenticator(store, clock=clock or ManualClock(), **options)
    return asyncio.run(check.authenticate({} if key is None else {"x-api-key": key}))


def refused(store, key, clock=None):
    with pytest.raises(ApiError) as caught:
        ask(store, key, clock)
    error = caught.value
    assert (error.status, error.code, dict(error.headers)) == (401, "unauthorized", {"WWW-Authenticate": "ApiKey"})
    return error.message


def test_a_key_becomes_its_principal():
    key, record = new_api_key(TENANT, ["Inventory", "Cashier"])
    principal = ask(InMemoryApiKeyStore([record]), key)
    roles = frozenset({"Inventory", "Cashier"})
    assert principal == Principal(TENANT, Actor(record.prefix, "api_key"), roles, "api_key")
    assert dict(synthesize_headers(principal))["X-User-ID"] == record.prefix


def test_no_key_is_no_answer():
    assert ask(InMemoryApiKeyStore(), None) is None


def test_the_header_name_is_matched_without_case():
    key, record = new_api_key(TENANT, [])
    check = ApiKeyAuthenticator(InMemoryApiKeyStore([record]), header="X-Partner-Key")
    assert asyncio.run(check.authenticate({"x-partner-key": key})).tenant_id == TENANT


def test_a_wrong_secret_and_an_unknown_prefix_get_one_answer():
    key, record = new_api_key(TENANT, [])
    other, unknown = new_api_key(TENANT, [])
    store = InMemoryApiKeyStore([record])
    wrong = record.prefix + other[len(unknown.prefix) :]
    assert refused(store, wrong) == refused(store, other)
    assert ask(store, key).actor.id == record.prefix


def test_a_key_checks_every_character_of_its_secret():
    key, record = new_api_key(TENANT, [])
    store = InMemoryApiKeyStore([record])
    for place in range(len(record.prefix) + 1, len(key)):
        altered = key[:place] + ("A" if key[place] != "A" else "B") + key[place + 1 :]
        refused(store, altered)


def test_a_revoked_key_is_refused_at_once():
    key, record = new_api_key(TENANT, [])
    store = InMemoryApiKeyStore([record])
    assert asyncio.run(store.revoke(record.prefix)) is True
    assert asyncio.run(store.revoke("ta_000000000000")) is False
    refused(store, key)


def test_a_key_ends_at_its_second():
    clock = ManualClock(start=1000.0)
    key, record = new_api_key(TENANT, [], expires_at=1010.0)
    store = InMemoryApiKeyStore([record])
    clock.advance(9.999)
    assert ask(store, key, clock) is not None
    clock.advance(0.001)
    refused(store, key, clock)


_PREFIX = "ta_0123456789ab_"
MALFORMED = [
    *("", " ", "ta_", "ta_0123456789ab", _PREFIX, "x" * 1_000_000, "\udcff", "ta_0123456789AB_" + "a" * 43),
    *(_PREFIX + "a" * 42, _PREFIX + "a" * 44, _PREFIX + "é" * 43, _PREFIX + "a" * 43 + "\n", _PREFIX + "\u0661" * 43),
]


@pytest.mark.parametrize("text", MALFORMED, ids=lambda value: ascii(value[:24]))
def test_a_malformed_key_is_refused(text):
    refused(InMemoryApiKeyStore(), text)


def test_the_secret_is_in_no_record_and_no_repr():
    key, record = new_api_key(TENANT, ["Cashier"])
    secret = key.removeprefix(record.prefix + "_")
    shown = repr(record)
    assert len(secret) == 43
    assert secret not in shown
    assert record.secret_hash.hex() not in shown
    assert repr(record.secret_hash) not in shown
    assert secret.encode() not in record.secret_hash


def test_keys_differ():
    assert new_api_key(TENANT, [])[0] != new_api_key(TENANT, [])[0]


def test_a_role_string_or_an_endless_expiry_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="roles"):
        new_api_key(TENANT, "Admin")
    for endless in (math.nan, math.inf):
        with pytest.raises(ConfigurationError, match="expires_at"):
            new_api_key(TENANT, [], expires_at=endless)


class _Fixed:
    def __init__(self, answer):
        self.answer, self.asked = answer, 0

    async def authenticate(self, headers):
        self.asked += 1
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


PRINCIPAL = Principal(TENANT, Actor("u"), frozenset())


def test_the_chain_takes_the_first_that_knows_its_credential():
    first, second, third = _Fixed(None), _Fixed(PRINCIPAL), _Fixed(None)
    assert asyncio.run(authenticate_chain([first, second, third], {})) is PRINCIPAL
    assert (first.asked, second.asked, third.asked) == (1, 1, 0)


def test_a_bad_credential_ends_the_chain():
    bad, good = _Fixed(ApiError.unauthorized("no")), _Fixed(PRINCIPAL)
    with pytest.raises(ApiError, match="no"):
        asyncio.run(authenticate_chain([bad, good], {}))
    assert good.asked == 0


@pytest.mark.parametrize("chain", [[], [_Fixed(None)]])
def test_a_chain_without_a_credential_is_401_with_a_challenge(chain):
    with pytest.raises(ApiError) as caught:
        asyncio.run(authenticate_chain(chain, {}))
    assert caught.value.status == 401
    assert dict(caught.value.headers)["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", [None, 7, "", "two words", "Own\r\nX: y", "x" * 65])
def test_a_scheme_that_fits_no_challenge_is_left_out(scheme):
    own = _Fixed(None)
    own.scheme = scheme
    with pytest.raises(ApiError) as caught:
        asyncio.run(authenticate_chain([own], {}))
    assert dict(caught.value.headers)["WWW-Authenticate"] == "Bearer"
