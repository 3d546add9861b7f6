"""The bounds of a producer, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tenaudit._kernel.bounds import INT32_SECONDS, check_counts, check_seconds
from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.redaction_policy import check_redaction
from tenaudit.audit.spool import Spool

__all__ = ["ProducerOptions", "check_wiring"]

_MAX_SERVICE = 128


def check_wiring(
    service: object, spool: object | None, overflow: str, account_tenant: object | None, redaction: object | None
) -> None:
    """Refuse a service name that no event can carry, parts that are none, and an overflow policy without its spool.

    Raises:
        ConfigurationError: as above.
    """
    if spool is None and overflow == "spool":
        raise ConfigurationError("overflow='spool' needs spool=, for example tenaudit.backends.spool.DiskSpool(folder)")
    if spool is not None and not isinstance(spool, Spool):
        raise ConfigurationError("spool must be a Spool, for example tenaudit.backends.spool.DiskSpool(folder)")
    if account_tenant is not None and not isinstance(account_tenant, UUID):
        raise ConfigurationError("account_tenant must be the UUID of the tenant that the closing records belong to")
    check_redaction(redaction)
    if not isinstance(service, str) or not 0 < len(service) <= _MAX_SERVICE or "\x00" in service:
        raise ConfigurationError(f"service must name the service, in at most {_MAX_SERVICE} characters")


@dataclass(frozen=True, slots=True)
class ProducerOptions:
    """How much a producer holds and how long it waits; sizes in events and bytes, times in seconds.

    Raises:
        ConfigurationError: an unknown overflow policy, or a bound that is not above 0 and finite; *linger* may be 0.
    """

    capacity: int
    max_bytes: int
    overflow: str
    batch_size: int
    linger: float
    close_timeout: float
    write_timeout: float
    block_timeout: float
    spool_after: float

    @property
    def room(self) -> int:
        """Events that may wait in memory: with `overflow="spool"` as many again as `capacity` wait for the disk."""
        return 2 * self.capacity if self.overflow == "spool" else self.capacity

    def __post_init__(self) -> None:
        if self.overflow not in ("drop", "block", "spool"):
            raise ConfigurationError(f"overflow must be 'drop', 'block' or 'spool', not {self.overflow!r}")
        check_counts(capacity=self.capacity, max_bytes=self.max_bytes, batch_size=self.batch_size)
        check_seconds(
            # A wait of a thread can be told no longer time.
            most=INT32_SECONDS,
            close_timeout=self.close_timeout,
            write_timeout=self.write_timeout,
            block_timeout=self.block_timeout,
            spool_after=self.spool_after,
        )
        check_seconds(may_be_zero=True, linger=self.linger)
