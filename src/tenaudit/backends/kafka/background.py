"""Ending an aiokafka client that does not end by itself.

`stop()` waits for every pending batch, and an idempotent batch waits for its broker without end (aiokafka issue 1101).
There is no public way to give such batches up, so this file, and it alone, reaches into aiokafka's attributes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["abandon_consumer", "abandon_producer", "disown", "end", "sender_task", "start"]

_LAST_SECONDS = 1.0
_disowned: list[Any] = []


def sender_task(producer: Any) -> asyncio.Task[None]:
    """Return the task that sends what the producer was given; once it has ended, nothing is sent any more."""
    task: asyncio.Task[None] = producer._sender.sender_task  # noqa: SLF001 - see the top
    return task


def abandon_producer(producer: Any) -> None:
    """Give up every pending batch at once: nothing is sent behind the back of the next producer."""
    accumulator = producer._message_accumulator  # noqa: SLF001 - see the top
    pending = accumulator._pending_batches  # noqa: SLF001 - see the top
    # Its callbacks take every batch out of here, those as well that wait for another try.
    pending.update(batch for batches in accumulator._batches.values() for batch in batches)  # noqa: SLF001 - see the top
    for batch in pending:
        batch.future.cancel()
    _cut(producer.client)
    _cancel(producer._sender)  # noqa: SLF001 - see the top


def abandon_consumer(consumer: Any) -> None:
    """End what a consumer does in the background, without leaving its group in good order."""
    client = consumer._client  # noqa: SLF001 - see the top
    _cut(client)
    _cancel(client, consumer._coordinator, consumer._fetcher)  # noqa: SLF001 - see the top


def disown(client: Any) -> None:
    """Leave a client to the event loop, or the process, that it belongs to: here it can only be kept quiet."""
    client._closed = True  # noqa: SLF001 - else its finalizer complains on a loop that is not ours
    _disowned.append(client)


async def start(client: Any) -> None:
    """Start a producer or consumer; cancelled, it leaves no connection behind.

    aiokafka forgets to close the connection over which it asks for the cluster's brokers.
    """
    starting: asyncio.Task[None] = asyncio.create_task(client.start())
    try:
        await asyncio.wait({starting})
    finally:
        if not starting.done():
            for names in _locals_of(starting):
                if "bootstrap_conn" in names:
                    names["bootstrap_conn"].close()
            starting.cancel()
    starting.result()


async def end(client: Any, abandon: Callable[[Any], None], patience: float) -> None:
    """Stop a producer or consumer, within *patience* seconds in good order, after that however it can be had."""
    stopping = asyncio.ensure_future(client.stop())
    try:
        await asyncio.wait({stopping}, timeout=patience)
        if not stopping.done():
            abandon(client)
            await asyncio.wait({stopping}, timeout=_LAST_SECONDS)
    finally:
        if not _succeeded(stopping):
            abandon(client)
            stopping.cancel()


def _succeeded(task: asyncio.Future[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _cut(client: Any) -> None:
    for connection in client._conns.values():  # noqa: SLF001 - see the top
        writer = connection._writer  # noqa: SLF001 - see the top
        if writer is not None:
            # Closing alone waits for a peer that may never read again.
            writer.transport.abort()
            connection.close()


def _cancel(*owners: Any) -> None:
    for task in asyncio.all_tasks():
        if any(_runs_in(task, owner) for owner in owners):
            task.cancel()


def _locals_of(task: asyncio.Task[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the local names of each coroutine that the task is in, the outermost first."""
    coroutine: Any = task.get_coro()
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        yield frame.f_locals
        coroutine = coroutine.cr_await


def _runs_in(task: asyncio.Task[Any], owner: object) -> bool:
    outermost = next(_locals_of(task), {})
    return owner is not None and outermost.get("self") is owner
