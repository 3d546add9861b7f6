"""A key source over real HTTP: when it fetches, what it answers, and an identity provider that is down or slow."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from contextvars import ContextVar

import httpx
import jwt
import pytest
from prometheus_client import CollectorRegistry

from tenaudit.backends.jwks import JwksKeySource
from tenaudit.errors import ApiError, ConfigurationError
from tenaudit.security import JwtAuthenticator
from tenaudit.testing.clock import ManualClock
from tests.unit.backends.jwks_idp import EC, ED, RSA, identity_provider

NOW = 1_700_000_000
TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
CLAIMS = {"sub": "u-1", "iss": "idp", "aud": "api", "exp": NOW + 10**6, "tenant_id": TENANT, "roles": ["Cashier"]}
OK, ERROR = ("jwks_fetches_total", {"outcome": "ok"}), ("jwks_fetches_total", {"outcome": "error"})


@pytest.fixture
def idp():
    with identity_provider() as provider:
        provider.publish(k1=EC)
        yield provider


class Rig:
    """A key source under a clock of the test, with the authenticator that uses it."""

    def __init__(self, idp, **options):
        self.clock = ManualClock(NOW)
        self.registry = CollectorRegistry()
        self.keys = JwksKeySource(idp.url, clock=self.clock, registry=self.registry, **options)
        self.gate = JwtAuthenticator(self.keys, issuer="idp", audience="api", clock=self.clock)

    async def status(self, kid="k1", key=EC, algorithm="ES256"):
        headers = {} if kid is None else {"kid": kid}
        token = jwt.encode(CLAIMS, key, algorithm=algorithm, headers=headers)
        return await self.ask(token)

    async def ask(self, token):
        try:
            principal = await self.gate.authenticate({"authorization": f"Bearer {token}"})
        except ApiError as error:
            return error.status
        assert principal.actor.id == "u-1"
        return 200

    async def settled(self):
        """Wait for a fetch that runs behind a request: an unknown kid joins it."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=10)

    def value(self, name, labels=None):
        return self.registry.get_sample_value(name, labels)


def test_the_first_token_fetches_and_the_next_ones_do_not(idp):
    async def main():
        rig = Rig(idp)
        assert idp.asked == []
        assert rig.value("jwks_last_success_timestamp_seconds") == 0
        assert [await rig.status() for _ in range(3)] == [200, 200, 200]
        assert len(idp.asked) == 1
        assert (rig.value(*OK), rig.value(*ERROR)) == (1, 0)
        assert (rig.value("jwks_keys"), rig.value("jwks_last_success_timestamp_seconds")) == (1, NOW)

    asyncio.run(main())


def test_it_asks_for_json_that_is_not_packed(idp):
    asyncio.run(Rig(idp).status())
    ((path, headers),) = idp.asked
    assert path == "/jwks"
    assert headers["accept-encoding"] == "identity"
    assert "application/jwk-set+json" in headers["accept"]


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (ED, "EdDSA"), (RSA, "RS256")])
def test_each_kind_of_key_verifies(idp, key, algorithm):
    idp.publish(k1=key, other=EC if key is ED else ED)

    async def main():
        rig = Rig(idp)
        assert await rig.status(key=key, algorithm=algorithm) == 200
        assert await rig.status(kid="other", key=key, algorithm=algorithm) == 401
        assert await rig.status(kid=None, key=key, algorithm=algorithm) == 401

    asyncio.run(main())


def test_without_a_kid_the_only_key_is_meant(idp):
    async def main():
        assert await Rig(idp).status(kid=None) == 200

    asyncio.run(main())


# Many callers, one fetch


def test_callers_share_one_fetch(idp):
    idp.hold()

    async def main():
        rig = Rig(idp)
        callers = [asyncio.create_task(rig.status()) for _ in range(50)]
        await asyncio.to_thread(idp.arrived.acquire, timeout=10)
        idp.release.set()
        assert set(await asyncio.gather(*callers)) == {200}
        assert len(idp.asked) == 1

    asyncio.run(main())


def test_a_caller_that_is_cancelled_does_not_cancel_the_fetch_of_the_others(idp):
    idp.hold()

    async def main():
        rig = Rig(idp)
        first, second = asyncio.create_task(rig.status()), asyncio.create_task(rig.status())
        await asyncio.to_thread(idp.arrived.acquire, timeout=10)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        idp.release.set()
        assert await second == 200
        assert len(idp.asked) == 1

    asyncio.run(main())


