"""The relay: from the outbox to the sink until it is told to stop, at least once and in order per tenant."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tenaudit._kernel.error import ConfigurationError, TenauditError, loggable
from tenaudit.audit.outbox.metrics import RelayMetrics
from tenaudit.audit.outbox.options import RelayOptions
from tenaudit.audit.outbox.pace import Pace
from tenaudit.audit.outbox.ports import LeaseLost
from tenaudit.audit.outbox.shard_run import ShardRun
from tenaudit.audit.redaction_policy import check_redaction

if TYPE_CHECKING:
    from types import TracebackType

    from prometheus_client import CollectorRegistry

    from tenaudit.audit.outbox.ports import OutboxSource
    from tenaudit.audit.ports import Sink
    from tenaudit.audit.redaction_policy import RedactionPolicy

__all__ = ["OutboxRelay"]

_log = logging.getLogger("tenaudit.audit")
_CANCEL_SECONDS = 0.5
_SECONDS_BETWEEN_LOOKS = 5.0
_SECONDS_BETWEEN_WARNINGS = 1.0


class OutboxRelay:
    """Takes events from an outbox and writes them to a sink.

    Any number of relays may work at one outbox: each holds a shard of tenants for a while, so a tenant's events
    reach the sink in the order of their transactions. A relay that is killed leaves its shard to the others when the
    lease runs out. Source and sink stay their makers' to close. Call it from one event loop.

    Args:
        source: the outbox.
        sink: where events go; it may see one twice, with the same id.
        batch_size, max_bytes: events and bytes of one write.
        write_timeout: seconds that one write may take; less than the lease of the source.
        min_poll, max_poll: seconds between looks at an empty outbox, growing from one to the other.
        max_back_off: most seconds between tries while the sink or the outbox is away.
        stop_timeout: seconds that `stop` waits for the batch in flight.
        registry: where the metric families live.
        redaction: what is taken out of an event before the sink has it.

    Raises:
        ConfigurationError: a bound is not above 0, *write_timeout* is not less than the lease, or *redaction* is no
            policy.

    Example:
        >>> import tempfile
        >>> from tenaudit.backends.memory import MemorySink
        >>> from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource
        >>> async def main():
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         source = SqliteOutboxSource(f"{folder}/app.db", create=True)
        ...         async with OutboxRelay(source, MemorySink()):
        ...             ...  # until the service ends
        ...         await source.close()
        >>> asyncio.run(main())
    """

    def __init__(
        self,
        source: OutboxSource,
        sink: Sink,
        *,
        batch_size: int = 500,
        max_bytes: int = 4 * 2**20,
        write_timeout: float = 5.0,
        min_poll: float = 0.02,
        max_poll: float = 1.0,
        max_back_off: float = 5.0,
        stop_timeout: float = 5.0,
        registry: CollectorRegistry | None = None,
        redaction: RedactionPolicy | None = None,
    ) -> None:
        check_redaction(redaction)
        self._options = RelayOptions(batch_size, max_bytes, write_timeout, stop_timeout)
        self._options.check_lease(source.lease_seconds)
        self._pace = Pace(min_poll, max_poll, max_back_off)
        self._source = source
        self._metrics = RelayMetrics(registry)
        self._stop = asyncio.Event()
        self._shard = ShardRun(source, sink, self._options, self._metrics, self._stop.is_set, redaction)
        self._task: asyncio.Task[None] | None = None
        self._next_look = 0.0
        self._next_warning = 0.0

    @property
    def settled(self) -> int:
        """Events that left the outbox so far: the sink has them, or they are dead letters."""
        return self._shard.settled

    async def __aenter__(self) -> Self:
        """Start `run` as a task of this loop."""
        if self._task is not None or self._stop.is_set():
            raise ConfigurationError("this relay is already started, or stopped: make another one")
        self._task = asyncio.create_task(self.run(), name="tenaudit-outbox-relay")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def run(self) -> None:
        """Relay until `stop` is called; whatever fails is tried again."""
        while not self._stop.is_set():
            pause = await self._turn()
            await self._look()
            await self._rest(pause)

    async def relay_once(self) -> bool:
        """Take one turn at one shard; False when there is none with entries that nobody holds.

        Raises:
            SinkUnavailable: the sink did not take a batch; it stays in the outbox.
            OutboxUnavailable: the outbox failed.
            LeaseLost: another relay has the shard by now.
        """
        lease = await self._source.claim()
        if lease is None:
            return False
        try:
            await self._shard.run(lease)
        except Exception:
            # Another relay may reach the sink; and next time it is another shard's turn.
            with suppress(TenauditError):
                await self._source.release(lease)
            raise
        await self._source.release(lease)
        return True

    async def drain(self) -> int:
        """Relay until nothing is left that nobody else holds; return how many events left the outbox.

        Raises:
            SinkUnavailable: as `relay_once`, and the others of it.
        """
        before = self.settled
        while not self._stop.is_set() and await self.relay_once():
            pass
        await self._look()
        return self.settled - before

    async def stop(self) -> None:
        """End after the batch in flight, within `stop_timeout`; a second call waits no longer.

        A sink that takes longer is left behind: what it was given stays in the outbox, to be repeated.
        """
        self._stop.set()
        task = self._task
        if task is None:
            return
        try:
            await asyncio.wait({task}, timeout=self._options.stop_timeout)
        finally:
            task.cancel()
        # A sink may refuse to be cancelled; whoever stops does not wait for it for ever.
        await asyncio.wait({task}, timeout=_CANCEL_SECONDS)

    async def _turn(self) -> float:
        """Take one turn and return how long to wait after it."""
        try:
            worked = await self.relay_once()
        except LeaseLost:
            worked = False
        except Exception as error:  # noqa: BLE001 - a defect must not leave a process that is up and relays nothing
            self._warn(error)
            return self._pace.after_failure(random.random())  # noqa: S311 - no secret depends on it
        return self._pace.after_work() if worked else self._pace.after_nothing()

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            # Also for a wait of 0: a relay that always finds work must let others run.
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _look(self) -> None:
        """Bring the gauges up to date now and then; they cost the database a count."""
        now = asyncio.get_running_loop().time()
        if now < self._next_look:
            return
        self._next_look = now + _SECONDS_BETWEEN_LOOKS
        try:
            self._metrics.saw(await self._source.backlog())
        except Exception as error:  # noqa: BLE001 - as in `run`
            self._warn(error)

    def _warn(self, error: BaseException) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_warning:
            self._next_warning = now + _SECONDS_BETWEEN_WARNINGS
            _log.warning(
                "the relay of the outbox fails and tries again",
                extra={"action": "audit_outbox_relay_failed", **loggable(error)},
            )
