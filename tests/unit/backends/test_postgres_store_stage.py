"""Appending in two steps: what needs no database first, then the transaction, with the same end as in one step."""

from __future__ import annotations

import pytest

from tenaudit.audit import AppendResult, SinkRejected
from tenaudit.backends.postgres import PostgresStore
from tenaudit.testing.conformance import an_event
from tests.unit.backends.postgres_databases import ROLES, migrated, run, user

pytestmark = pytest.mark.services
EVENTS = [an_event(n) for n in range(100)]


@pytest.fixture(scope="module")
def dsn(postgres_service):
    with migrated(postgres_service.dsn) as made, user(made, *ROLES) as own:
        yield own


def test_a_store_that_was_never_used_stages_nothing(dsn):
    async def main():
        store = PostgresStore.connect(dsn)
        assert await store.stage(EVENTS) is None
        await store.close()

    run(main())


def test_what_was_staged_is_written_once_it_is_called_and_not_before(dsn):
    async def main():
        async with PostgresStore.connect(dsn) as store:
            staged = await store.stage(EVENTS)
            assert await store.count() == 0
            assert await staged() == AppendResult(100, 0, 0, 0)
            assert await staged() == AppendResult(0, 100, 0, 0)
            assert await store.append(EVENTS) == AppendResult(0, 100, 0, 0)
            assert (await store.verify()).verified

    run(main())


def test_what_has_no_canonical_form_cannot_be_staged(dsn):
    async def main():
        async with PostgresStore.connect(dsn) as store:
            bad = an_event(200).model_copy(update={"payload": {"a": "\0"}})
            with pytest.raises(SinkRejected) as refusal:
                await store.stage([*EVENTS, bad])
            assert refusal.value.event_ids == {bad.event_id}

    run(main())