def test_callers_of_several_event_loops_share_one_fetch(idp):
    idp.hold()
    rig = Rig(idp)
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(asyncio.run(rig.status()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert idp.arrived.acquire(timeout=10)
    idp.release.set()
    for thread in threads:
        thread.join(10)
    assert seen == [200] * 4
    assert len(idp.asked) == 1


def test_one_event_loop_after_another_uses_the_same_keys(idp):
    rig = Rig(idp)
    assert [asyncio.run(rig.status()) for _ in range(3)] == [200, 200, 200]
    assert len(idp.asked) == 1


def test_a_fetch_that_dies_with_its_event_loop_is_followed_by_another(idp):
    rig = Rig(idp)
    assert asyncio.run(rig.status()) == 200
    rig.clock.advance(300)
    # The loop ends right after the answer, and takes the fetch behind it along.
    assert asyncio.run(rig.status()) == 200
    rig.clock.advance(30)

    async def later():
        assert await rig.status() == 200
        await rig.settled()

    asyncio.run(later())
    assert rig.value(*OK) == 2


def test_a_client_of_its_own_binds_a_source_to_one_event_loop(idp):
    async def first():
        async with httpx.AsyncClient() as client:
            rig = Rig(idp, client=client)
            assert await rig.status() == 200
            assert await rig.status() == 200
            await rig.keys.aclose()
            assert not client.is_closed
        return rig

    rig = asyncio.run(first())
    with pytest.raises(ConfigurationError, match="one event loop"):
        asyncio.run(rig.status())


# Rotation, and unknown key ids


def test_ten_thousand_unknown_kids_in_thirty_seconds_cause_at_most_one_fetch(idp):
    async def main():
        rig = Rig(idp)
        assert await rig.status() == 200
        rig.clock.advance(30)
        before = len(idp.asked)
        draw = random.Random(7)
        for _ in range(100):
            kids = [f"{draw.getrandbits(128):032x}" for _ in range(100)]
            assert await asyncio.gather(*map(rig.keys.key_for, kids)) == [None] * 100
            rig.clock.advance(0.299)
        assert len(idp.asked) - before == 1
        assert await rig.status() == 200

    asyncio.run(main())


def test_unknown_kids_right_after_the_first_fetch_cause_none(idp):
    async def main():
        rig = Rig(idp)
        assert await rig.status() == 200
        for number in range(1000):
            assert await rig.keys.key_for(f"kid-{number}") is None
            rig.clock.advance(0.0299)
        assert len(idp.asked) == 1

    asyncio.run(main())


def test_an_unknown_kid_of_a_token_is_401_while_the_keys_are_fresh(idp):
    async def main():
        rig = Rig(idp)
        assert await rig.status(kid="other") == 401
        assert await rig.status() == 200

    asyncio.run(main())


def test_a_new_key_is_found_by_one_fetch(idp):
    async def main():
        rig = Rig(idp)
        assert await rig.status() == 200
        idp.publish(k1=EC, k2=ED)
        rig.clock.advance(30)
        assert await rig.status(kid="k2", key=ED, algorithm="EdDSA") == 200
        assert await rig.status() == 200
        assert len(idp.asked) == 2
        assert rig.value("jwks_keys") == 2

    asyncio.run(main())


def test_a_new_key_within_the_cooldown_waits_for_its_end(idp):
    async def main():
        rig = Rig(idp)
        assert await rig.status() == 200
        idp.publish(k1=EC, k2=ED)
        rig.clock.advance(29.9)
        assert await rig.status(kid="k2", key=ED, algorithm="EdDSA") == 401
        assert len(idp.asked) == 1
        rig.clock.advance(0.1)
        assert await rig.status(kid="k2", key=ED, algorithm="EdDSA") == 200

    asyncio.run(main())


def test_a_kid_that_a_fetch_did_not_bring_starts_none_for_its_time(idp):
    async def main():
        rig = Rig(idp, refresh_after=10_000)
        assert await rig.status() == 200
        rig.clock.advance(30)
        assert await rig.status(kid="k2") == 401
        for _ in range(9):
            rig.clock.advance(30)
            assert await rig.status(kid="k2") == 401
        assert len(idp.asked) == 2
        rig.clock.advance(30)
        assert await rig.status(kid="k2") == 401
        assert len(idp.asked) == 3

    asyncio.run(main())


def test_a_kid_too_long_to_be_one_starts_no_fetch(idp):
    async def main():
        rig = Rig(idp)
        assert await rig.status() == 200
        rig.clock.advance(30)
        for kid in ("", "x" * 257):
            assert await rig.status(kid=kid) == 401
        assert len(idp.asked) == 1

    asyncio.run(main())


# Refresh


def test_old_keys_answer_while_the_new_ones_are_fetched(idp):
    async def main():
        rig = Rig(idp)
        assert await rig.status() == 200
        idp.publish(k2=ED)
        idp.hold()
        rig.clock.advance(300)
        assert await rig.status() == 200
        await asyncio.to_thread(idp.arrived.acquire, timeout=10)
        idp.release.set()
        await rig.settled()
        assert len(idp.asked) == 2
        assert await rig.status() == 401
        assert await rig.status(kid="k2", key=ED, algorithm="EdDSA") == 200

    asyncio.run(main())


def test_a_withdrawn_key_is_not_taken_after_a_quiet_time(idp):
    async def main():
        rig = Rig(idp)
        assert await rig.status() == 200
        idp.publish(k2=ED)
        rig.clock.advance(600)
        assert await rig.status() == 401
        assert len(idp.asked) == 2

    asyncio.run(main())


# The identity provider is down


def test_with_the_identity_provider_down_for_an_hour_tokens_of_known_keys_verify(idp):
    async def main():
        rig = Rig(idp)
        assert await rig.status() == 200
        idp.status = 500
        for _ in range(360):
            rig.clock.advance(10)
            assert await rig.status() == 200
            await rig.settled()
        assert await rig.status(kid="k2", key=ED, algorithm="EdDSA") == 503
        # Fresh for 300 seconds, and then stale for 3600.
        rig.clock.advance(299)
        assert await rig.status() == 200
        await rig.settled()
        rig.clock.advance(1)
        assert await rig.status() == 503
        # A fetch each 30 seconds while it was down, and one more now and then for the last steps.
        assert 3300 / 30 <= rig.value(*ERROR) <= 3600 / 30 + 2
        assert rig.value("jwks_keys") == 1
        idp.status = 200
        rig.clock.advance(30)
        assert await rig.status() == 200

    asyncio.run(main())


def test_without_any_stale_time_keys_are_refused_when_they_are_no_longer_fresh(idp):
    async def main():
        rig = Rig(idp, stale_for=0)
        assert await rig.status() == 200
        idp.status = 500
        rig.clock.advance(299)
        assert await rig.status() == 200
        rig.clock.advance(1)
        assert await rig.status() == 503

    asyncio.run(main())


def test_before_the_first_keys_it_is_503_with_the_time_to_the_next_fetch(idp):
    idp.status = 500

    async def main():
        rig = Rig(idp)
        for after, wait in ((0, 30), (12.5, 18), (17, 1)):
            rig.clock.advance(after)
            with pytest.raises(ApiError) as caught:
                await rig.keys.key_for("k1")
            assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "unavailable", wait)
        assert len(idp.asked) == 1
        idp.status = 200
        rig.clock.advance(0.5)
        assert await rig.status() == 200

    asyncio.run(main())


def failed(idp, caplog, **options):
    """Break a fetch while keys are at hand: they stay. Return the kind of failure that is logged."""
    status, headers, cut, body = idp.status, idp.headers, idp.cut, idp.body

    async def main():
        idp.publish(k1=EC)
        rig = Rig(idp, **options)
        assert await rig.status() == 200
        idp.status, idp.headers, idp.cut, idp.body = status, headers, cut, body
        rig.clock.advance(30)
        assert await rig.status(kid="other") == 401
        assert rig.value(*ERROR) == 1
        assert await rig.status() == 200
        assert rig.value("jwks_keys") == 1

    with caplog.at_level(logging.INFO, "tenaudit.security"):
        asyncio.run(main())
    fetched, failure = caplog.records
    assert (fetched.action, fetched.keys, fetched.host) == ("jwks_fetched", 1, "127.0.0.1")
    assert failure.action == "jwks_fetch_failed"
    return failure.error


@pytest.mark.parametrize("status", [201, 204, 301, 304, 401, 404, 429, 500, 503])
def test_another_status_than_200_is_a_failed_fetch(idp, caplog, status):
    idp.status = status
    if status in {204, 304}:
        idp.body = b""
    assert failed(idp, caplog) == f"status_{status}"


def test_a_redirect_is_not_followed(idp, caplog):
    idp.status, idp.headers = 302, {"Location": idp.url + "?again"}
    assert failed(idp, caplog) == "status_302"
    assert [path for path, _ in idp.asked] == ["/jwks", "/jwks"]


def test_a_body_over_the_limit_is_a_failed_fetch(idp, caplog):
    idp.body = idp.body + b" " * 1000
    assert failed(idp, caplog, max_bytes=len(idp.body) - 1) == "too_large"


def test_a_body_at_the_limit_is_read(idp):
    async def main():
        assert await Rig(idp, max_bytes=len(idp.body)).status() == 200

    asyncio.run(main())


def test_a_packed_body_is_a_failed_fetch(idp, caplog):
    idp.headers = {"Content-Encoding": "gzip"}
    assert failed(idp, caplog) == "packed"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"keys":' * 20_000, "not JSON"),
        (b"[]", "not an object with a list"),
        (b'{"keys": {}}', "not an object with a list"),
        (b'{"keys": []}', "no usable key (empty)"),
        (b'{"keys": [7, {}]}', "no usable key (key_type 1, malformed 1)"),
    ],
)
def test_garbage_is_a_failed_fetch(idp, caplog, body, why):
    idp.body = body
    assert why in failed(idp, caplog)


