"""The log of all logs: every checkpoint of every tenant is a leaf of it, and one signed note speaks for them all.

A tenant whose log is dropped, cut or written anew no longer fits a checkpoint that a later note has signed. Whoever
keeps the rounds elsewhere, beyond the reach of the database's owner, can show that, and needs only the public key.

Rules of this file: pure; a round is taken whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from tenaudit._kernel.error import TenauditError
from tenaudit.audit.integrity.checkpoint import Checkpoint, CheckpointError, parse_body
from tenaudit.audit.integrity.merkle import CompactRange, leaf_hash
from tenaudit.audit.integrity.note import NoteError, NoteSigner, NoteVerifier, SignedNote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ALL_LOGS", "LogOfLogs", "RoundError", "SealedRound", "signed_round", "tenant_of"]

ALL_LOGS = "tenaudit/tenants"
"""Origin of the log of all logs in its checkpoints."""

_TENANT = "tenaudit/tenant/"
_MOST_ROOTS = 10_000


class RoundError(TenauditError, ValueError):
    """A round does not continue what was signed before it, or nobody who is trusted has signed it."""

    code = "invalid_round"


@dataclass(frozen=True, slots=True)
class SealedRound:
    """What one round of sealing added.

    Attributes:
        first: how many checkpoints the log of all logs had before.
        bodies: the text of each tenant's new checkpoint (`Checkpoint.body`), in the order of their leaves.
        note: the signed checkpoint of the log of all logs behind them (C2SP tlog-checkpoint).
    """

    first: int
    bodies: tuple[str, ...]
    note: str


def tenant_of(origin: str) -> UUID | None:
    """Return the tenant whose log has this origin; None for another log.

    Example:
        >>> tenant_of("tenaudit/tenant/7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f")
        UUID('7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f')
    """
    try:
        tenant = UUID(origin.removeprefix(_TENANT))
    except ValueError:
        return None
    return tenant if origin == f"{_TENANT}{tenant}" else None


def signed_round(before: CompactRange, bodies: Sequence[str], signer: NoteSigner) -> tuple[SealedRound, CompactRange]:
    """Return the round that adds *bodies* to the log of all logs, and the log behind it."""
    after = before.extend([leaf_hash(body.encode()) for body in bodies])
    text = Checkpoint(ALL_LOGS, after.size, after.root()).body()
    return SealedRound(before.size, tuple(bodies), SignedNote(text).signed_by(signer).format()), after


class LogOfLogs:
    """The checkpoints of all tenants, as far as signed rounds have shown them.

    Args:
        trusted: whose signatures count.

    Example:
        >>> from tenaudit.audit.integrity.note_keys import new_signer_key, signer_from, verifier_from, verifier_key
        >>> key = new_signer_key("audit.example/prod")
        >>> body = Checkpoint("tenaudit/tenant/7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f", 1, bytes(32)).body()
        >>> first, _ = signed_round(CompactRange(), [body], signer_from(key))
        >>> logs = LogOfLogs([verifier_from(verifier_key(key))])
        >>> [checkpoint.size for checkpoint in logs.take(first)], logs.size
        ([1], 1)

    Attributes:
        tips: the newest checkpoint of each tenant.
    """

    def __init__(self, trusted: Iterable[NoteVerifier]) -> None:
        self._trusted = tuple(trusted)
        self._tree = CompactRange()
        self._roots = {0: self._tree.root()}
        self.tips: dict[UUID, Checkpoint] = {}

    @property
    def size(self) -> int:
        """How many checkpoints it has."""
        return self._tree.size

    def continues(self, other: LogOfLogs) -> bool:
        """Tell whether it has all that *other* has, as far back as the last ten thousand rounds."""
        return self._roots.get(other.size) == other._tree.root()

    def next_round(self, checkpoints: Iterable[Checkpoint], signer: NoteSigner) -> SealedRound:
        """Return the round that adds *checkpoints* behind all that is known; it is not taken yet."""
        return signed_round(self._tree, [checkpoint.body() for checkpoint in checkpoints], signer)[0]

    def take(self, sealed: SealedRound) -> tuple[Checkpoint, ...]:
        """Add a round and return its checkpoints.

        Raises:
            RoundError: it does not begin where the one before ended, its note is not signed by a trusted key or speaks
                of another log, or a tenant's log would shrink; nothing of it is taken.
        """
        if sealed.first != self._tree.size:
            raise RoundError(f"the round begins behind {sealed.first} checkpoints, and {self._tree.size} are known")
        try:
            note = SignedNote.parse(sealed.note)
            note.verified_by(self._trusted)
            said = parse_body(note.text)
            added = tuple(parse_body(body) for body in sealed.bodies)
        except (NoteError, CheckpointError) as error:
            raise RoundError(f"the round behind {sealed.first} checkpoints: {error}") from None
        tree = self._tree.extend([leaf_hash(body.encode()) for body in sealed.bodies])
        if (said.origin, said.size, said.root) != (ALL_LOGS, tree.size, tree.root()):
            raise RoundError(f"the note behind {tree.size} checkpoints speaks of other ones")
        self.tips |= self._grown(added)
        self._tree = tree
        self._roots[tree.size] = tree.root()
        if len(self._roots) > _MOST_ROOTS:
            del self._roots[next(iter(self._roots))]
        return added

    def _grown(self, added: Iterable[Checkpoint]) -> dict[UUID, Checkpoint]:
        tips: dict[UUID, Checkpoint] = {}
        for checkpoint in added:
            tenant = tenant_of(checkpoint.origin)
            if tenant is None:
                raise RoundError(f"{checkpoint.origin!r} is no tenant's log")
            before = tips.get(tenant) or self.tips.get(tenant)
            if before is not None and checkpoint.size <= before.size:
                raise RoundError(f"the log of tenant {tenant} had {before.size} entries, and {checkpoint.size} later")
            tips[tenant] = checkpoint
        return tips
