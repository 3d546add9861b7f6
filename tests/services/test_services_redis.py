"""Redis from the wheel: scripts, two at once, a lost port race, its end."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import pytest
import redis as redis_client
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from tenaudit.testing.services import PortTaken, RedisService, redis
from tenaudit.testing.services.port import accepts, free_port

pytestmark = pytest.mark.services

SCRIPT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


@pytest.fixture
def started(monkeypatch, redis_service):
    """Our own servers, wherever the shared one comes from; skipped where the shared one is."""
    monkeypatch.delenv("TEST_REDIS_URL", raising=False)


def connect(service: RedisService) -> redis_client.Redis:
    return redis_client.Redis.from_url(service.url, socket_timeout=5, retry=Retry(NoBackoff(), 0))


def port_of(service: RedisService) -> int:
    port = urlsplit(service.url).port
    assert port is not None
    return port


def test_a_script_runs_by_its_digest_until_it_is_flushed(redis_service):
    digest = hashlib.sha1(SCRIPT.encode()).hexdigest()
    with connect(redis_service) as client:
        client.delete("services-smoke")
        assert client.script_load(SCRIPT) == digest
        assert client.evalsha(digest, 1, "services-smoke", 3) == 3
        client.script_flush()
        with pytest.raises(NoScriptError):
            client.evalsha(digest, 1, "services-smoke", 3)
        assert client.eval(SCRIPT, 1, "services-smoke", 4) == 7
        assert client.evalsha(digest, 1, "services-smoke", 1) == 8


@pytest.mark.usefixtures("started")
def test_two_at_once_share_nothing():
    with redis() as one, redis() as other, connect(one) as here, connect(other) as there:
        here.set("key", "here")
        assert there.get("key") is None
        assert here.config_get("dir") != there.config_get("dir")


@pytest.mark.usefixtures("started")
def test_the_block_ends_the_server():
    with redis() as service, connect(service) as client:
        assert client.info("server")["redis_version"] == service.version
    assert not accepts(port_of(service))


@pytest.mark.usefixtures("started")
def test_an_exception_ends_the_server_too():
    with pytest.raises(ZeroDivisionError), redis() as service:
        1 // (not accepts(port_of(service)))
    assert not accepts(port_of(service))


@pytest.mark.usefixtures("started")
def test_a_taken_port_gives_way_to_another():
    with redis() as first:
        ports = iter([port_of(first), free_port()])
        with redis(pick_port=lambda: next(ports)) as second, connect(second) as client:
            assert port_of(second) != port_of(first)
            assert client.ping()


@pytest.mark.usefixtures("started")
def test_the_tries_for_a_port_are_bounded():
    with redis() as first:
        asked = []

        def always_the_same() -> int:
            asked.append(None)
            return port_of(first)

        with pytest.raises(PortTaken, match="in use"), redis(pick_port=always_the_same):
            pytest.fail("started on a port that is taken")
        assert 1 < len(asked) < 10


def test_an_external_server_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/3")
    with redis() as service:
        assert service == RedisService(url="redis://127.0.0.1:1/3", kind="external")
