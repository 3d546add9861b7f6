"""How long the relay waits before it looks again: pure arithmetic, the randomness is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from tenaudit._kernel.bounds import check_seconds
from tenaudit._kernel.error import ConfigurationError

__all__ = ["Pace"]

_FIRST_BACK_OFF = 0.05


@dataclass(slots=True)
class Pace:
    """Looks again at once after work, ever more rarely without any, and backs off from what fails.

    Args:
        shortest: seconds before the first look after work ended.
        longest: seconds between looks at an outbox that stays empty.
        longest_back_off: seconds between tries while the sink or the outbox is away.

    Raises:
        ConfigurationError: a bound is not above 0 and finite, or *longest* is less than *shortest*.

    Example:
        >>> pace = Pace(0.1, 1.0, 5.0)
        >>> [pace.after_nothing(), pace.after_nothing(), pace.after_work(), pace.after_nothing()]
        [0.1, 0.2, 0.0, 0.1]
    """

    shortest: float
    longest: float
    longest_back_off: float
    _idle: float = 0.0
    _failing: float = 0.0

    def __post_init__(self) -> None:
        check_seconds(min_poll=self.shortest, max_poll=self.longest, max_back_off=self.longest_back_off)
        if self.shortest > self.longest:
            raise ConfigurationError("max_poll must be no less than min_poll")

    def after_work(self) -> float:
        """Return the wait after a pass that settled something: none."""
        self._idle = self._failing = 0.0
        return 0.0

    def after_nothing(self) -> float:
        """Return the wait after a pass that found nothing to do."""
        self._failing = 0.0
        self._idle = min(self._idle * 2 or self.shortest, self.longest)
        return self._idle

    def after_failure(self, fraction: float) -> float:
        """Return the wait after a failure: twice the last one, of which a *fraction*, 0 to 1, of a half is left out.

        Jitter keeps many relays from returning to a sick sink in step.
        """
        self._failing = min(self._failing * 2 or _FIRST_BACK_OFF, self.longest_back_off)
        return self._failing * (1 - fraction / 2)
