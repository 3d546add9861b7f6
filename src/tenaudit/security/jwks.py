"""When to fetch a key set and how long to believe it: the rules, without the fetching.

Pure: the time is an argument, in seconds of a clock that never goes back.

1. Two fetches begin at least `refetch_cooldown` apart, whoever asks for whatever, and however they end.
2. A set is fresh for `refresh_after`; then each question wants a new one, and the old one still answers.
3. A fetch that fails changes nothing: the keys at hand answer until `refresh_after + stale_for` after their fetch.
4. A key id that a fetch did not bring wants none for `negative_ttl`; at most `negative_max` such ids are remembered.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tenaudit._kernel.error import ConfigurationError
from tenaudit.security.key_source import MAX_KID

if TYPE_CHECKING:
    from tenaudit.security.jwk_set import JwkSet

__all__ = ["JwksAnswer", "JwksCache", "JwksTimes"]


@dataclass(frozen=True, slots=True)
class JwksTimes:
    """The settings of a `JwksCache`; all but *negative_max* are seconds.

    Raises:
        ConfigurationError: one that is negative or not finite, *refetch_cooldown* at 0, or *refresh_after* below it.

    Example:
        >>> JwksTimes(stale_for=0).stale_for
        0
    """

    refresh_after: float = 300.0
    refetch_cooldown: float = 30.0
    negative_ttl: float = 300.0
    negative_max: int = 128
    stale_for: float = 3600.0

    def __post_init__(self) -> None:
        for name in ("refresh_after", "refetch_cooldown"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} must be more than 0 seconds, not {getattr(self, name)}")
        for name in ("negative_ttl", "negative_max", "stale_for"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.refresh_after < self.refetch_cooldown:
            raise ConfigurationError("refresh_after must be at least refetch_cooldown")


@dataclass(frozen=True, slots=True)
class JwksAnswer:
    """What is known of a key id now.

    `state` is `found` (with `key`), `unknown` or `unavailable`; `wants_fetch` asks for `JwksCache.begin`; `may_wait`
    says that the end of a fetch under way is worth waiting for.
    """

    state: Literal["found", "unknown", "unavailable"]
    key: tuple[str, Any] | None = None
    wants_fetch: bool = False
    may_wait: bool = False


class JwksCache:
    """The last key set that was had, and what may be asked of it.

    Example:
        >>> from tenaudit.security.jwk_set import JwkSet
        >>> cache = JwksCache(JwksTimes())
        >>> cache.answer("k1", now=0).state, cache.begin(now=0), cache.begin(now=1)
        ('unavailable', True, False)
        >>> cache.stored(JwkSet({"k1": ("ES256", "...")}), begun=0, now=2)
        True
        >>> cache.answer("k1", now=3).state, cache.answer("k2", now=3).state
        ('found', 'unknown')
    """

    def __init__(self, times: JwksTimes) -> None:
        self._times = times
        self._keys: JwkSet | None = None
        self._had_at = 0.0
        self._begun_of_keys = -math.inf
        self._begun_at = -math.inf
        self._negatives: OrderedDict[str, float] = OrderedDict()

    @property
    def keys(self) -> JwkSet | None:
        """The set that was had last, believed or not."""
        return self._keys

    @property
    def negatives(self) -> int:
        """How many unknown key ids are remembered."""
        return len(self._negatives)

    def answer(self, kid: str | None, now: float) -> JwksAnswer:
        """Return what is known of *kid*; changes nothing."""
        age = math.inf if self._keys is None else now - self._had_at
        if self._keys is None or age >= self._times.refresh_after + self._times.stale_for:
            return JwksAnswer("unavailable", wants_fetch=True, may_wait=True)
        stale = age >= self._times.refresh_after
        key = self._keys.find(kid)
        if key is not None:
            # After a quiet time the set may be old although nothing failed: then the answer is worth the wait.
            quiet = now - self._begun_at >= 2 * self._times.refresh_after
            return JwksAnswer("found", key, wants_fetch=stale, may_wait=stale and quiet)
        if kid is None or not 0 < len(kid) <= MAX_KID or self._is_negative(kid, now):
            return JwksAnswer("unknown", wants_fetch=stale)
        # Of a stale set nobody can say that it lacks the key.
        return JwksAnswer("unavailable" if stale else "unknown", wants_fetch=True, may_wait=True)

    def begin(self, now: float) -> bool:
        """Note that a fetch begins, and return True, unless one began less than the cooldown ago."""
        if now - self._begun_at < self._times.refetch_cooldown:
            return False
        self._begun_at = now
        return True

    def stored(self, keys: JwkSet, *, begun: float, now: float) -> bool:
        """Keep what the fetch begun at *begun* brought, unless a later one already did; return whether it is kept."""
        if begun < self._begun_of_keys:
            return False
        self._keys, self._had_at, self._begun_of_keys = keys, now, begun
        return True

    def missed(self, kid: str, now: float) -> None:
        """Remember that a fetch did not bring *kid*; the id remembered longest makes room."""
        if self._times.negative_max and 0 < len(kid) <= MAX_KID:
            self._negatives[kid] = now + self._times.negative_ttl
            self._negatives.move_to_end(kid)
            if len(self._negatives) > self._times.negative_max:
                self._negatives.popitem(last=False)

    def retry_after(self, now: float) -> int:
        """Return the whole seconds, at least 1, until a fetch may begin."""
        return math.ceil(max(1.0, self._begun_at + self._times.refetch_cooldown - now))

    def _is_negative(self, kid: str, now: float) -> bool:
        return self._negatives.get(kid, -math.inf) > now
