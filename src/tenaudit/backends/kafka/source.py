"""A topic as a consumer's source: offsets committed by hand, partitions given up only after what is in hand."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.bounds import INT32, INT32_SECONDS, check_counts, check_seconds
from tenaudit._kernel.clock import Clock, SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.extras import MissingExtra
from tenaudit._kernel.servers import servers_of
from tenaudit.audit.consumer import Fetched, Partition, SourceRecord, SourceUnavailable
from tenaudit.backends.kafka.background import abandon_consumer, end
from tenaudit.backends.kafka.cluster import Cluster, in_words
from tenaudit.backends.kafka.listener import Listener
from tenaudit.backends.kafka.security import KafkaSecurity, checked_topic

try:
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.errors import CommitFailedError, IllegalStateError
except ImportError as error:
    raise MissingExtra("kafka", "aiokafka") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = ["KafkaSource"]

_log = logging.getLogger("tenaudit.audit")
_SLACK = 0.5
_LOOK_FOR_TOPICS_MS = 15_000


class KafkaSource:
    """Reads a topic as one member of a group, from the start where the group has no offsets yet.

    It serves one consumer. Another one, also after the first has failed, gets a source of its own, which starts from
    what was committed.

    Args:
        bootstrap_servers: `host:port`, several by commas or as a list; an IPv6 address stands in brackets.
        topic: what to read.
        group: members of one group share the partitions.
        start_timeout: seconds that joining may take.
        commit_timeout: seconds that a commit may take.
        close_timeout: seconds that leaving may take.
        session_timeout: seconds after which the group does without a member that is not heard of.
        rebalance_timeout: seconds that members have to settle and join again; above the consumer's `settle_timeout`.
        silence_timeout: seconds of fetching without any answer after which the connection is built again; above
            `rebalance_timeout`.
        fetch_bytes: most bytes of one answer of a broker.
        security: encryption and identity.
        client_id: this client's name in the broker's logs and quotas.
        clock: what silence is measured with.

    Raises:
        ConfigurationError: a setting that cannot work.

    Example:
        >>> source = KafkaSource("127.0.0.1:9092", group="audit-store")
        >>> source.lag()
        0
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str],
        topic: str = "audit.events",
        *,
        group: str = "tenaudit",
        start_timeout: float = 10.0,
        commit_timeout: float = 4.0,
        close_timeout: float = 4.0,
        session_timeout: float = 10.0,
        rebalance_timeout: float = 30.0,
        silence_timeout: float = 45.0,
        fetch_bytes: int = 4 * 2**20,
        security: KafkaSecurity | None = None,
        client_id: str = "tenaudit",
        clock: Clock | None = None,
    ) -> None:
        check_seconds(
            most=INT32_SECONDS,
            start_timeout=start_timeout,
            commit_timeout=commit_timeout,
            close_timeout=close_timeout,
            session_timeout=session_timeout,
            rebalance_timeout=rebalance_timeout,
            silence_timeout=silence_timeout,
        )
        check_counts(most=INT32, fetch_bytes=fetch_bytes)
        if silence_timeout <= rebalance_timeout:
            raise ConfigurationError("silence_timeout must be above rebalance_timeout")
        named: object = group
        if not isinstance(named, str) or not named:
            raise ConfigurationError("group must name the consumer group")
        self._topic = checked_topic(topic)
        self._start_timeout = start_timeout
        self._commit_timeout = commit_timeout
        self._close_timeout = close_timeout
        self._silence_timeout = silence_timeout
        self._clock = clock or SystemClock()
        within = round((rebalance_timeout + session_timeout) * 1000)
        self._cluster = Cluster(servers_of(bootstrap_servers), security or KafkaSecurity(), client_id, within)
        self._options: dict[str, Any] = {
            **self._cluster.options(),
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "session_timeout_ms": round(session_timeout * 1000),
            "heartbeat_interval_ms": max(1, round(session_timeout * 1000 / 3)),
            "rebalance_timeout_ms": round(rebalance_timeout * 1000),
            # By default five minutes, and a topic that is made after its consumer was started is found no sooner.
            "metadata_max_age_ms": _LOOK_FOR_TOPICS_MS,
            "fetch_max_bytes": fetch_bytes,
            "max_partition_fetch_bytes": fetch_bytes,
        }
        self._consumer: AIOKafkaConsumer | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._settle: Callable[[], Awaitable[None]] | None = None
        self._closed = False
        self._epoch = 0
        self._waiting: list[SourceRecord] = []
        self._next: dict[Partition, int] = {}
        self._spare = False
        self._last_answer = 0
        self._silent_for = 0.0

    def on_revoke(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Call *settle* before partitions are taken away.

        Raises:
            ConfigurationError: another consumer has this source, or had it: what that one had in hand would be skipped.
        """
        if self._settle is not None:
            raise ConfigurationError("this Kafka source serves a consumer already, or did: make another one")
        self._settle = settle

    async def fetch(self, max_records: int, max_bytes: int, seconds: float) -> Fetched:
        """Return what follows, none after *seconds*; joins the group at the first call.

        Raises:
            SourceUnavailable: the cluster cannot be reached, or answers nothing.
        """
        if self._closed:
            raise SourceUnavailable("the Kafka source is closed")
        if not self._waiting:
            try:
                self._waiting = await self._asked(max_records, seconds)
            except Exception as error:
                self._leave()
                raise self._unavailable(error) from error
        taken = _within(self._waiting[:max_records], max_bytes)
        self._waiting = self._waiting[len(taken) :]
        for record in taken:
            self._next[record.partition] = record.offset + 1
        return Fetched(self._epoch, tuple(taken))

    async def commit(self, epoch: int, offsets: Mapping[Partition, int]) -> bool:
        """Commit the offsets of partitions that are held still; False when the epoch has ended.

        Raises:
            SourceUnavailable: the cluster did not confirm it in time.
        """
        consumer = self._consumer
        if consumer is None or epoch != self._epoch:
            return False
        held = consumer.assignment()
        told = {TopicPartition(*place): offset for place, offset in offsets.items() if TopicPartition(*place) in held}
        if not told:
            return False
        try:
            async with asyncio.timeout(self._commit_timeout):
                await consumer.commit(told)
        except (CommitFailedError, IllegalStateError):
            # The group has moved on without this member; it will be told to join again.
            return False
        except Exception as error:
            raise self._unavailable(error) from error
        return True

    def lag(self) -> int:
        """Return how many records follow those that were fetched, as far as brokers have told."""
        if self._consumer is None:
            return 0
        ends = {place: self._consumer.highwater(TopicPartition(*place)) or 0 for place in self._next}
        return sum(max(0, end - self._next[place]) for place, end in ends.items())

    async def close(self) -> None:
        """Leave the group, in good order within `close_timeout` and in any within one second more."""
        self._closed = True
        self._leave(self._close_timeout)
        if self._ending:
            await asyncio.wait(self._ending)

    async def _asked(self, max_records: int, seconds: float) -> list[SourceRecord]:
        consumer = await self._joined()
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(seconds + _SLACK):
                found = await consumer.getmany(timeout_ms=round(seconds * 1000), max_records=max_records)
        except TimeoutError:
            # The group is being balanced, and nobody fetches until that has ended.
            found = {}
        self._listen(consumer, began, heard=bool(found))
        return [_record(record) for records in found.values() for record in records]

    async def _joined(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(**self._options)
            try:
                async with asyncio.timeout(self._start_timeout):
                    await self._cluster.start(consumer)
            except BaseException:
                self._end(consumer, 0)
                raise
            consumer.subscribe([self._topic], listener=Listener(self._revoked, self._assigned))
            self._consumer = consumer
            self._silent_for = 0.0
        return self._consumer

    def _listen(self, consumer: AIOKafkaConsumer, began: float, *, heard: bool) -> None:
        """Judge by the brokers' answers whether there is a connection: aiokafka only ever tries again.

        Raises:
            TimeoutError: there was none for `silence_timeout`.
        """
        held = consumer.assignment()
        answered = max((consumer.last_poll_timestamp(place) or 0 for place in held), default=0)
        if heard or self._spare or answered != self._last_answer:
            self._last_answer = answered
            self._silent_for = 0.0
            return
        self._silent_for += self._clock.monotonic() - began
        if self._silent_for > self._silence_timeout:
            raise TimeoutError

    def _unavailable(self, error: Exception) -> SourceUnavailable:
        why = in_words(error)
        return SourceUnavailable(f"Kafka topic {self._topic}: {why}", reason=why)

    async def _revoked(self) -> None:
        if self._settle is not None:
            await self._settle()
        self._end_epoch()

    def _assigned(self, partitions: int) -> None:
        # A group may have more members than partitions, and whoever has none hears nothing.
        self._spare = not partitions
        _log.info("partitions assigned", extra={"action": "audit_partitions_assigned", "partitions": partitions})
        if self._consumer is not None and self._consumer.partitions_for_topic(self._topic) is None:
            # aiokafka waits for it in silence, and so does the group.
            _log.warning(
                "the consumer's Kafka topic is not there yet; make it, or check its name",
                extra={"action": "audit_topic_missing", "what": self._topic},
            )

    def _end_epoch(self) -> None:
        self._epoch += 1
        self._waiting = []
        self._next = {}
        self._spare = False

    def _leave(self, patience: float = 0) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            self._end_epoch()
            self._end(consumer, patience)

    def _end(self, consumer: AIOKafkaConsumer, patience: float) -> None:
        task = asyncio.create_task(end(consumer, abandon_consumer, patience), name="tenaudit-kafka-end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _record(record: Any) -> SourceRecord:
    return SourceRecord(
        Partition(record.topic, record.partition),
        record.offset,
        record.value,
        record.key,
        tuple(record.headers),
        record.timestamp,
    )


def _within(records: Sequence[SourceRecord], max_bytes: int) -> list[SourceRecord]:
    """Return the first records that fit, at least one."""
    taken: list[SourceRecord] = []
    for record in records:
        max_bytes -= len(record.value or b"")
        if taken and max_bytes < 0:
            break
        taken.append(record)
    return taken
