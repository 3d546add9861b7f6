"""What every store that proves its events keeps to, as a suite that a third party's store can run."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit.audit.integrity import CompactRange, consistency_proof, inclusion_proof
from tenaudit.audit.integrity.audit_log import event_leaf
from tenaudit.audit.integrity.exported_leaf import exported_leaf
from tenaudit.audit.proofs import NotSealed, ProofError, Proves, UnknownEvent, UnknownSize
from tenaudit.testing.conformance.events import OTHER_TENANT, TENANT, an_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tenaudit.audit import AuditEvent, Store
    from tenaudit.audit.proofs import ConsistencyProof, InclusionProof

__all__ = ["ProofConformance"]

# Beyond two subtrees that are kept, so that proofs are made of them and of the leaves around them.
_SIZES = (1, 255, 256, 600)
_NOBODY = UUID(int=0x7B0E4C9E6F0A4D5C8F0E0A1B2C3D4E99)


class ProofConformance(ABC):
    """Proves the proofs of a store; subclass it as `class TestMyStoreProofs(ProofConformance)`.

    Example:
        >>> from tenaudit.backends.sqlite import SqliteStore
        >>> class TestSqliteProofs(ProofConformance):
        ...     async def open_store(self, folder): return await SqliteStore.open(folder / "audit.db")
    """

    @abstractmethod
    async def open_store(self, folder: Path) -> Store:
        """Return a new, empty store; *folder* is the test's own."""

    def _run(self, folder: Path, case: Callable[[Store, Proves], Awaitable[None]]) -> None:
        async def main() -> None:
            store = await self.open_store(folder)
            try:
                assert isinstance(store, Proves)
                await case(store, store)
            finally:
                await store.close()

        asyncio.run(asyncio.wait_for(main(), 60))

    def test_every_event_is_proven_at_every_checkpoint(self, tmp_path: Path) -> None:
        """Index, leaf and path are those of the tree over the events, which anybody can grow."""
        events = [_plain(number) for number in range(_SIZES[-1])]
        leaves = [event_leaf(event.record()) for event in events]

        async def case(store: Store, proves: Proves) -> None:
            await _sealed(store, events)
            for size in _SIZES:
                checkpoint = await proves.checkpoint(TENANT, size)
                assert (checkpoint.size, checkpoint.root) == (size, CompactRange().extend(leaves[:size]).root())
                found = await proves.prove_events(TENANT, [event.event_id for event in events], size)
                assert found.checkpoint == checkpoint
                assert found.uncovered == {event.event_id for event in events[size:]}
                for index, event in enumerate(events[:size]):
                    proof = found.proofs[event.event_id]
                    assert (proof.index, proof.leaf, proof.checkpoint) == (index, leaves[index], checkpoint)
                    assert proof.path == inclusion_proof(leaves, index, size)
                    assert proof.holds()
            one = await proves.prove_event(TENANT, events[300].event_id)
            assert one == found.proofs[events[300].event_id]
            assert one.checkpoint == await proves.checkpoint(TENANT)

        self._run(tmp_path, case)

    def test_every_checkpoint_extends_the_ones_before(self, tmp_path: Path) -> None:
        """A consistency proof leads from each checkpoint to each later one."""
        events = [_plain(number) for number in range(_SIZES[-1])]
        leaves = [event_leaf(event.record()) for event in events]

        async def case(store: Store, proves: Proves) -> None:
            await _sealed(store, events)
            for second in _SIZES:
                for first in (size for size in _SIZES if size <= second):
                    proof = await proves.prove_growth(TENANT, first, second)
                    assert (proof.first.size, proof.second.size) == (first, second)
                    assert proof.path == consistency_proof(leaves, first, second)
                    assert proof.holds()
            assert await proves.prove_growth(TENANT, 1) == await proves.prove_growth(TENANT, 1, _SIZES[-1])

        self._run(tmp_path, case)

    def test_the_leaf_of_every_proof_is_that_of_its_event(self, tmp_path: Path) -> None:
        """With what opens the hashes that it commits to, where it commits to any."""

        async def case(store: Store, proves: Proves) -> None:
            payload = {"client_ip": "192.0.2.7", "amount": 5}
            events = [an_event(0), _plain(1), an_event(2, payload=payload), _plain(3, payload=payload)]
            await store.append(events)
            await store.seal()
            found = await proves.prove_events(TENANT, [event.event_id for event in events])
            for event in events:
                proof = found.proofs[event.event_id]
                assert exported_leaf(event.record(), proof.to_json()["openings"]) == proof.leaf

        self._run(tmp_path, case)

    def test_nothing_with_a_flipped_bit_holds(self, tmp_path: Path) -> None:
        """Leaf, path, root, index and size are each bound by the proof."""

        async def case(store: Store, proves: Proves) -> None:
            await _sealed(store, [an_event(number) for number in range(_SIZES[-1])])
            proof = await proves.prove_event(TENANT, an_event(400).event_id)
            assert proof.holds()
            assert not any(forged.holds() for forged in _forged(proof))
            growth = await proves.prove_growth(TENANT, 255, 600)
            assert growth.holds()
            assert not any(forged.holds() for forged in _forged_growth(growth))

        self._run(tmp_path, case)

    def test_what_has_no_proof_is_told_by_name(self, tmp_path: Path) -> None:
        """Each refusal is of its own class and names the argument."""

        async def case(store: Store, proves: Proves) -> None:
            known = an_event(0).event_id
            await _refused(proves.checkpoint(TENANT), NotSealed, "size")
            await store.append([an_event(0)])
            await _refused(proves.prove_event(TENANT, known), NotSealed, "size")
            await _refused(proves.prove_growth(TENANT, 1), NotSealed, "second")
            await store.seal()
            await store.append([an_event(1), an_event(2)])
            await _refused(proves.prove_event(TENANT, an_event(1).event_id), NotSealed, "event_id")
            await store.seal()
            await _refused(proves.prove_event(TENANT, an_event(9).event_id), UnknownEvent, "event_id")
            await _refused(proves.prove_event(TENANT, known, 4), NotSealed, "size")
            for size in (2, 0, -1):
                await _refused(proves.prove_event(TENANT, known, size), UnknownSize, "size")
            await _refused(proves.prove_growth(TENANT, 2, 3), UnknownSize, "first")
            await _refused(proves.prove_growth(TENANT, 3, 1), UnknownSize, "first")
            await _refused(proves.prove_growth(TENANT, 1, 2), UnknownSize, "second")
            await _refused(proves.prove_growth(TENANT, 1, 4), NotSealed, "second")
            assert (await proves.prove_events(TENANT, [an_event(9).event_id])).proofs == {}
            assert (await proves.prove_events(TENANT, [])).checkpoint.size == 3

        self._run(tmp_path, case)

    def test_keeps_tenants_apart(self, tmp_path: Path) -> None:
        """The same id in two tenants has two proofs, and nobody gets another's."""

        async def case(store: Store, proves: Proves) -> None:
            theirs = [_plain(number, tenant_id=OTHER_TENANT, payload={"theirs": number}) for number in range(300)]
            await store.append([*theirs, _plain(7)])
            await store.seal()
            mine = await proves.prove_event(TENANT, an_event(7).event_id)
            assert (mine.index, mine.checkpoint.size, mine.path) == (0, 1, ())
            assert mine.leaf == event_leaf(_plain(7).record())
            other = await proves.prove_event(OTHER_TENANT, an_event(7).event_id)
            assert (other.index, other.leaf) == (7, event_leaf(theirs[7].record()))
            assert (mine.checkpoint.origin, other.checkpoint.origin) == tuple(
                f"tenaudit/tenant/{tenant}" for tenant in (TENANT, OTHER_TENANT)
            )
            await _refused(proves.prove_event(TENANT, theirs[8].event_id), UnknownEvent, "event_id")
            await _refused(proves.prove_event(_NOBODY, theirs[8].event_id), NotSealed, "size")
            assert (await store.verify()).verified

        self._run(tmp_path, case)


