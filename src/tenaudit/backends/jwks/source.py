"""The keys of a JWKS URL as a key source: one fetch at a time, and old keys rather than none."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Self

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit.backends.jwks.document import Document, DocumentError, tls_context
from tenaudit.errors import ApiError
from tenaudit.errors.instruments import counter, gauge
from tenaudit.security.jwk_set import InvalidJwkSetError, JwkSet, asymmetric_only, parse_jwk_set
from tenaudit.security.jwks import JwksAnswer, JwksCache, JwksTimes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx
    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock

__all__ = ["JwksKeySource"]

_log = logging.getLogger("tenaudit.security")


class JwksKeySource:
    """Verification keys of a JWKS URL, for `JwtAuthenticator` (RFC 7517).

    The first token fetches. After *refresh_after* the next one starts a fetch and is checked with the keys at hand,
    unless nobody asked for as long again: then it waits. An unknown `kid` starts a fetch and waits for it. However
    many ask, one fetch runs, and two begin at least *refetch_cooldown* apart. A fetch that fails leaves the keys as
    they are; they verify until *refresh_after* + *stale_for* after they were fetched, and then each token is refused
    with 503 `unavailable`. So is a token of an unknown `kid` while the keys are older than *refresh_after*; while
    they are fresh it is 401.

    It may be used from several event loops and threads, unless a *client* is given. What is logged names the host
    and never the URL.

    Args:
        url: `https`, or `http` on a loopback host; redirects are not followed.
        algorithms: what the keys may be used with; never a symmetric one. An RSA key without `alg` is used only when
            one RSA algorithm is named.
        refresh_after: seconds for which a set is fresh.
        refetch_cooldown: seconds between the beginnings of two fetches, at least *timeout*.
        negative_ttl: seconds for which a `kid` that a fetch did not bring starts none.
        negative_max: how many such `kid` are remembered.
        stale_for: seconds for which keys that are no longer fresh verify. 0 refuses at once, when the identity
            provider is down; a large value trusts a withdrawn key for as long, when it is down.
        timeout: seconds for one fetch, all in all.
        max_bytes: the largest answer.
        client: used instead of one made for each fetch; from one event loop, and closed by its owner.
        clock: time source of all but *timeout*.
        registry: home of the metrics; prometheus-client's default stands in.

    Raises:
        ConfigurationError: a URL or a setting that is out of range.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.security import JwtAuthenticator
        >>> keys = JwksKeySource("https://idp.example/jwks", algorithms=["RS256"], registry=CollectorRegistry())
        >>> check = JwtAuthenticator(keys, issuer="https://idp.example", audience="orders")
    """

    def __init__(
        self,
        url: str,
        *,
        algorithms: Sequence[str] = ("RS256", "PS256", "ES256", "EdDSA"),
        refresh_after: float = 300.0,
        refetch_cooldown: float = 30.0,
        negative_ttl: float = 300.0,
        negative_max: int = 128,
        stale_for: float = 3600.0,
        timeout: float = 5.0,
        max_bytes: int = 256 * 1024,
        client: httpx.AsyncClient | None = None,
        clock: Clock | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        times = JwksTimes(refresh_after, refetch_cooldown, negative_ttl, negative_max, stale_for)
        self._document = Document(url, timeout, max_bytes)
        if refetch_cooldown < timeout:
            raise ConfigurationError("refetch_cooldown must be at least timeout, so that one fetch runs at a time")
        self._algorithms = asymmetric_only(algorithms)
        self._cache = JwksCache(times)
        self._lock = threading.Lock()
        self._flight: Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._client = client
        self._context = tls_context()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock = clock or SystemClock()
        self._ignored: Mapping[str, int] = {}
        fetches = counter(registry, "jwks_fetches_total", "Fetches of a key set, by outcome.", ("outcome",))
        self._fetches = {outcome: fetches.labels(outcome) for outcome in ("ok", "error")}
        self._keys = gauge(registry, "jwks_keys", "Usable keys of the last set.", across_processes="livemin")
        self._success = gauge(
            registry,
            "jwks_last_success_timestamp_seconds",
            "When a key set was last had, in Unix seconds; 0 for never.",
            across_processes="livemin",
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def key_for(self, kid: str | None) -> tuple[str, Any] | None:
        """Return the algorithm and the key of *kid*, None when the identity provider has no such key.

        Raises:
            ApiError: 503 `unavailable` with `Retry-After`, since no keys can be had that are young enough.
            ConfigurationError: a *client* was given, and this is not the event loop of its first use.
        """
        answer, flight, had = self._ask(kid)
        if answer.may_wait and flight is not None:
            await self._end_of(flight)
            answer = self._answer_after(kid, had)
        if answer.state == "unavailable":
            with self._lock:
                seconds = self._cache.retry_after(self._clock.monotonic())
            raise ApiError.unavailable("The keys of bearer tokens cannot be had now.", retry_after=seconds)
        return answer.key

    async def aclose(self) -> None:
        """Start no more fetches, and end the one that runs; the keys at hand still verify until they are too old."""
        self._closed = True
        task, flight = self._task, self._flight
        if task is not None and flight is not None and not flight.done():
            # A loop that is gone took its task with it.
            with suppress(RuntimeError):
                task.get_loop().call_soon_threadsafe(task.cancel)
                await self._end_of(flight)

    async def _end_of(self, flight: Future[None]) -> None:
        """Wait for a fetch, also of another loop; who is cancelled or gives up does not end it for the others."""
        end = asyncio.wrap_future(flight)
        try:
            await asyncio.wait([end], timeout=self._document.timeout + 1)
        finally:
            end.cancel()

    def _ask(self, kid: str | None) -> tuple[JwksAnswer, Future[None] | None, JwkSet | None]:
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._client is not None:
                self._loop = self._loop or loop
                if self._loop is not loop:
                    raise ConfigurationError("a JwksKeySource with a client of its own belongs to one event loop")
            now = self._clock.monotonic()
            answer = self._cache.answer(kid, now)
            if answer.wants_fetch and not self._closed and self._cache.begin(now):
                self._start(loop, now)
            return answer, self._flight, self._cache.keys

    def _start(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        flight: Future[None] = Future()
        # From here on nobody can cancel it, which `wrap_future` would do for a waiter that is cancelled.
        flight.set_running_or_notify_cancel()
        # The context of the request that happens to start a fetch is not the fetch's.
        task = loop.create_task(self._fetch(now), context=Context())
        # A task that is cancelled before it ran has no `finally`, but it has its callbacks.
        task.add_done_callback(lambda _: flight.set_result(None))
        self._flight, self._task = flight, task

    def _answer_after(self, kid: str | None, had: JwkSet | None) -> JwksAnswer:
        with self._lock:
            now = self._clock.monotonic()
            answer = self._cache.answer(kid, now)
            if answer.state == "unknown" and kid is not None and self._cache.keys is not had:
                self._cache.missed(kid, now)
            return answer

    async def _fetch(self, begun: float) -> None:
        try:
            keys = parse_jwk_set(await self._document.get(self._client, self._context), self._algorithms)
        except (DocumentError, InvalidJwkSetError) as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - whatever breaks a fetch, the keys at hand go on
            self._failed(type(error).__name__)
        else:
            self._had(keys, begun)

    def _had(self, keys: JwkSet, begun: float) -> None:
        with self._lock:
            if not self._cache.stored(keys, begun=begun, now=self._clock.monotonic()):
                return
        self._fetches["ok"].inc()
        self._keys.set(len(keys.keys))
        self._success.set(self._clock.time_ns() / 1e9)
        level = logging.WARNING if keys.ignored and keys.ignored != self._ignored else logging.INFO
        self._ignored = keys.ignored
        told = {"action": "jwks_fetched", "host": self._document.host, "keys": len(keys.keys), "ignored": keys.ignored}
        _log.log(level, "a key set was fetched", extra=told)

    def _failed(self, reason: str) -> None:
        self._fetches["error"].inc()
        told = {"action": "jwks_fetch_failed", "host": self._document.host, "error": reason}
        _log.warning("a key set could not be fetched", extra=told)
