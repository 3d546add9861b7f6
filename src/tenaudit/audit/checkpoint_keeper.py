"""Signing: every few seconds each log that has grown gets a checkpoint, and one note signs them all.

Rules of this file
1. What is signed is in the first place before anything else sees it, and what the first place has is never signed in
   another way: two notes never tell two histories.
2. A place that fails holds nobody up: it gets what it lacks when it works again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from tenaudit._kernel.bounds import check_seconds
from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit._kernel.error import ConfigurationError, TenauditError
from tenaudit.audit.integrity.log_of_logs import LogOfLogs, RoundError, tenant_of
from tenaudit.audit.ports import StoreError
from tenaudit.errors.instruments import counter, gauge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
    from uuid import UUID

    from prometheus_client import CollectorRegistry

    from tenaudit.audit.integrity.checkpoint import Checkpoint
    from tenaudit.audit.integrity.log_of_logs import SealedRound
    from tenaudit.audit.integrity.note import NoteSigner, NoteVerifier
    from tenaudit.audit.ports import Store

__all__ = ["CheckpointKeeper", "CheckpointPlace"]

_T = TypeVar("_T")
_log = logging.getLogger("tenaudit.audit")
# A round is one note and one line in a file; a store with more tenants than this is signed in several.
_MOST_IN_ROUND = 1000
_MOST_NAMED = 10


class CheckpointPlace(Protocol):
    """Where signed rounds are kept, in order and without gaps; the more it is out of the store's reach, the better."""

    async def size(self) -> int:
        """Return how many checkpoints its rounds have."""
        ...

    async def put(self, sealed: SealedRound) -> None:
        """Keep a round, which begins at `size`, and return when it would outlive a loss of power.

        Raises:
            StoreError: it cannot be kept now; the same round may come again.
            RoundError: it does not continue what is there.
        """
        ...

    def rounds(self, first: int = 0) -> AsyncIterator[SealedRound]:
        """Yield the rounds from the one that begins at *first*."""
        ...

    async def close(self) -> None:
        """Release what it opened; a second call does nothing."""
        ...