def _plain(number: int, **fields: object) -> AuditEvent:
    """Return an event of nobody: a store may commit to a person's values by hashes that nobody can make again."""
    return an_event(number, **{"actor_id": None} | fields)


async def _sealed(store: Store, events: list[AuditEvent]) -> None:
    """Append events and seal the log at each of the sizes."""
    start = 0
    for size in _SIZES:
        await store.append(events[start:size])
        await store.seal()
        start = size


async def _refused(answer: Awaitable[object], kind: type[ProofError], field: str) -> None:
    error: ProofError | None = None
    try:
        await answer
    except kind as caught:
        error = caught
    assert error is not None, f"there is a proof where {kind.__name__} should have been raised"
    assert error.field == field
    assert str(error).startswith(f"{field}: ")


def _flips(value: bytes) -> Iterator[bytes]:
    for bit in (0, 7, 128, 255):
        changed = bytearray(value)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def _paths(path: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    for place, one in enumerate(path):
        yield from ((*path[:place], flipped, *path[place + 1 :]) for flipped in _flips(one))
        yield (*path[:place], *path[place + 1 :])
    yield (*path, bytes(32))


def _forged(proof: InclusionProof) -> Iterator[InclusionProof]:
    yield from (replace(proof, leaf=leaf) for leaf in _flips(proof.leaf))
    yield from (replace(proof, path=path) for path in _paths(proof.path))
    yield from (replace(proof, checkpoint=replace(proof.checkpoint, root=r)) for r in _flips(proof.checkpoint.root))
    yield from (replace(proof, index=index) for index in (-1, proof.index - 1, proof.index + 1, proof.checkpoint.size))


def _forged_growth(proof: ConsistencyProof) -> Iterator[ConsistencyProof]:
    yield from (replace(proof, path=path) for path in _paths(proof.path))
    yield from (replace(proof, first=replace(proof.first, root=root)) for root in _flips(proof.first.root))
    yield from (replace(proof, second=replace(proof.second, root=root)) for root in _flips(proof.second.root))
    yield replace(proof, first=proof.second, second=proof.first)