def test_a_connection_that_is_cut_within_the_body_is_a_failed_fetch(idp, caplog):
    idp.cut = True
    assert failed(idp, caplog) == "RemoteProtocolError"


def test_no_listener_is_a_failed_fetch():
    with identity_provider() as idp:
        gone = idp

    async def main():
        rig = Rig(gone)
        assert await rig.status() == 503
        assert rig.value(*ERROR) == 1

    asyncio.run(main())


def test_a_slow_identity_provider_costs_its_deadline_and_no_more(idp, caplog):
    idp.hold()

    async def main():
        rig = Rig(idp, timeout=0.2)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await rig.status() == 503
        assert 0.15 < loop.time() - begun < 5
        assert rig.value(*ERROR) == 1
        idp.release.set()
        rig.clock.advance(30)
        assert await rig.status() == 200

    asyncio.run(main())
    assert caplog.records[0].error in {"timeout", "ReadTimeout"}


def test_whatever_breaks_a_fetch_is_a_failed_fetch(idp, caplog):
    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            raise ZeroDivisionError

    async def main():
        async with httpx.AsyncClient(transport=Broken()) as client:
            rig = Rig(idp, client=client)
            assert await rig.status() == 503
            assert rig.value(*ERROR) == 1

    asyncio.run(main())
    assert caplog.records[0].error == "ZeroDivisionError"


