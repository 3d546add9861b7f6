"""The harness: several rounds, every side once a round, so that drift of the machine meets all alike.

Rules of this file: setting up, draining and collecting garbage happen outside the timed stretch; the garbage
collector is off inside it, for every side, as in `timeit`.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Contender", "Plan", "measure"]


def _nothing() -> None:
    """Leave things as they are: most sides have nothing to drain."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One side of a comparison.

    Attributes:
        name: `"ours"`, or the peer's name.
        run: does the work as many times as it is told; this is what is timed.
        settle: drains what `run` has queued, outside the timed stretch.
        most: calls that may pass between two `settle`s.
    """

    name: str
    run: Callable[[int], object]
    settle: Callable[[], object] = _nothing
    most: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure.

    Attributes:
        rounds: rounds, each with one timed stretch a side.
        seconds: length to aim at for one stretch.
        timer: clock in seconds.

    Example:
        >>> times = measure([Contender("ours", lambda count: sum(range(count)))], Plan(rounds=2, seconds=0.001))
        >>> len(times["ours"])
        2
    """

    rounds: int = 15
    seconds: float = 0.02
    timer: Callable[[], float] = time.perf_counter


def measure(contenders: Sequence[Contender], plan: Plan) -> dict[str, list[float]]:
    """Return the seconds of one call, one sample a round, by name of the side."""
    with _collector_at_rest():
        counts = {side.name: _calibrate(side, plan) for side in contenders}
        samples: dict[str, list[float]] = {side.name: [] for side in contenders}
        for turn in range(plan.rounds):
            for side in _rotated(contenders, turn):
                count = counts[side.name]
                samples[side.name].append(_stretch(side, count, plan.timer) / count)
    return samples


def _rotated(contenders: Sequence[Contender], turn: int) -> Sequence[Contender]:
    """Begin with another side each round: none is always the one that meets cold caches."""
    first = turn % len(contenders)
    return [*contenders[first:], *contenders[:first]]


def _calibrate(side: Contender, plan: Plan) -> int:
    """Return how many calls fill one stretch; the trial runs warm the side up as well."""
    count = 1
    while True:
        # The quicker of two: a first call that imports or compiles would else fill the stretch all by itself, and
        # every round would then time one lonely cold call.
        elapsed = min(_stretch(side, count, plan.timer) for _ in range(2))
        # A quarter of the goal is long enough to extrapolate from.
        if elapsed >= plan.seconds / 4:
            return max(1, min(side.most, round(count * plan.seconds / elapsed)))
        if count >= side.most:
            return side.most
        count = min(count * 4, side.most)


def _stretch(side: Contender, count: int, timer: Callable[[], float]) -> float:
    gc.collect()
    started = timer()
    side.run(count)
    elapsed = timer() - started
    side.settle()
    return elapsed


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    gc.collect()
    # What the set-up made is moved out of sight, or each collection between stretches would walk all of it.
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
