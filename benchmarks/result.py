"""What a case found: medians, spreads, ratios, and the targets where there are some.

Pure: samples in, frozen values out.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AtMost", "Better", "Figure", "Result", "TimesBetter", "compare", "over"]

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of the rounds and the quartiles around it.

    Example:
        >>> Figure.of([3.0, 1.0, 2.0])
        Figure(median=2.0, low=1.5, high=2.5)
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Figure:
        """Summarize the samples of one side, one a round."""
        if len(samples) == 1:
            return cls(samples[0], samples[0], samples[0])
        low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(statistics.median(samples), low, high)


@dataclass(frozen=True, slots=True)
class Result:
    """One case or sub-case (`case/sub`), ours beside the peers.

    Example:
        >>> one = Result("emit", "us", "lower", Figure.of([2.0]), {"peer": Figure.of([6.0])})
        >>> one.ratio("peer")
        3.0
    """

    case: str
    unit: str
    better: Better
    ours: Figure
    peers: Mapping[str, Figure]
    targets: Sequence[AtMost | TimesBetter] = ()

    def ratio(self, peer: str) -> float | None:
        """Return how many times better ours is than *peer*; None where a median is not above zero.

        A difference of two timings can come out at zero or below when both are within the noise.
        """
        ours, theirs = self.ours.median, self.peers[peer].median
        if ours <= 0 or theirs <= 0:
            return None
        return theirs / ours if self.better == "lower" else ours / theirs


@dataclass(frozen=True, slots=True)
class TimesBetter:
    """A target: at least *times* better than *peer*."""

    times: float
    peer: str

    def text(self, _unit: str) -> str:
        """Say the target in words."""
        return f"at least {self.times:g} times better than {self.peer}"

    def met(self, result: Result) -> bool | None:
        """Tell whether *result* reaches it; None when that cannot be told."""
        ratio = result.ratio(self.peer) if self.peer in result.peers else None
        return None if ratio is None else ratio >= self.times


@dataclass(frozen=True, slots=True)
class AtMost:
    """A target: a value of ours, in the result's unit, that must not be passed."""

    value: float

    def text(self, unit: str) -> str:
        """Say the target in words."""
        return f"at most {self.value:g} {unit}"

    def met(self, result: Result) -> bool:
        """Tell whether *result* reaches it."""
        return result.ours.median <= self.value


def compare(
    case: str,
    samples: Mapping[str, Sequence[float]],
    *,
    unit: str,
    scale: float = 1.0,
    better: Better = "lower",
    targets: Sequence[AtMost | TimesBetter] = (),
) -> Result:
    """Make the result of *samples*, where `"ours"` is ours, every other name a peer, and *scale* leads to *unit*."""
    figures = {name: Figure.of([sample * scale for sample in taken]) for name, taken in samples.items()}
    ours = figures.pop("ours")
    return Result(case, unit, better, ours, figures, tuple(targets))


def over(samples: Mapping[str, Sequence[float]], base: str) -> dict[str, list[float]]:
    """Return what every side takes over *base*, which is left out.

    Subtracted round by round, so that a drift of the machine between rounds cancels.
    """
    return {
        name: [sample - under for sample, under in zip(taken, samples[base], strict=True)]
        for name, taken in samples.items()
        if name != base
    }
