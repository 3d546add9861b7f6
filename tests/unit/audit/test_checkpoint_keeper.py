"""The keeper of checkpoints: what it signs, where it puts it, and what makes it stop."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import StoreError
from tenaudit.audit.checkpoint_keeper import CheckpointKeeper
from tenaudit.audit.integrity import SignedNote, parse_body
from tenaudit.audit.integrity.log_of_logs import LogOfLogs, RoundError
from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_from, verifier_key
from tenaudit.backends.checkpoint_file import CheckpointFile, read_rounds
from tenaudit.backends.sqlite import SqliteStore
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

KEY = new_signer_key("audit.example/prod")
SIGNER, VERIFIER = signer_from(KEY), verifier_from(verifier_key(KEY))


class Ill:
    """A place that fails, hangs, or does what the one behind it does."""

    def __init__(self, place):
        self.place = place
        self.way = "well"
        self.failed, self.kept = asyncio.Event(), asyncio.Event()

    async def _ail(self):
        if self.way == "fails":
            self.failed.set()
            raise StoreError("the place is ill")
        if self.way == "hangs":
            await asyncio.Event().wait()

    async def size(self):
        await self._ail()
        return await self.place.size()

    async def put(self, sealed):
        if self.way == "forgets to say so":
            await self.place.put(sealed)
            raise StoreError("the place is ill")
        await self._ail()
        await self.place.put(sealed)
        self.kept.set()

    async def rounds(self, first=0):
        async for sealed in self.place.rounds(first):
            yield sealed

    async def close(self):
        await self.place.close()


@asynccontextmanager
async def a_store(folder):
    async with SqliteStore.open(folder / "audit.db") as store:
        yield store


def a_keeper(store, places, **options):
    options = {"registry": CollectorRegistry()} | options
    return CheckpointKeeper(store, SIGNER, [VERIFIER], places, **options)


@pytest.fixture
def place(tmp_path):
    return CheckpointFile(tmp_path / "checkpoints.ndjson")


def folded(path):
    logs, found = LogOfLogs([VERIFIER]), []
    for sealed in read_rounds(path):
        found += logs.take(sealed)
    return logs, found


def run(case):
    asyncio.run(asyncio.wait_for(case, 60))


def test_each_log_that_grew_is_signed_once_and_one_note_speaks_for_all(tmp_path, place):
    async def case():
        registry = CollectorRegistry()
        async with a_store(tmp_path) as store:
            keeper = a_keeper(store, [place], registry=registry)
            await store.append([an_event(0), an_event(1), an_event(0, tenant_id=OTHER_TENANT)])
            assert [await keeper.once(), await keeper.once()] == [2, 0]
            await store.append([an_event(2)])
            # Sealed by somebody who does not sign: signed all the same.
            await store.seal()
            await store.append([an_event(3)])
            assert [await keeper.once(), await keeper.once()] == [1, 0]
            assert registry.get_sample_value("audit_checkpoints_signed_total") == 3
            assert registry.get_sample_value("audit_checkpoint_last_timestamp_seconds") > 0
            report = await store.verify(signed={TENANT: folded(tmp_path / "checkpoints.ndjson")[1][-1:]})
            assert report.verified
        first, second = read_rounds(tmp_path / "checkpoints.ndjson")
        assert [len(first.bodies), len(second.bodies), second.first] == [2, 1, 2]
        assert parse_body(SignedNote.parse(second.note).text).size == 3

    run(case())


def test_another_keeper_goes_on_where_the_record_ends(tmp_path, place):
    async def case():
        async with a_store(tmp_path) as store:
            keepers = [a_keeper(store, [place]), a_keeper(store, [CheckpointFile(tmp_path / "checkpoints.ndjson")])]
            for number in range(6):
                await store.append([an_event(number)])
                assert await keepers[number % 2].once() == 1
        logs, found = folded(tmp_path / "checkpoints.ndjson")
        assert (logs.size, [one.size for one in found]) == (6, [1, 2, 3, 4, 5, 6])

    run(case())


@pytest.mark.parametrize("way", ["fails", "hangs", "forgets to say so"])
def test_a_record_that_was_ill_has_every_round_once_in_the_end(tmp_path, place, way):
    async def case():
        registry, ill = CollectorRegistry(), Ill(place)
        async with a_store(tmp_path) as store:
            keeper = a_keeper(store, [ill], deadline=1.0, registry=registry)
            await store.append([an_event(0)])
            ill.way = way
            with pytest.raises(StoreError, match=r"ill|within 1 s"):
                await keeper.once()
            ill.way = "well"
            await store.append([an_event(1)])
            assert await keeper.once() == 1
            assert await keeper.once() == 0
            assert registry.get_sample_value("audit_checkpoint_failures_total", {"part": "record"}) == 1
        logs, found = folded(tmp_path / "checkpoints.ndjson")
        assert logs.tips[TENANT].size == 2
        assert len(found) == (2 if way == "forgets to say so" else 1)

    run(case())


@pytest.mark.parametrize("way", ["fails", "hangs"])
def test_a_copy_that_is_ill_holds_nothing_up_and_gets_what_it_lacks(tmp_path, place, way):
    async def case():
        registry, copy = CollectorRegistry(), Ill(CheckpointFile(tmp_path / "copy.ndjson"))
        async with a_store(tmp_path) as store:
            keeper = a_keeper(store, [place, copy], deadline=1.0, registry=registry)
            copy.way = way
            for number in range(3):
                await store.append([an_event(number)])
                assert await keeper.once() == 1
            assert registry.get_sample_value("audit_checkpoint_failures_total", {"part": "copy"}) == 3
            assert not (tmp_path / "copy.ndjson").exists()
            copy.way = "well"
            assert await keeper.once() == 0
        assert (tmp_path / "copy.ndjson").read_bytes() == (tmp_path / "checkpoints.ndjson").read_bytes()

    run(case())


def test_a_log_that_was_cut_or_written_anew_is_named_and_the_others_are_signed_on(tmp_path, place):
    async def case():
        async with a_store(tmp_path) as store:
            await store.append([an_event(0), an_event(1), an_event(0, tenant_id=OTHER_TENANT)])
            await a_keeper(store, [place]).once()
        (tmp_path / "audit.db").unlink()
        async with a_store(tmp_path) as store:
            keeper = a_keeper(store, [place])
            await store.append([an_event(5), an_event(6), *(an_event(n, tenant_id=OTHER_TENANT) for n in (0, 1))])
            with pytest.raises(RoundError, match=f"{TENANT}, signed at 2 entries, is another one at 2"):
                await keeper.once()
            assert folded(tmp_path / "checkpoints.ndjson")[0].tips[OTHER_TENANT].size == 2
        (tmp_path / "audit.db").unlink()
        async with a_store(tmp_path) as store:
            with pytest.raises(RoundError) as caught:
                await a_keeper(store, [place]).once()
            for tenant in (TENANT, OTHER_TENANT):
                assert f"{tenant}, signed at 2 entries, is gone" in str(caught.value)

    run(case())


def test_a_record_that_was_changed_is_never_signed_on(tmp_path, place):
    path = tmp_path / "checkpoints.ndjson"

    async def case():
        async with a_store(tmp_path) as store:
            keeper = a_keeper(store, [place])
            for number in range(2):
                await store.append([an_event(number)])
                await keeper.once()
            whole = path.read_bytes()
            lines = [json.loads(line) for line in whole.splitlines()]
            lines[0]["bodies"][0] = lines[0]["bodies"][0].replace(str(TENANT), str(UUID(int=9)))
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            await store.append([an_event(2)])
            before = path.read_bytes()
            with pytest.raises(RoundError, match="speaks of other ones"):
                await a_keeper(store, [CheckpointFile(path)]).once()
            assert path.read_bytes() == before
            path.write_bytes(whole)
            assert await a_keeper(store, [CheckpointFile(path)]).once() == 1

    run(case())


def test_it_runs_until_it_is_stopped_whatever_fails(tmp_path, place, caplog):
    async def case():
        ill = Ill(place)
        ill.way = "fails"
        async with a_store(tmp_path) as store:
            await store.append([an_event(0)])
            keeper = a_keeper(store, [ill], every=0.01)
            running = asyncio.create_task(keeper.run())
            await ill.failed.wait()
            ill.way = "well"
            await ill.kept.wait()
            keeper.stop()
            await running
        assert "checkpoints cannot be signed" in caplog.text

    run(case())


def test_a_keeper_without_a_place_or_a_key_is_refused(place):
    for trusted, places in (([], [place]), ([VERIFIER], [])):
        with pytest.raises(ConfigurationError, match="needs a place"):
            CheckpointKeeper(None, SIGNER, trusted, places, registry=CollectorRegistry())
    with pytest.raises(ConfigurationError, match="every must"):
        a_keeper(None, [place], every=0)


async def _signed(store, keeper, *numbers):
    for number in numbers:
        await store.append([an_event(number)])
        assert await keeper.once() == 1


@pytest.mark.parametrize("way", ["back a round", "a byte", "all of it", "another one"])
def test_a_record_that_lost_what_was_signed_is_not_signed_on(tmp_path, place, way):
    path = tmp_path / "checkpoints.ndjson"

    async def case():
        async with a_store(tmp_path) as store:
            copy = CheckpointFile(tmp_path / "copy.ndjson")
            keeper = a_keeper(store, [place, copy])
            await _signed(store, keeper, 0, 1, 2)
            lines = path.read_bytes().splitlines(keepends=True)
            left = {"back a round": b"".join(lines[:2]), "a byte": b"".join(lines)[:-1], "all of it": b""}
            if way == "another one":
                path.unlink()
                (tmp_path / "other").mkdir()
                async with a_store(tmp_path / "other") as other:
                    await _signed(other, a_keeper(other, [CheckpointFile(path)]), 7, 8, 9, 10)
            else:
                path.write_bytes(left[way])
            before, kept = path.read_bytes(), (tmp_path / "copy.ndjson").read_bytes()
            await store.append([an_event(3)])
            for _ in range(2):
                with pytest.raises(RoundError, match="no longer has the 3 checkpoints"):
                    await keeper.once()
            if way != "another one":
                # Also by one who knows nothing but the copy.
                with pytest.raises(RoundError, match="a copy has 3 checkpoints"):
                    await a_keeper(store, [CheckpointFile(path), copy]).once()
            assert path.read_bytes() == before
            assert (tmp_path / "copy.ndjson").read_bytes() == kept

    run(case())


def test_a_tenant_that_was_tampered_with_keeps_nothing_from_the_copies(tmp_path, place):
    async def case():
        async with a_store(tmp_path) as store:
            copy = CheckpointFile(tmp_path / "copy.ndjson")
            keeper = a_keeper(store, [place, copy])
            await store.append([an_event(0), an_event(0, tenant_id=OTHER_TENANT)])
            assert await keeper.once() == 2
            with closing(sqlite3.connect(tmp_path / "audit.db")) as file, file:
                for table in ("events", "leaves", "logs", "checkpoints"):
                    file.execute(f"DELETE FROM {table} WHERE tenant_id = ?", [str(OTHER_TENANT)])
            for number in (1, 2):
                await store.append([an_event(number)])
                with pytest.raises(RoundError, match=f"{OTHER_TENANT}, signed at 1 entries, is gone"):
                    await keeper.once()
        assert len((tmp_path / "copy.ndjson").read_bytes().splitlines()) == 3

    run(case())


@pytest.mark.parametrize(
    ("broken", "error"),
    [("UPDATE checkpoints SET root = x'00'", RoundError), ("UPDATE logs SET frontier = x'00'", StoreError)],
)
def test_a_log_that_cannot_be_sealed_keeps_no_other_from_being_signed(tmp_path, place, broken, error):
    async def case():
        async with a_store(tmp_path) as store:
            keeper = a_keeper(store, [place])
            await store.append([an_event(0), an_event(0, tenant_id=OTHER_TENANT)])
            assert await keeper.once() == 2
            await store.append([an_event(1)])
            if error is StoreError:
                await store.append([an_event(1, tenant_id=OTHER_TENANT)])
            with closing(sqlite3.connect(tmp_path / "audit.db")) as file, file:
                file.execute(f"{broken} WHERE tenant_id = ?", [str(OTHER_TENANT)])
            with pytest.raises(error):
                await keeper.once()
        assert folded(tmp_path / "checkpoints.ndjson")[0].tips[TENANT].size == 2

    run(case())


def test_a_checkpoint_that_its_log_does_not_have_is_not_signed(tmp_path, place):
    async def case():
        async with a_store(tmp_path) as store:
            await store.append([an_event(0)])
            await store.seal()
            with closing(sqlite3.connect(tmp_path / "audit.db")) as file, file:
                file.execute(
                    "INSERT INTO checkpoints SELECT tenant_id, 1000000, root, body, sealed_at FROM checkpoints"
                )
            assert await a_keeper(store, [place]).once() == 1
        assert folded(tmp_path / "checkpoints.ndjson")[0].tips[TENANT].size == 1

    run(case())