def test_a_fetch_does_not_run_as_the_request_that_starts_it(idp):
    who, seen = ContextVar("who", default="nobody"), []

    async def answer(_):
        seen.append(who.get())
        return httpx.Response(200, content=idp.body)

    async def main():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            who.set("tenant-a")
            assert await Rig(idp, client=client).status() == 200

    asyncio.run(main())
    assert seen == ["nobody"]


def test_a_late_answer_does_not_replace_a_newer_one(idp):
    late = idp.body
    idp.publish(k2=ED)
    newer = idp.body

    async def main():
        arrived, release, bodies = asyncio.Event(), asyncio.Event(), iter([late, newer])

        async def answer(_):
            body = next(bodies)
            if body is late:
                arrived.set()
                await release.wait()
            return httpx.Response(200, content=body)

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            rig = Rig(idp, client=client)
            first = asyncio.create_task(rig.status())
            await asyncio.wait_for(arrived.wait(), 10)
            # By the clock of the source the first fetch is over its deadline, so a second one may begin.
            rig.clock.advance(30)
            assert await rig.status(kid="k2", key=ED, algorithm="EdDSA") == 200
            release.set()
            assert await first == 401
            assert await rig.status(kid="k2", key=ED, algorithm="EdDSA") == 200
            assert rig.value(*OK) == 1

    asyncio.run(main())


# The end


def test_a_closed_source_fetches_no_more_and_still_knows_its_keys(idp):
    async def main():
        async with Rig(idp).keys as closed:
            await closed.key_for("k1")
        assert (await closed.key_for("k1"))[0] == "ES256"
        assert await closed.key_for("other") is None
        assert len(idp.asked) == 1
        never = Rig(idp)
        await never.keys.aclose()
        assert await never.status() == 503
        assert len(idp.asked) == 1

    asyncio.run(main())


