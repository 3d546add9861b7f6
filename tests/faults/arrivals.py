"""What a sink took, in a few bytes an event, for runs whose events themselves would be the memory that is measured."""

from __future__ import annotations

import ctypes
import gc
import os
from collections import defaultdict
from pathlib import Path

__all__ = ["Arrivals", "resident_bytes", "trimmed_bytes"]

# Of the GNU library; elsewhere freed memory counts on.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Arrivals:
    """Stands in for the list of a `ScriptedSink`: counts each number of one producer, and keeps the tenants' orders.

    Attributes:
        times: how often each number came.
        disorder: numbers that came first after a later one of their tenant.
    """

    def __init__(self):
        self.times = bytearray()
        self.disorder = []
        self._latest = defaultdict(lambda: (-1, 0))

    def __len__(self):
        return sum(map(bool, self.times))

    def extend(self, batch):
        for event in batch:
            seq, key = event.seq, (event.seq, event.event_id.int)
            if seq >= len(self.times):
                self.times.extend(bytes(seq + 1 - len(self.times)))
            self.times[seq] = min(255, self.times[seq] + 1)
            if self.times[seq] == 1:
                before = self._latest[event.tenant_id]
                if key[0] <= before[0] or key[1] <= before[1]:
                    self.disorder.append(seq)
                self._latest[event.tenant_id] = key


def resident_bytes():
    """What of this process is in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def trimmed_bytes():
    """What is in memory once all that was freed, and only kept for later, is given back: what growth starts from."""
    gc.collect()
    _trim(0)
    return resident_bytes()
