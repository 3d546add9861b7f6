"""Counts over the audit API: the caller's own tenant, the filters of lists, and only where the store can."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, Gate, SecurityContext, extract_context
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import AuditApi
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

READER: SecurityContext = extract_context({"X-Tenant-ID": str(TENANT), "X-Roles": "Support"})


def run(folder: Path, case: Any) -> None:
    async def main() -> None:
        async with SqliteStore.open(folder / "audit.db") as store:
            await store.append([an_event(n, outcome="denied" if n % 2 else "success") for n in range(5)])
            await store.append([an_event(9, tenant_id=OTHER_TENANT)])
            await case(api_of(store))

    asyncio.run(asyncio.wait_for(main(), 60))


def api_of(store: Any) -> AuditApi:
    return AuditApi(Gate("audit", registry=CollectorRegistry()), store, cursor_keys=[b"k" * 16])


def test_the_callers_events_are_counted(tmp_path: Path) -> None:
    async def case(api: AuditApi) -> None:
        reply = await api.stats(READER, [])
        assert (reply.status, ("cache-control", "no-store") in reply.headers) == (200, True)
        assert json.loads(reply.body) == {
            "events": 5, "complete": True, "oldest": "2026-11-24T06:00:00.000000Z", "actions": {"order.created": 5},
            "outcomes": {"denied": 2, "success": 3}, "severities": {"info": 5}, "days": {"2026-11-24": 5},
        }  # fmt: skip
        filtered = [("outcome", "denied"), ("from", "2026-11-24T06:00:02Z"), ("to", "2026-11-25")]
        assert json.loads((await api.stats(READER, filtered)).body)["events"] == 1

    run(tmp_path, case)


@pytest.mark.parametrize("name", ["limit", "cursor", "order", "include_redacted", "tenant_id", "format"])
def test_what_is_no_filter_is_named(tmp_path: Path, name: str) -> None:
    async def case(api: AuditApi) -> None:
        with pytest.raises(ApiError) as refused:
            await api.stats(READER, [(name, "1")])
        assert (refused.value.code, refused.value.errors[0]["field"]) == ("invalid_parameter", name)

    run(tmp_path, case)


def test_a_store_that_cannot_count_has_no_stats() -> None:
    class Plain:
        """A store without the power."""

    with pytest.raises(ApiError) as refused:
        asyncio.run(api_of(Plain()).stats(READER, []))
    assert refused.value.code == "not_found"
