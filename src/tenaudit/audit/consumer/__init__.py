"""From a stream of records to a store: each event one row, offsets only after the rows."""

from tenaudit.audit.consumer.consumer import Consumer, ConsumerHealth
from tenaudit.audit.consumer.dead_letter import (
    DeadLetter,
    DeadLetterBounds,
    DeadLettersFull,
    DeadLetterStore,
    DeadLetterTotals,
)
from tenaudit.audit.consumer.options import ConsumerOptions
from tenaudit.audit.consumer.ports import (
    DeadLetters,
    Fetched,
    Partition,
    Source,
    SourceRecord,
    SourceUnavailable,
)
from tenaudit.audit.consumer.retry import ConsumerStalled
from tenaudit.audit.consumer.wire import WIRE_FORMAT, BadRecord, decode_event, encode_event, event_headers

__all__ = [
    "WIRE_FORMAT",
    "BadRecord",
    "Consumer",
    "ConsumerHealth",
    "ConsumerOptions",
    "ConsumerStalled",
    "DeadLetter",
    "DeadLetterBounds",
    "DeadLetterStore",
    "DeadLetterTotals",
    "DeadLetters",
    "DeadLettersFull",
    "Fetched",
    "Partition",
    "Source",
    "SourceRecord",
    "SourceUnavailable",
    "decode_event",
    "encode_event",
    "event_headers",
]
