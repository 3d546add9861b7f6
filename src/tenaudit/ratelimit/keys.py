"""The bounded table of keys behind the in-memory engine: who may go when there is no room.

Rules of this file:
- a key that is over a limit is never dropped: forgetting it would be a fresh limit for whoever sprays keys;
- idle keys go first (nothing of theirs is lost), then the least recently used key that is not over a limit;
- no call looks at more than a handful of keys: two heaps say which key to look at next, and when.

Not thread-safe by itself: the engine holds its lock around every call.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from tenaudit.ratelimit.algorithms import ALGORITHMS

if TYPE_CHECKING:
    from tenaudit.ratelimit.rules import Rule

__all__ = ["Bucket", "Instant", "KeyTable", "idle_at"]

_LOOKS = 16
_SWEEP = 2


class Instant(NamedTuple):
    """One moment, in microseconds since the Unix epoch, on two clocks.

    Attributes:
        now: a clock that never steps back; every algorithm but `calendar` runs on it.
        wall: the wall clock, for `calendar`.

    Example:
        >>> Instant(5, 7).wall
        7
    """

    now: int
    wall: int

    def of(self, rule: Rule) -> int:
        """Return the reading that a rule runs on."""
        return self.wall if rule.algorithm == "calendar" else self.now


def idle_at(rule: Rule, state: Any, time: Instant) -> int:
    """Return the microsecond, on the clock of `time.now`, from which a state means nothing spent."""
    ahead = time.now - time.wall if rule.algorithm == "calendar" else 0
    return ALGORITHMS[rule.algorithm].idle_at(state, rule) + ahead


class Bucket:
    """What is counted for one key; `live` turns False when the key is dropped.

    Attributes:
        states: the rule and its state by `rule.state_key`.
        over: the key is over a limit, and so protected.
        until: the microsecond before which a hit that was refused would be refused again.
        watched: the heap of over-limit keys holds it.

    Example:
        >>> Bucket("tenant-1").over
        False
    """

    __slots__ = ("key", "live", "over", "states", "until", "watched")

    def __init__(self, key: str) -> None:
        self.key = key
        self.states: dict[str, tuple[Rule, Any]] = {}
        self.live = True
        self.over = False
        self.until = 0
        self.watched = False

    def idle_at(self, time: Instant) -> int:
        """Return the microsecond from which nothing is counted any more."""
        return max((idle_at(rule, state, time) for rule, state in self.states.values()), default=0)

    def recovers_at(self, time: Instant) -> int:
        """Return when no rule refuses any more; the present or earlier means that none does now."""
        latest = self.until
        for rule, state in self.states.values():
            verdict = ALGORITHMS[rule.algorithm].step(state, rule, time.of(rule), 1)[1]
            if not (verdict.allowed or rule.shadow):
                latest = max(latest, time.now + round(verdict.retry_after * 1_000_000))
        return latest


class _Agenda:
    """Buckets by the moment at which to look at them again."""

    __slots__ = ("_heap", "_tick")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Bucket]] = []
        self._tick = count()

    def add(self, at: int, bucket: Bucket, live: int) -> None:
        """Note a bucket; entries of dropped buckets are swept out before they outnumber the *live* ones."""
        if len(self._heap) > 2 * live + 64:
            self._heap = [entry for entry in self._heap if entry[2].live]
            heapify(self._heap)
        heappush(self._heap, (at, next(self._tick), bucket))

    def due(self, now: int) -> Bucket | None:
        """Take out the next live bucket whose moment has come."""
        heap = self._heap
        while heap and (heap[0][0] <= now or not heap[0][2].live):
            bucket = heappop(heap)[2]
            if bucket.live:
                return bucket
        return None

    def first_at(self, default: int) -> int:
        """Return the earliest moment on the agenda."""
        return self._heap[0][0] if self._heap else default


class KeyTable:
    """At most *max_keys* buckets; makes room without ever dropping one that is over a limit.

    Example:
        >>> table = KeyTable(1)
        >>> table.insert("a", Instant(0, 0)) is table.buckets["a"]
        True
    """

    __slots__ = ("_idle", "_open", "_over", "buckets", "evicted", "max_keys", "reclaimed")

    def __init__(self, max_keys: int) -> None:
        self.max_keys = max_keys
        self.buckets: dict[str, Bucket] = {}
        self.evicted = 0
        self.reclaimed = 0
        self._open: OrderedDict[str, Bucket] = OrderedDict()
        self._idle = _Agenda()
        self._over = _Agenda()

    @property
    def over_limit(self) -> int:
        """Keys that are protected because they are, or were when last looked at, over a limit."""
        return len(self.buckets) - len(self._open)

    def insert(self, key: str, time: Instant) -> Bucket | None:
        """Return a new bucket, or None when every key there is is over a limit."""
        self._reclaim(time, _SWEEP)
        if len(self.buckets) >= self.max_keys and not self._make_room(time):
            return None
        bucket = self.buckets[key] = self._open[key] = Bucket(key)
        return bucket

    def schedule(self, bucket: Bucket, time: Instant) -> None:
        """Put a new bucket, now that it has counted something, on the agenda of keys that will be idle."""
        self._idle.add(bucket.idle_at(time), bucket, len(self.buckets))

    def touch(self, bucket: Bucket) -> None:
        """Note that a key was used and is not over a limit."""
        if bucket.over:
            bucket.over = False
            bucket.until = 0
            self._open[bucket.key] = bucket
        else:
            self._open.move_to_end(bucket.key)

    def protect(self, bucket: Bucket, until: int) -> None:
        """Note that a key is over a limit, at least until the microsecond *until*."""
        bucket.until = max(bucket.until, until)
        if bucket.over:
            return
        bucket.over = True
        del self._open[bucket.key]
        if not bucket.watched:
            bucket.watched = True
            self._over.add(until, bucket, len(self.buckets))

    def relax(self, bucket: Bucket, time: Instant) -> None:
        """Note that a key was given something back."""
        bucket.until = 0
        if not bucket.states:
            self._drop(bucket)
        elif bucket.over and bucket.recovers_at(time) <= time.now:
            self.touch(bucket)

    def room_at(self, now: int) -> int:
        """Return a guess of when a place comes free: at least one microsecond from *now*."""
        return max(self._over.first_at(now), now + 1)

    def _make_room(self, time: Instant) -> bool:
        if self._reclaim(time, _LOOKS):
            return True
        if not self._open:
            self._recover(time)
        if not self._open:
            return False
        self._drop(next(iter(self._open.values())))
        self.evicted += 1
        return True

    def _reclaim(self, time: Instant, looks: int) -> int:
        dropped = 0
        for _ in range(looks):
            bucket = self._idle.due(time.now)
            if bucket is None:
                break
            idle_from = bucket.idle_at(time)
            if idle_from > time.now:
                self._idle.add(idle_from, bucket, len(self.buckets))
            else:
                self._drop(bucket)
                self.reclaimed += 1
                dropped += 1
        return dropped

    def _recover(self, time: Instant) -> None:
        for _ in range(_LOOKS):
            bucket = self._over.due(time.now)
            if bucket is None:
                break
            bucket.watched = False
            if not bucket.over:
                continue
            recovers_at = bucket.recovers_at(time)
            if recovers_at > time.now:
                bucket.watched = True
                self._over.add(recovers_at, bucket, len(self.buckets))
            else:
                self.touch(bucket)

    def _drop(self, bucket: Bucket) -> None:
        bucket.live = False
        del self.buckets[bucket.key]
        self._open.pop(bucket.key, None)
