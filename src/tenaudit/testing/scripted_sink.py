"""A sink that does what a test tells it to: take, fail, refuse, hang."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tenaudit.audit import SinkRejected, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from tenaudit.audit import AuditEvent

__all__ = ["ScriptedSink"]


class ScriptedSink:
    """Keeps what it takes; its attributes say what the next writes do.

    Attributes:
        events: what it took, in order.
        attempts: how many writes were tried.
        down: whether writes raise `SinkUnavailable`.
        error: what writes raise instead, until it is None again.
        forgets_to_answer: whether writes take the batch and then raise `SinkUnavailable`.
        refuses: tells of an event whether it is refused.
        names_refused: whether a refusal names the events.
        stubborn: whether writes and close go on when they are cancelled.
        closed: how often it was closed.

    Example:
        >>> sink = ScriptedSink()
        >>> sink.down = True
        >>> sink.attempts, sink.events
        (0, [])
    """

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.attempts = 0
        self.down = False
        self.error: BaseException | None = None
        self.forgets_to_answer = False
        self.refuses: Callable[[AuditEvent], bool] = lambda event: False  # noqa: ARG005 - the shape of the attribute
        self.names_refused = True
        self.stubborn = False
        self.closed = 0
        self._gate = asyncio.Event()
        self._gate.set()
        self._attempted = asyncio.Condition()

    def hang(self) -> None:
        """Let every write and close wait until `resume`."""
        self._gate.clear()

    def resume(self) -> None:
        """Let what hangs go on."""
        self._gate.set()

    async def attempted(self, times: int) -> None:
        """Wait until *times* writes have been tried in all."""
        async with self._attempted:
            await self._attempted.wait_for(lambda: self.attempts >= times)

    async def write(self, batch: Sequence[AuditEvent]) -> None:
        """Do what the attributes say."""
        async with self._attempted:
            self.attempts += 1
            self._attempted.notify_all()
        await self._wait()
        if self.error is not None:
            raise self.error
        if self.down:
            raise SinkUnavailable
        refused: list[UUID] = [event.event_id for event in batch if self.refuses(event)]
        if refused:
            raise SinkRejected(refused if self.names_refused else [], "scripted")
        self.events.extend(batch)
        if self.forgets_to_answer:
            raise SinkUnavailable

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed += 1
        await self._wait()

    async def _wait(self) -> None:
        while True:
            try:
                await self._gate.wait()
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise
            else:
                return
