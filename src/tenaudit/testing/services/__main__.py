"""`python -m tenaudit.testing.services`: fetch Kafka's jars now, and say what can run here."""

from __future__ import annotations

import sys

from tenaudit.testing.services.available import availability
from tenaudit.testing.services.kafka_jars import kafka_jars
from tenaudit.testing.services.service import ServiceUnavailable

__all__ = ["main"]


def main() -> int:
    """Fill the cache and print the report; 0 when Kafka's jars are there, 1 when not."""
    try:
        kafka_jars()
    except ServiceUnavailable as error:
        sys.stderr.write(f"{error}\n")
        status = 1
    else:
        status = 0
    sys.stdout.write(f"{availability().line()}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