def test_closing_ends_the_fetch_that_runs(idp):
    idp.hold()

    async def main():
        rig = Rig(idp)
        caller = asyncio.create_task(rig.status())
        await asyncio.to_thread(idp.arrived.acquire, timeout=10)
        await rig.keys.aclose()
        assert await caller == 503
        assert (rig.value(*OK), rig.value(*ERROR)) == (0, 0)

    asyncio.run(main())


def test_closing_after_the_event_loop_of_a_fetch_is_gone_waits_for_nothing(idp):
    bodies = iter([idp.body])

    async def answer(_):
        body = next(bodies, None)
        while body is None:
            await asyncio.Event().wait()
        return httpx.Response(200, content=body)

    loop = asyncio.new_event_loop()
    rig = Rig(idp, client=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    assert loop.run_until_complete(rig.status()) == 200
    rig.clock.advance(300)
    assert loop.run_until_complete(rig.status()) == 200
    (fetch,) = asyncio.all_tasks(loop)
    # The fetch behind the answer is left pending, as a loop that is closed carelessly leaves it.
    loop.close()
    asyncio.run(asyncio.wait_for(rig.keys.aclose(), 3))
    fetch._log_destroy_pending = False
    fetch.get_coro().close()


# Set-up, and what is logged


@pytest.mark.parametrize(
    "url",
    [
        *("", "idp.example/jwks", "ftp://idp.example/jwks", "https://", "https:///jwks", "http://idp.example/jwks"),
        *("http://10.0.0.1/", "http://localhost.evil/", "http://127.0.0.1@evil.example/", "http://0.0.0.0/"),
        *("https://user@idp.example/", "https://u:s3cret@idp.example/", "https://idp.example/#x", "https://a\x00b/"),
        *("https://idp.example:x/", "http://127.0.0.1\\@evil.example/", None, 7),
    ],
)
def test_a_url_that_is_not_private_to_both_ends_is_a_configuration_error(url):
    with pytest.raises(ConfigurationError, match="JWKS URL") as caught:
        JwksKeySource(url, registry=CollectorRegistry())
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://idp.example/a?b=c", "http://localhost:1/", "http://127.9.9.9/", "http://[::1]/"]
)
def test_https_and_loopback_urls_are_taken(url):
    assert JwksKeySource(url, registry=CollectorRegistry())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"algorithms": []}, "algorithms"),
        ({"algorithms": ["RS256", "HS256"]}, "algorithms.*'HS256'"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": "HS256"}, "algorithms.*'HS256'"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 61, "refetch_cooldown": 70}, "timeout"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"refetch_cooldown": 4.9}, "refetch_cooldown must be at least timeout"),
        ({"refetch_cooldown": 0}, "refetch_cooldown"),
        ({"refresh_after": float("inf")}, "refresh_after"),
        ({"refresh_after": 29.0}, "refresh_after"),
        ({"stale_for": -1}, "stale_for"),
        ({"negative_max": -1}, "negative_max"),
        ({"negative_ttl": float("nan")}, "negative_ttl"),
    ],
)
def test_a_setting_out_of_range_is_a_configuration_error(options, why):
    with pytest.raises(ConfigurationError, match=why):
        JwksKeySource("https://idp.example/jwks", registry=CollectorRegistry(), **options)


def test_neither_the_url_nor_the_body_is_logged(idp, caplog):
    secret = "s3cret"
    url = idp.url
    idp.url = f"{url}?key={secret}"
    with caplog.at_level(logging.DEBUG, "tenaudit"):
        asyncio.run(Rig(idp).status())
        idp.body = b'{"keys": "s3cret"}'
        asyncio.run(Rig(idp).status())
    assert [record.action for record in caplog.records if record.name.startswith("tenaudit")] == [
        "jwks_fetched",
        "jwks_fetch_failed",
    ]
    ours = [record for record in caplog.records if record.name.startswith("tenaudit")]
    assert not any(secret in repr(vars(record)) for record in ours)


def test_keys_left_out_are_a_warning_when_they_change(idp, caplog):
    async def main():
        rig = Rig(idp)
        assert await rig.status() == 200
        for body in (idp.body.replace(b"]}", b", 7]}"),) * 2:
            idp.body = body
            rig.clock.advance(600)
            assert await rig.status() == 200

    with caplog.at_level(logging.INFO, "tenaudit.security"):
        asyncio.run(main())
    assert [(record.levelname, record.ignored) for record in caplog.records] == [
        ("INFO", {}),
        ("WARNING", {"malformed": 1}),
        ("INFO", {"malformed": 1}),
    ]
