"""What every sink keeps to, as a suite that a third party's sink can run."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tenaudit.audit import SinkRejected
from tenaudit.testing.conformance.events import an_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from tenaudit.audit import AuditEvent, Sink

__all__ = ["SinkConformance"]

_HARD_TEXT = "é \U0001f600 \u2028 \"quoted\" \\ back\r\nline \x1b[0m {'a':1}"


class SinkConformance(ABC):
    """Proves a sink; subclass it as `class TestMySink(SinkConformance)`.

    Attributes:
        exactly_once: whether the sink keeps one copy of an event that it was given twice.
        rejects_unstorable: whether it refuses events that are no JSON.

    Example:
        >>> from tenaudit.backends.memory import MemorySink
        >>> class TestMemory(SinkConformance):
        ...     async def open_sink(self, folder): return MemorySink()
        ...     async def stored(self, sink, folder): return sink.events
    """

    exactly_once: ClassVar[bool] = False
    rejects_unstorable: ClassVar[bool] = True

    @abstractmethod
    async def open_sink(self, folder: Path) -> Sink:
        """Return a new, empty sink; *folder* is the test's own."""

    @abstractmethod
    async def stored(self, sink: Sink, folder: Path) -> Sequence[AuditEvent]:
        """Return what the sink has, oldest arrival first."""

    def _run(self, folder: Path, case: Callable[[Sink], Awaitable[None]]) -> Sequence[AuditEvent]:
        async def main() -> Sequence[AuditEvent]:
            sink = await self.open_sink(folder)
            try:
                await case(sink)
                return await self.stored(sink, folder)
            finally:
                await sink.close()

        return asyncio.run(asyncio.wait_for(main(), 60))

    def test_keeps_a_batch_whole_and_in_order(self, tmp_path: Path) -> None:
        """Every field of every event arrives as it was, in the order of the batch."""
        batch = [an_event(n) for n in range(20)]
        kept = self._run(tmp_path, lambda sink: sink.write(batch))
        assert [event.record() for event in kept] == [event.record() for event in batch]

    def test_takes_an_empty_batch(self, tmp_path: Path) -> None:
        """Nothing to write is no error."""
        assert list(self._run(tmp_path, lambda sink: sink.write([]))) == []

    def test_keeps_hard_text(self, tmp_path: Path) -> None:
        """Quotes, line breaks, control characters and astral characters survive in keys and values."""
        event = an_event(0, actor_id=_HARD_TEXT, resource_id=_HARD_TEXT, payload={_HARD_TEXT: [_HARD_TEXT, {"n": 1.5}]})
        kept = self._run(tmp_path, lambda sink: sink.write([event]))
        assert [one.record() for one in kept] == [event.record()]

    def test_takes_a_batch_again(self, tmp_path: Path) -> None:
        """A producer that got no answer repeats the batch: nothing is lost, and nothing is refused."""
        batch = [an_event(n) for n in range(5)]

        async def case(sink: Sink) -> None:
            await sink.write(batch)
            await sink.write(batch)

        self._same_events(self._run(tmp_path, case), batch)

    def test_takes_concurrent_writes(self, tmp_path: Path) -> None:
        """Batches written at the same time all arrive."""
        batches = [[an_event(10 * b + n) for n in range(10)] for b in range(8)]

        async def case(sink: Sink) -> None:
            await asyncio.gather(*(sink.write(batch) for batch in batches))

        self._same_events(self._run(tmp_path, case), [event for batch in batches for event in batch])

    def test_takes_a_large_batch(self, tmp_path: Path) -> None:
        """A batch larger than a write of the backend is still one batch."""
        batch = [an_event(n) for n in range(2_001)]
        self._same_events(self._run(tmp_path, lambda sink: sink.write(batch)), batch)

    def test_stays_usable_after_a_cancelled_write(self, tmp_path: Path) -> None:
        """A write that was given up half-way disturbs neither its own repetition nor the next one."""
        first, second = [an_event(n) for n in range(200)], [an_event(n) for n in range(200, 210)]

        async def case(sink: Sink) -> None:
            writing = asyncio.ensure_future(sink.write(first))
            await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await sink.write(first)
            await sink.write(second)

        self._same_events(self._run(tmp_path, case), first + second)

    def test_names_what_it_refuses(self, tmp_path: Path) -> None:
        """An event that can never be stored is named, and the rest can be written without it."""
        if not self.rejects_unstorable:
            return
        good = [an_event(n) for n in range(3)]
        bad = an_event(3).model_copy(update={"payload": {"amount": float("nan")}})
        refused: list[SinkRejected] = []

        async def case(sink: Sink) -> None:
            try:
                await sink.write([good[0], bad, *good[1:]])
            except SinkRejected as refusal:
                refused.append(refusal)
            await sink.write(good)

        self._same_events(self._run(tmp_path, case), good)
        assert [refusal.event_ids for refusal in refused] == [frozenset({bad.event_id})]

    def test_closes_twice(self, tmp_path: Path) -> None:
        """A second close does nothing."""

        async def main() -> None:
            sink = await self.open_sink(tmp_path)
            await sink.write([an_event(0)])
            await sink.close()
            await sink.close()

        asyncio.run(asyncio.wait_for(main(), 30))

    def _same_events(self, kept: Sequence[AuditEvent], wanted: Sequence[AuditEvent]) -> None:
        ids = [event.event_id for event in kept]
        assert set(ids) == {event.event_id for event in wanted}
        if self.exactly_once:
            assert len(ids) == len(wanted)
