"""The audit routes in one framework over a store: `python -m ... NAME PORT DATABASE`."""

from __future__ import annotations

import sys
from typing import Any

from prometheus_client import CollectorRegistry

from tenaudit import Gate
from tenaudit.backends.sqlite import SqliteStore
from tests.flow.audit_service import APPS, KEYS, SERVERS
from tests.flow.redaction_service import TAIL


def main(name: str, port: int, database: str) -> None:
    def make_app(_variant: str) -> Any:
        gate = Gate("audit", registry=CollectorRegistry())
        return APPS[name](gate, SqliteStore.open(database), cursor_keys=KEYS, tail=TAIL)

    SERVERS[name](make_app, {"audit": port})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
