"""A circuit breaker: whoever fails again and again is left alone for a while, then tried once.

Rules of this file: pure; the time is an argument, and `TRANSITIONS` is the whole behaviour.

closed     writes are let through; so many failures in a row open it
open       nothing is let through until its rest is over
half_open  one trial is on its way, and its result decides
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TRANSITIONS", "BreakerPolicy", "BreakerState", "Phase", "Signal", "admitted", "settled"]


class Phase(Enum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Signal(Enum):
    """What a breaker is told; a failure that is one too many counts as `TRIPPED`."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TRIPPED = "tripped"
    ABANDONED = "abandoned"
    RESTED = "rested"


# What is not listed changes nothing: while it is open, results are late ones of writes that began before.
TRANSITIONS: Mapping[tuple[Phase, Signal], Phase] = MappingProxyType(
    {
        (Phase.CLOSED, Signal.TRIPPED): Phase.OPEN,
        (Phase.OPEN, Signal.RESTED): Phase.HALF_OPEN,
        (Phase.HALF_OPEN, Signal.SUCCEEDED): Phase.CLOSED,
        (Phase.HALF_OPEN, Signal.FAILED): Phase.OPEN,
        (Phase.HALF_OPEN, Signal.TRIPPED): Phase.OPEN,
        (Phase.HALF_OPEN, Signal.ABANDONED): Phase.OPEN,
    }
)


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens and how long it rests.

    Args:
        failures: failures in a row that open it.
        rest: seconds before it lets a trial through.

    Raises:
        ConfigurationError: one of them is not above zero.

    Example:
        >>> BreakerPolicy(failures=3, rest=30.0).failures
        3
    """

    failures: int = 5
    rest: float = 5.0

    def __post_init__(self) -> None:
        for name in ("failures", "rest"):
            if not getattr(self, name) > 0:  # which NaN is not
                raise ConfigurationError(f"{name} of a breaker must be above 0")


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A breaker at one moment: its phase, the failures in a row, and until when it rests.

    Example:
        >>> policy = BreakerPolicy(failures=1, rest=5.0)
        >>> tripped = settled(BreakerState(), Signal.FAILED, now=100.0, policy=policy)
        >>> tripped.phase.value, admitted(tripped, now=104.9)[1], admitted(tripped, now=105.0)[1]
        ('open', False, True)
    """

    phase: Phase = Phase.CLOSED
    failures: int = 0
    rests_until: float = 0.0


def admitted(state: BreakerState, now: float) -> tuple[BreakerState, bool]:
    """Return the state after somebody asked to write at *now*, and whether they may.

    Whoever may owes `settled` a result.
    """
    if state.phase is Phase.OPEN and now >= state.rests_until:
        return replace(state, phase=TRANSITIONS[state.phase, Signal.RESTED]), True
    return state, state.phase is Phase.CLOSED


def settled(state: BreakerState, signal: Signal, now: float, policy: BreakerPolicy) -> BreakerState:
    """Return the state after a write had a result; an abandoned write says nothing of the member."""
    if signal is Signal.SUCCEEDED and state.phase is not Phase.OPEN:
        failures = 0
    else:
        failures = state.failures + (signal is Signal.FAILED)
    if signal is Signal.FAILED and failures >= policy.failures:
        signal = Signal.TRIPPED
    phase = TRANSITIONS.get((state.phase, signal), state.phase)
    if state.phase is not Phase.OPEN and phase is Phase.OPEN:
        # An abandoned trial decided nothing: the next one need not wait.
        return BreakerState(phase, failures, now if signal is Signal.ABANDONED else now + policy.rest)
    return BreakerState(phase, failures, state.rests_until)
