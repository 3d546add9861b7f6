"""The bounds of a producer, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from tenaudit._kernel.error import ConfigurationError

__all__ = ["ProducerOptions", "check_wiring"]

_MAX_SERVICE = 128


def check_wiring(service: str, spool: object | None) -> None:
    """Refuse a service name that no event can carry, and a spool.

    Raises:
        ConfigurationError: as above.
    """
    if spool is not None:
        raise ConfigurationError("a spool is not available in this version")
    if not 0 < len(service) <= _MAX_SERVICE or "\x00" in service:
        raise ConfigurationError(f"service must name the service, in at most {_MAX_SERVICE} characters")


@dataclass(frozen=True, slots=True)
class ProducerOptions:
    """How much a producer holds and how long it waits; sizes in events and bytes, times in seconds.

    Raises:
        ConfigurationError: an unknown overflow policy, or a bound that is not above zero.
    """

    capacity: int
    max_bytes: int
    overflow: str
    batch_size: int
    linger: float
    close_timeout: float
    write_timeout: float
    block_timeout: float

    def __post_init__(self) -> None:
        if self.overflow == "spool":
            raise ConfigurationError("overflow='spool' needs a spool, which this version does not have; use 'drop'")
        if self.overflow not in ("drop", "block"):
            raise ConfigurationError(f"overflow must be 'drop' or 'block', not {self.overflow!r}")
        for name in ("capacity", "max_bytes", "batch_size", "close_timeout", "write_timeout", "block_timeout"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be above 0")
        if self.linger < 0:
            raise ConfigurationError("linger must not be below 0")
