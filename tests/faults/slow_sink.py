"""A sink that takes its time for every event."""

from __future__ import annotations

import asyncio

from tenaudit.testing.scripted_sink import ScriptedSink

__all__ = ["SlowSink"]


class SlowSink(ScriptedSink):
    """A `ScriptedSink` that takes *rate* events a second of the loop's time."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    async def write(self, batch):
        await asyncio.sleep(len(batch) / self.rate)
        await super().write(batch)
