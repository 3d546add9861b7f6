"""The bounds of a relay, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from tenaudit._kernel.bounds import check_counts, check_seconds
from tenaudit._kernel.error import ConfigurationError

__all__ = ["RelayOptions"]


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """How much a relay takes at once and how long it waits; sizes in events and bytes, times in seconds.

    Args:
        batch_size, max_bytes: events and bytes of one batch; an event that is larger alone goes alone.
        write_timeout: seconds that one write of the sink may take; less than the lease of the source.
        stop_timeout: seconds that stopping waits for the batch in flight.

    Raises:
        ConfigurationError: a bound is not above 0, or not finite.
    """

    batch_size: int = 500
    max_bytes: int = 4 * 2**20
    write_timeout: float = 5.0
    stop_timeout: float = 5.0

    def __post_init__(self) -> None:
        check_counts(batch_size=self.batch_size, max_bytes=self.max_bytes)
        check_seconds(write_timeout=self.write_timeout, stop_timeout=self.stop_timeout)

    def check_lease(self, seconds: float) -> None:
        """Refuse a lease that could run out while the sink still has its time.

        Raises:
            ConfigurationError: as above.
        """
        if self.write_timeout >= seconds:
            raise ConfigurationError(
                f"write_timeout ({self.write_timeout:g} s) must be less than the lease ({seconds:g} s)"
            )
