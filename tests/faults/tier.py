"""How long the fault tests run, and by which seed: the same seed is the same run."""

from __future__ import annotations

import os

DEEP = os.environ.get("TENAUDIT_FAULTS") == "deep"
SEED = int(os.environ.get("TENAUDIT_SEED", "20261124"))


def rounds(short: int, deep: int) -> int:
    """Return the rounds of this tier."""
    return deep if DEEP else short
