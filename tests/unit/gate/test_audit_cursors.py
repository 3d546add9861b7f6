"""Cursors of the audit API: signed at the boundary, each refusal with its reason, keys that workers share."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, ConfigurationError, Gate, SecurityContext, extract_context
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.gate import AuditApi
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

KEYS = [b"the key of this service's workers"]


def reader(tenant: UUID = TENANT) -> SecurityContext:
    return extract_context({"X-Tenant-ID": str(tenant), "X-Roles": "Support"})


def api_of(store: SqliteStore, **options: Any) -> AuditApi:
    return AuditApi(Gate("audit", registry=CollectorRegistry()), store, **{"cursor_keys": KEYS, **options})


async def cursor_of(api: AuditApi, *more: tuple[str, str]) -> str:
    body = json.loads((await api.list_events(reader(), [("limit", "2"), *more])).body)
    cursor = body["next_cursor"]
    assert isinstance(cursor, str)
    return cursor


async def reason_of(api: AuditApi, context: SecurityContext, *parameters: tuple[str, str]) -> str:
    with pytest.raises(ApiError) as refused:
        await api.list_events(context, parameters)
    error = refused.value
    assert (error.status, error.code, error.errors[0]["field"]) == (400, "invalid_cursor", "cursor")
    assert error.errors[0]["message"]
    reason = error.errors[0]["reason"]
    assert isinstance(reason, str)
    return reason


def run(folder: Path, case: Any) -> None:
    async def main() -> None:
        async with SqliteStore.open(folder / "audit.db") as store:
            await store.append([an_event(place) for place in range(5)])
            await case(store)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_every_refusal_names_its_reason(tmp_path: Path) -> None:
    async def case(store: SqliteStore) -> None:
        clock = ManualClock()
        api = api_of(store, clock=clock, cursor_lifetime=60)
        cursor = await cursor_of(api)
        ask = ("cursor", cursor)
        assert await reason_of(api, reader(), ("cursor", cursor[:-1])) == "altered"
        assert await reason_of(api, reader(OTHER_TENANT), ask) == "other_tenant"
        assert await reason_of(api, reader(), ask, ("outcome", "denied")) == "other_filters"
        assert await reason_of(api, reader(), ask, ("order", "asc")) == "other_filters"
        clock.advance(59)
        page = json.loads((await api.list_events(reader(), [ask])).body)
        assert len(page["events"]) == 3
        clock.advance(1)
        assert await reason_of(api, reader(), ask) == "expired"

    run(tmp_path, case)


def test_a_cursor_is_not_the_stores_own(tmp_path: Path) -> None:
    async def case(store: SqliteStore) -> None:
        from tenaudit.audit import AuditQuery

        own = (await store.search(AuditQuery(TENANT, limit=2))).next_cursor
        assert own is not None
        assert await reason_of(api_of(store), reader(), ("cursor", own)) == "altered"

    run(tmp_path, case)


def test_workers_share_a_key_and_change_it(tmp_path: Path) -> None:
    async def case(store: SqliteStore) -> None:
        new = b"the key that comes next"
        before, between, after = (
            api_of(store),
            api_of(store, cursor_keys=[new, *KEYS]),
            api_of(store, cursor_keys=[new]),
        )
        cursor = await cursor_of(before)
        assert (await api_of(store).list_events(reader(), [("cursor", cursor)])).status == 200
        assert (await between.list_events(reader(), [("cursor", cursor)])).status == 200
        assert (await after.list_events(reader(), [("cursor", await cursor_of(between))])).status == 200
        assert await reason_of(after, reader(), ("cursor", cursor)) == "altered"

    run(tmp_path, case)


def test_without_a_key_the_log_says_what_that_means(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def case(store: SqliteStore) -> None:
        with caplog.at_level(logging.INFO, "tenaudit.gate"):
            api_of(store)
            assert "cursor_key_random" not in [getattr(record, "action", "") for record in caplog.records]
            one, other = api_of(store, cursor_keys=()), api_of(store, cursor_keys=())
        (line, _) = (record for record in caplog.records if getattr(record, "action", "") == "cursor_key_random")
        assert "several workers" in line.getMessage()
        cursor = await cursor_of(one)
        assert (await one.list_events(reader(), [("cursor", cursor)])).status == 200
        assert await reason_of(other, reader(), ("cursor", cursor)) == "altered"

    run(tmp_path, case)


def test_a_cursor_of_another_store_is_named_as_such(tmp_path: Path) -> None:
    async def case(store: SqliteStore) -> None:
        async with SqliteStore.open(tmp_path / "other.db") as other:
            cursor = await cursor_of(api_of(store))
            assert await reason_of(api_of(other), reader(), ("cursor", cursor)) == "other_store"

    run(tmp_path, case)


@pytest.mark.parametrize("options", [{"cursor_keys": [b"short"]}, {"cursor_lifetime": 0}, {"cursor_lifetime": 1e10}])
def test_an_impossible_setting_is_refused_by_name(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        api_of(SqliteStore.open(tmp_path / "audit.db"), **options)