class CheckpointKeeper:
    """Seals the logs of *store*, signs what is new, and has it kept in each of *places*.

    One at a time for a store. It notices, and signs nothing more, when its first place no longer continues what it
    signed itself, or when a log is shorter than it was.

    Args:
        store: whose logs are sealed; closed by whoever made it.
        signer: the key.
        trusted: whose signatures count on what the places have, the signer's own among them; older keys for as long as
            their rounds are kept.
        places: the first is the record, the others are copies of it.
        every: seconds between two rounds, 10 at most by the specification of the trail.
        deadline: seconds that a call of a place may take.
        registry: where its metrics live; None is prometheus-client's default.
        clock: tells the time of the last round.

    Attributes:
        behind: copies that lack something since the last round.

    Raises:
        ConfigurationError: there is no place or nobody to trust, or a number is out of range.

    Example:
        >>> import tempfile
        >>> from prometheus_client import CollectorRegistry
        >>> from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_from, verifier_key
        >>> from tenaudit.backends.checkpoint_file import CheckpointFile
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> async def main(folder, key):
        ...     async with SqliteStore.open(f"{folder}/audit.db") as store:
        ...         keeper = CheckpointKeeper(
        ...             store, signer_from(key), [verifier_from(verifier_key(key))],
        ...             [CheckpointFile(f"{folder}/checkpoints.ndjson")], registry=CollectorRegistry())
        ...         return await keeper.once()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder, new_signer_key("audit.example/prod")))
        0
    """

    def __init__(
        self,
        store: Store,
        signer: NoteSigner,
        trusted: Sequence[NoteVerifier],
        places: Sequence[CheckpointPlace],
        *,
        every: float = 10.0,
        deadline: float = 5.0,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_seconds(most=3600, every=every, deadline=deadline)
        if not places or not trusted:
            raise ConfigurationError("a keeper of checkpoints needs a place, and a key that it trusts")
        self._store = store
        self._signer = signer
        self._trusted = trusted
        self._record, *self._copies = places
        self._every = every
        self._deadline = deadline
        self._clock = clock or SystemClock()
        self._logs: LogOfLogs | None = None
        # Whether the record is known to have all that was signed.
        self._is_whole = False
        self.behind = 0
        self._stopping = asyncio.Event()
        self._signed = counter(registry, "audit_checkpoints_signed_total", "Checkpoints of tenants' logs signed.")
        self._failures = counter(
            registry, "audit_checkpoint_failures_total", "Rounds of signing that failed, by what failed.", ("part",)
        )
        self._last = gauge(
            registry,
            "audit_checkpoint_last_timestamp_seconds",
            "When every log was last known to be sealed and signed, in Unix seconds.",
            across_processes="max",
        )

    async def run(self) -> None:
        """Sign every few seconds until `stop`; what fails is counted, logged and tried again."""
        while not self._stopping.is_set():
            try:
                await self.once()
            except Exception as error:  # noqa: BLE001 - a key may live anywhere and raise what it likes
                _log.error("checkpoints cannot be signed", extra={"action": "audit_checkpoint_failed", **_said(error)})
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._every):
                await self._stopping.wait()
        except TimeoutError:
            return

    def stop(self) -> None:
        """End `run` after the round that is under way."""
        self._stopping.set()

    async def once(self) -> int:
        """Seal and sign what is new, and return how many checkpoints that were.

        Raises:
            StoreError: the store or the first place failed; the next call goes on.
            RoundError: the first place was changed, or a log is shorter than it was.
        """
        try:
            return await self._sign()
        except Exception:
            self._failures.labels("record").inc()
            raise
        finally:
            # Whatever the trouble is, but for a record that lost its history: what it has belongs into the copies.
            self.behind = 0
            for copy in self._copies if self._is_whole else ():
                await self._catch_up(copy)

    async def _sign(self) -> int:
        self._is_whole = False
        known = self._logs
        logs = known or await self._restored()
        if await self._within(self._record.size()) != logs.size:
            # Somebody else signs too, or what became of the last round is not known.
            logs = await self._restored()
        if known is not None and not logs.continues(known):
            raise RoundError(f"the record no longer has the {known.size} checkpoints that were signed")
        await self._hold_against_copies(logs.size)
        self._logs, self._is_whole = logs, True
        failed = await self._seal()
        tips = {_tenant(tip): tip for tip in await self._store.tips()}
        due = [tip for tenant, tip in sorted(tips.items()) if _size(logs.tips.get(tenant)) < tip.size]
        for start in range(0, len(due), _MOST_IN_ROUND):
            sealed = logs.next_round(due[start : start + _MOST_IN_ROUND], self._signer)
            await self._within(self._record.put(sealed))
            self._signed.inc(len(logs.take(sealed)))
        # After the others: one log that was tampered with must not keep all from being signed.
        if failed is not None:
            raise failed
        wrong = [*_differing(logs.tips, tips)]
        if wrong:
            more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
            raise RoundError(f"logs are not what was signed: {'; '.join(wrong[:_MOST_NAMED])}{more}")
        self._last.set(self._clock.time_ns() / 1e9)
        return len(due)

    async def _seal(self) -> StoreError | None:
        """Seal every log that can be, and return what the first one said that cannot."""
        try:
            await self._store.seal()
        except StoreError as error:
            failed = error
        else:
            return None
        for tenant in await self._store.tenants():
            with suppress(StoreError):
                await self._store.seal(tenant)
        return failed

    async def _hold_against_copies(self, size: int) -> None:
        """Sign nothing behind a record that has lost what a copy has: that would be a second history."""
        for copy in self._copies:
            # One that cannot be asked is no reason to stop.
            with suppress(Exception):
                kept = await self._within(copy.size())
                if kept > size:
                    break
        else:
            return
        raise RoundError(f"a copy has {kept} checkpoints, and the record only {size}; put the copy in its place")

    async def _restored(self) -> LogOfLogs:
        logs = LogOfLogs(self._trusted)
        async for sealed in self._each(self._record.rounds()):
            logs.take(sealed)
        return logs

    async def _each(self, rounds: AsyncIterator[SealedRound]) -> AsyncIterator[SealedRound]:
        while (sealed := await self._within(anext(rounds, None))) is not None:
            yield sealed

    async def _catch_up(self, copy: CheckpointPlace) -> None:
        try:
            size = await self._within(copy.size())
            async for sealed in self._each(self._record.rounds(size)):
                await self._within(copy.put(sealed))
        except Exception as error:  # noqa: BLE001 - a place that breaks its contract is one that failed
            self.behind += 1
            self._failures.labels("copy").inc()
            _log.error(
                "a copy of the checkpoints cannot be written",
                extra={"action": "audit_checkpoint_copy_failed", **_said(error)},
            )

    async def _within(self, answer: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._deadline):
                return await answer
        except TimeoutError:
            raise StoreError(f"a place for checkpoints gave no answer within {self._deadline:g} s") from None


def _said(error: Exception) -> dict[str, str]:
    # What stores, places and rounds say of themselves names tenants, sizes and files, and no values.
    return {"error": type(error).__name__} | ({"reason": str(error)} if isinstance(error, TenauditError) else {})


def _differing(signed: Mapping[UUID, Checkpoint], tips: Mapping[UUID, Checkpoint]) -> Iterator[str]:
    for tenant, known in signed.items():
        tip = tips.get(tenant)
        if tip is None:
            yield f"that of tenant {tenant}, signed at {known.size} entries, is gone"
        elif (tip.size, tip.root) != (known.size, known.root):
            yield f"that of tenant {tenant}, signed at {known.size} entries, is another one at {tip.size}"


def _tenant(tip: Checkpoint) -> UUID:
    tenant = tenant_of(tip.origin)
    if tenant is None:
        raise RoundError(f"{tip.origin!r} is no tenant's log")
    return tenant


def _size(tip: Checkpoint | None) -> int:
    return 0 if tip is None else tip.size
