"""The bounds of a consumer, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from tenaudit._kernel.bounds import check_counts, check_seconds

__all__ = ["ConsumerOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerOptions:
    """How much a consumer takes at once and how long it waits; times in seconds.

    Args:
        batch_size: most records taken at once, whose offsets are committed together; of more than 1000 the next are
            decoded while a transaction of the store has the ones before.
        batch_bytes: most bytes of their values; a single larger record is taken alone.
        poll: how long one fetch waits for records, and so how long stopping waits for a quiet source.
        try_timeout: what one call of the store, the dead letters or the source may take.
        settle_timeout: how long a rebalance waits for the batch in hand; below the group's rebalance timeout.
        stop_timeout: how long stopping waits for the batch in hand.
        first_pause: the pause after a failure, doubled after each further one.
        longest_pause: its bound.
        give_up_after: failing this long without a break ends the consumer with `ConsumerStalled`.

    Raises:
        ConfigurationError: a bound that is not above 0 and finite; a pause may be 0.

    Example:
        >>> ConsumerOptions(batch_size=100).batch_size
        100
    """

    batch_size: int = 4000
    batch_bytes: int = 4 * 2**20
    poll: float = 1.0
    try_timeout: float = 30.0
    settle_timeout: float = 5.0
    stop_timeout: float = 5.0
    first_pause: float = 0.1
    longest_pause: float = 5.0
    give_up_after: float = 600.0

    def __post_init__(self) -> None:
        check_counts(batch_size=self.batch_size, batch_bytes=self.batch_bytes)
        check_seconds(
            poll=self.poll,
            try_timeout=self.try_timeout,
            settle_timeout=self.settle_timeout,
            stop_timeout=self.stop_timeout,
            give_up_after=self.give_up_after,
        )
        check_seconds(may_be_zero=True, first_pause=self.first_pause, longest_pause=self.longest_pause)
