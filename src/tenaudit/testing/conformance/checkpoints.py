"""What every store keeps to when it is sealed, and when its checkpoints are held against it later."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit.audit.ports import VerifyPart
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tenaudit.audit import Store

__all__ = ["CheckpointCases"]

_UNKNOWN = UUID(int=0x7B0E4C9E6F0A4D5C8F0E0A1B2C3D4E99)


class CheckpointCases(ABC):
    """The part of `StoreConformance` that is about checkpoints."""

    @abstractmethod
    async def open_store(self, folder: Path) -> Store:
        """Return a new, empty store; *folder* is the test's own."""

    def _run(self, folder: Path, case: Callable[[Store], Awaitable[None]]) -> None:
        async def main() -> None:
            store = await self.open_store(folder)
            try:
                await case(store)
            finally:
                await store.close()
                await store.close()

        asyncio.run(asyncio.wait_for(main(), 60))

    def test_seals_once(self, tmp_path: Path) -> None:
        """A checkpoint is written for what has grown, and verification holds before and after."""

        async def case(store: Store) -> None:
            assert await store.seal() == ()
            await store.append([an_event(0), an_event(1), an_event(0, tenant_id=OTHER_TENANT)])
            assert sorted(checkpoint.size for checkpoint in await store.seal()) == [1, 2]
            assert await store.seal() == ()
            await store.append([an_event(2)])
            assert [checkpoint.size for checkpoint in await store.seal(TENANT)] == [3]
            report = await store.verify()
            assert (report.verified, report.events, report.tenants) == (True, 4, 2)
            assert (await store.verify(TENANT)).events == 3

        self._run(tmp_path, case)

    def test_parts_of_a_verification_are_all_of_it(self, tmp_path: Path) -> None:
        """Each tenant is in one of them, and so is one that only a signed checkpoint tells of."""

        async def case(store: Store) -> None:
            tenants = [UUID(int=TENANT.int + number) for number in range(9)]
            for tenant in tenants:
                await store.append([an_event(0, tenant_id=tenant), an_event(1, tenant_id=tenant)])
            (tip, *_) = await store.seal()
            signed = {_UNKNOWN: [replace(tip, origin=f"tenaudit/tenant/{_UNKNOWN}")]}
            reports = [await store.verify(signed=signed, part=VerifyPart(number, 3)) for number in (1, 2, 3)]
            whole = await store.verify(signed=signed)
            assert sum(report.events for report in reports) == whole.events == 18
            assert sum(report.tenants for report in reports) == whole.tenants == 10
            assert [one for report in reports for one in report.problems] == [*whole.problems] != []
            assert await store.verify(signed=signed, part=VerifyPart(1, 1)) == whole

        self._run(tmp_path, case)

    def test_its_tips_are_the_newest_checkpoints(self, tmp_path: Path) -> None:
        """A tip is what `seal` wrote last for a tenant, whatever came since; a tenant without one has none."""

        async def case(store: Store) -> None:
            assert await store.tips() == ()
            await store.append([an_event(0), an_event(1), an_event(0, tenant_id=OTHER_TENANT)])
            assert await store.tips() == ()
            first = await store.seal()
            assert sorted(await store.tips(), key=lambda tip: tip.origin) == sorted(first, key=lambda tip: tip.origin)
            await store.append([an_event(2)])
            (second,) = await store.seal(TENANT)
            await store.append([an_event(3)])
            tips = {tip.origin: tip for tip in await store.tips()}
            assert tips == {tip.origin: tip for tip in (*first, second)}
            assert len(tips) == 2

        self._run(tmp_path, case)

    def test_checkpoints_that_were_kept_elsewhere_are_held_against_it(self, tmp_path: Path) -> None:
        """A log that is not what was signed is named: another root, cut off, or gone; what was true holds for ever."""

        async def case(store: Store) -> None:
            await store.append([an_event(0), an_event(1), an_event(0, tenant_id=OTHER_TENANT)])
            old = {UUID(tip.origin[-36:]): [tip] for tip in await store.seal()}
            await store.append([an_event(2)])
            assert (await store.verify(signed=old)).verified
            assert (await store.verify(TENANT, signed=old)).verified
            (tip,) = old[TENANT]
            untrue = {
                "checkpoint": {TENANT: [tip, replace(tip, root=bytes(32))]},
                "truncated": {TENANT: [tip, replace(tip, size=9)]},
            }
            for kind, signed in untrue.items():
                for report in (await store.verify(signed=signed), await store.verify(TENANT, signed=signed)):
                    assert [(one.tenant_id, one.kind) for one in report.problems] == [(TENANT, kind)]
            gone = replace(tip, origin=f"tenaudit/tenant/{_UNKNOWN}")
            report = await store.verify(signed={**old, _UNKNOWN: [gone]})
            assert [(one.tenant_id, one.kind) for one in report.problems] == [(_UNKNOWN, "truncated")]
            assert (report.events, report.tenants) == (4, 3)

        self._run(tmp_path, case)
