"""A consumer that runs until it is told to stop, and what it tells then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tenaudit.audit.consumer import Consumer

__all__ = ["consume_until", "told_of"]

_OUTCOMES = {
    "stored": "stored",
    "duplicate": "duplicates",
    "conflict": "conflicts",
    "expired": "expired",
    "dead_letter": "dead letters",
}


async def consume_until(consumer: Consumer, told: asyncio.Event) -> bool:
    """Run a consumer until *told* is set; False when it did not finish what was in hand, which then comes again.

    Raises:
        ConsumerStalled: it failed for too long.
    """
    running = asyncio.create_task(consumer.run(), name="tenaudit-consume")
    waiting = asyncio.create_task(told.wait(), name="tenaudit-consume-told")
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finished = await consumer.stop()
        await running
        return finished
    finally:
        waiting.cancel()


def told_of(registry: CollectorRegistry) -> str:
    """Return what became of the records that were taken, by the metrics of a consumer."""
    counts = {
        name: registry.get_sample_value("audit_events_ingested_total", {"outcome": outcome}) or 0
        for outcome, name in _OUTCOMES.items()
    }
    return ", ".join(f"{name} {count:.0f}" for name, count in counts.items())
