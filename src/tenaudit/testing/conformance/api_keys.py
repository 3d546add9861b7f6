"""What every store of API keys keeps to, as a suite that a third party's store can run."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.errors import ApiError
from tenaudit.security import (
    ApiKeyAuthenticator,
    ApiKeyChangeError,
    ApiKeyRecord,
    new_api_key,
    rotate_api_key,
)
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance.api_key_records import NOW, a_key_record, a_key_rotation
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tenaudit.security import ApiKeyStore

__all__ = ["ApiKeyStoreConformance"]

_HARD_TEXT = "é \U0001f600 \"quoted\" \\ back {'a':1} % $1 :name"
_CHANGED = "changed"


class ApiKeyStoreConformance(ABC):
    """Proves a store of API keys; subclass it as `class TestMyStore(ApiKeyStoreConformance)`.

    Example:
        >>> from tenaudit.security import InMemoryApiKeyStore
        >>> class TestMemory(ApiKeyStoreConformance):
        ...     async def open_store(self, folder): return InMemoryApiKeyStore()
    """

    @abstractmethod
    async def open_store(self, folder: Path) -> ApiKeyStore:
        """Return a new, empty store; *folder* is the test's own."""

    def _run(self, folder: Path, case: Callable[[ApiKeyStore], Awaitable[None]]) -> None:
        async def main() -> None:
            store = await self.open_store(folder)
            try:
                await case(store)
            finally:
                await store.close()
                await store.close()

        asyncio.run(asyncio.wait_for(main(), 60))

    def test_gives_back_what_it_was_given(self, tmp_path: Path) -> None:
        """Every field of a record survives, to the last bit of its times."""
        records = [
            a_key_record(0),
            a_key_record(1, roles=frozenset(), created_at=None, revoked=True),
            a_key_record(2, expires_at=NOW + 0.1, revoked_at=NOW + 0.2, name=_HARD_TEXT, description=_HARD_TEXT),
            a_key_record(3, rotated_from="ta_00000000000a", replaced_by="ta_00000000000b", tenant_id=OTHER_TENANT),
            a_key_record(4, roles=frozenset({"auth0|role", "a b", "\\", '"', "{}", "NULL"})),
        ]

        async def case(store: ApiKeyStore) -> None:
            for record in records:
                await store.put(record)
            for record in records:
                assert await store.get(record.prefix) == record
            assert (await store.list()).records == tuple(records)

        self._run(tmp_path, case)

    def test_knows_no_other_prefix(self, tmp_path: Path) -> None:
        """What is no prefix of a key is found nowhere, and is no error."""

        async def case(store: ApiKeyStore) -> None:
            await store.put(a_key_record())
            for text in ("ta_00000000000f", "", "ta_000000000000_", "TA_000000000000", "%", "a\0b", "\udcff"):
                assert await store.get(text) is None
                assert await store.revoke(text, NOW) is False
                await _refused(store.rotate(text, a_key_rotation(9)), "no")
            assert (await store.list()).records == (a_key_record(),)

        self._run(tmp_path, case)

    def test_updates_a_key(self, tmp_path: Path) -> None:
        """A record that is put again takes the new roles, texts and end."""
        changed = a_key_record(roles=frozenset({"Support"}), name=_CHANGED, description=_CHANGED, expires_at=NOW + 5)

        async def case(store: ApiKeyStore) -> None:
            await store.put(a_key_record())
            await store.put(changed)
            assert await store.get(changed.prefix) == changed
            await store.put(a_key_record())
            assert await store.get(changed.prefix) == a_key_record()

        self._run(tmp_path, case)

    def test_gives_a_prefix_to_one_key_only(self, tmp_path: Path) -> None:
        """Another secret or another tenant is another key, which may not take the place of the first."""

        async def case(store: ApiKeyStore) -> None:
            await store.put(a_key_record())
            await _refused(store.put(a_key_record(secret_hash=b"x" * 32)), "another key")
            await _refused(store.put(a_key_record(tenant_id=OTHER_TENANT)), "another key")
            assert await store.get(a_key_record().prefix) == a_key_record()

        self._run(tmp_path, case)

    def test_revokes_once_and_for_all(self, tmp_path: Path) -> None:
        """A revocation keeps its first time, and no later record undoes it."""

        async def case(store: ApiKeyStore) -> None:
            await store.put(a_key_record())
            for at in (NOW + 5, NOW + 9):
                assert await store.revoke(a_key_record().prefix, at) is True
            await store.put(a_key_record(name=_CHANGED))
            assert await store.get(a_key_record().prefix) == a_key_record(name=_CHANGED, revoked_at=NOW + 5)
            await store.put(a_key_record(1, revoked=True))
            await store.put(a_key_record(1))
            assert await store.get(a_key_record(1).prefix) == a_key_record(1, revoked=True)

        self._run(tmp_path, case)

    def test_lists_in_pages(self, tmp_path: Path) -> None:
        """Pages are bounded, in the order of prefixes, of one tenant or all, and meet without gap or overlap."""
        records = [a_key_record(n, tenant_id=OTHER_TENANT if n % 3 == 0 else TENANT) for n in range(10)]

        async def case(store: ApiKeyStore) -> None:
            assert (await store.list()).records == ()
            for record in reversed(records):
                await store.put(record)
            for tenant_id, limit in ((None, 3), (None, 5), (TENANT, 2), (OTHER_TENANT, 4), (OTHER_TENANT, 1000)):
                wanted = [record for record in records if tenant_id in {None, record.tenant_id}]
                found: list[ApiKeyRecord] = []
                after = None
                while True:
                    page = await store.list(tenant_id, limit=limit, after=after)
                    assert len(page.records) <= limit
                    found += page.records
                    after = page.next_after
                    if after is None:
                        break
                    assert len(page.records) == limit
                assert found == wanted

        self._run(tmp_path, case)

    def test_refuses_a_page_out_of_range(self, tmp_path: Path) -> None:
        """A page has 1 to 1000 records and begins behind a prefix."""

        async def case(store: ApiKeyStore) -> None:
            wrong = [store.list(limit=limit) for limit in (0, 1001, -1)]
            wrong += [store.list(after=after) for after in ("", "x", "a\0b", "\udcff")]
            answers = await asyncio.gather(*wrong, return_exceptions=True)
            assert {type(answer) for answer in answers} == {ConfigurationError}

        self._run(tmp_path, case)

    def test_rotates(self, tmp_path: Path) -> None:
        """The successor has tenant, roles and texts of the old key, which goes on for the overlap."""
        old = a_key_record(name="tills", description=_HARD_TEXT, expires_at=NOW + 1000)

        async def case(store: ApiKeyStore) -> None:
            await store.put(old)
            fresh = await store.rotate(old.prefix, a_key_rotation(1, overlap=60.0))
            assert fresh == replace(
                old,
                prefix="ta_000000000001",
                secret_hash=b"\1" * 32,
                created_at=NOW + 10,
                expires_at=NOW + 1010,
                rotated_from=old.prefix,
            )
            ended = replace(old, expires_at=NOW + 70, replaced_by=fresh.prefix)
            assert (await store.list()).records == (ended, fresh)

        self._run(tmp_path, case)

    def test_rotates_without_overlap(self, tmp_path: Path) -> None:
        """An overlap of 0 revokes the old key at once."""

        async def case(store: ApiKeyStore) -> None:
            await store.put(a_key_record())
            fresh = await store.rotate(a_key_record().prefix, a_key_rotation(1, overlap=0.0))
            assert not fresh.revoked
            old = await store.get(a_key_record().prefix)
            assert old is not None
            assert (old.revoked_at, old.replaced_by) == (NOW + 10, fresh.prefix)

        self._run(tmp_path, case)

    def test_rotates_both_or_neither(self, tmp_path: Path) -> None:
        """A rotation that is refused adds no key and ends none."""
        before = (
            a_key_record(0),
            a_key_record(1, revoked_at=NOW),
            a_key_record(2, expires_at=NOW + 10),
            a_key_record(3, replaced_by="ta_000000000000"),
        )

        async def case(store: ApiKeyStore) -> None:
            for record in before:
                await store.put(record)
            await _refused(store.rotate("ta_00000000000f", a_key_rotation(9)), "no key")
            await _refused(store.rotate(before[0].prefix, a_key_rotation(3)), "another key")
            await _refused(store.rotate(before[0].prefix, a_key_rotation(0)), "another key")
            await _refused(store.rotate(before[1].prefix, a_key_rotation(9)), "revoked")
            await _refused(store.rotate(before[2].prefix, a_key_rotation(9)), "expired")
            await _refused(store.rotate(before[3].prefix, a_key_rotation(9)), "replaced")
            assert (await store.list()).records == before

        self._run(tmp_path, case)

    def test_a_late_update_undoes_no_rotation(self, tmp_path: Path) -> None:
        """A record read before a rotation and put after it brings back neither the old end nor a second successor."""

        async def case(store: ApiKeyStore) -> None:
            await store.put(a_key_record())
            await store.rotate(a_key_record().prefix, a_key_rotation(1, overlap=60.0))
            await store.put(a_key_record(name=_CHANGED))
            old = await store.get(a_key_record().prefix)
            assert old == a_key_record(name=_CHANGED, expires_at=NOW + 70, replaced_by="ta_000000000001")
            await _refused(store.rotate(a_key_record().prefix, a_key_rotation(2)), "replaced")

        self._run(tmp_path, case)

    def test_takes_changes_at_the_same_time(self, tmp_path: Path) -> None:
        """Whatever order updates, a revocation and rotations meet in: it is revoked, and has one successor at most."""

        async def case(store: ApiKeyStore) -> None:
            for number in range(0, 60, 6):
                record = a_key_record(number)
                await store.put(record)
                changes = [
                    store.put(replace(record, name=_CHANGED)),
                    store.rotate(record.prefix, a_key_rotation(number + 1)),
                    store.put(record),
                    store.revoke(record.prefix, NOW),
                    store.rotate(record.prefix, a_key_rotation(number + 2)),
                    store.put(replace(record, expires_at=None)),
                ]
                done = await asyncio.gather(
                    *changes[number // 6 % 5 :], *changes[: number // 6 % 5], return_exceptions=True
                )
                unexpected = [
                    one for one in done if isinstance(one, Exception) and not isinstance(one, ApiKeyChangeError)
                ]
                assert unexpected == []
                now = await store.get(record.prefix)
                assert now is not None
                assert now.revoked_at == NOW
                fresh = [one.prefix for one in (await store.list()).records if one.rotated_from == record.prefix]
                assert fresh == ([] if now.replaced_by is None else [now.replaced_by])

        self._run(tmp_path, case)

    def test_serves_the_check_of_keys(self, tmp_path: Path) -> None:
        """From new to rotated to revoked, exactly the right keys pass."""
        clock = ManualClock(start=NOW)

        async def case(store: ApiKeyStore) -> None:
            check = ApiKeyAuthenticator(store, clock=clock)

            async def status(key: str) -> int:
                try:
                    await check.authenticate({"x-api-key": key})
                except ApiError as refusal:
                    return refusal.status
                return 200

            old, record = new_api_key(TENANT, ["Cashier"], created_at=NOW)
            assert await status(old) == 401
            await store.put(record)
            assert await status(old) == 200
            new, fresh = await rotate_api_key(store, record.prefix, overlap=30.0, clock=clock)
            assert [await status(key) for key in (old, new)] == [200, 200]
            clock.advance(30.0)
            assert [await status(key) for key in (old, new)] == [401, 200]
            await store.revoke(fresh.prefix, NOW + 30)
            assert [await status(key) for key in (old, new)] == [401, 401]

        self._run(tmp_path, case)


async def _refused(change: Awaitable[object], says: str) -> None:
    (answer,) = await asyncio.gather(change, return_exceptions=True)
    assert isinstance(answer, ApiKeyChangeError), answer
    assert says in str(answer)
