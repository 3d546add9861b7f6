"""The audit routes in one framework, with rules that a test writes: `python -m ... NAME PORT DATABASE FOLDER`."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from tenaudit import Gate
from tenaudit.audit import RedactionPolicy
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import TailSettings
from tests.flow.audit_service import APPS, KEYS, SERVERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

HASH_KEY = "the secret of the hashed values"
# A client that follows learns at every heartbeat how far it has come.
TAIL = TailSettings(max_open=999, max_open_per_tenant=99, lifetime=20, heartbeat=0.05, fastest=0.01, slowest=0.02)


class RulesOfEach:
    """A redactor whose rules are those of a file for each tenant, written before its first event."""

    def __init__(self, folder: Path) -> None:
        self._policy = lru_cache(lambda tenant: policy_of(folder / f"{tenant}.toml"))

    def __call__(self, event: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return what may be seen."""
        return self._policy(event["tenant_id"])(event)

    def peek(self, event: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the same, uncounted."""
        return self._policy(event["tenant_id"]).peek(event)

    def reached_fields(self, tenant_id: UUID) -> frozenset[str]:
        """Return the fields that may look different."""
        return self._policy(str(tenant_id)).reached_fields(tenant_id)


def policy_of(path: Path) -> RedactionPolicy:
    return RedactionPolicy.from_toml(path, environ={"HASH_KEY": HASH_KEY}, registry=CollectorRegistry())


def main(name: str, port: int, database: str, folder: Path) -> None:
    def make_app(_variant: str) -> Any:
        gate = Gate("audit", registry=CollectorRegistry())
        options = {"redactor": RulesOfEach(folder), "cursor_keys": KEYS, "tail": TAIL}
        return APPS[name](gate, SqliteStore.open(database), **options)

    SERVERS[name](make_app, {"audit": port})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
