"""A matrix file that is read again when it changes; the last good matrix stays whatever goes wrong.

Readers take one reference, so they have the old matrix or the new one and never a mix.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tenaudit._kernel.clock import SystemClock
from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.snapshot import read_snapshot, signature_of
from tenaudit.errors.instruments import counter, gauge
from tenaudit.policy.engine import ChangingEngine, MatrixEngine
from tenaudit.policy.matrix import PolicyMatrix

if TYPE_CHECKING:
    from os import PathLike

    from prometheus_client import CollectorRegistry

    from tenaudit._kernel.clock import Clock
    from tenaudit._kernel.snapshot import Signature
    from tenaudit.policy.decision import Decision
    from tenaudit.security.context import SecurityContext

__all__ = ["PolicyFile", "ReloadResult"]

_log = logging.getLogger("tenaudit.policy")
_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What one attempt to read the policy file came to.

    Args:
        outcome: `loaded` a different matrix, found it `unchanged`, or `failed` and kept the old one.
        content_hash: the hash of the matrix in force now.
        error: what went wrong, with file and line; empty unless it failed.
        changed: the lines of the difference to the matrix before.
    """

    outcome: Literal["loaded", "unchanged", "failed"]
    content_hash: str
    error: str = ""
    changed: tuple[str, ...] = ()


class PolicyFile(ChangingEngine):
    r"""The engine of a matrix file, reloaded when the file changes.

    It has no thread: a check looks at the file's size, times and inode at most every *check_every* seconds. A change
    is read once it has been seen by two looks in a row, since a file that is written in place may be half there and
    still be TOML. `reload` reads at once. Replace the file by a rename, or by the symlink swap of a Kubernetes
    ConfigMap, and nobody sees a half.

    Every check is answered by a `MatrixEngine`, and counted and timed under its name.

    Args:
        path: the file, as `PolicyMatrix.from_toml` reads it.
        clock: time source of the looks and of the metric.
        registry: where `policy_last_reload_timestamp_seconds` and `policy_reload_failures_total` live.
        check_every: seconds between two looks.
        max_bytes: a larger file is refused.
        require_actor: as in `MatrixEngine`.

    Raises:
        ConfigurationError: the file cannot be loaded now, so there is no last good one; or *check_every* is negative.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from prometheus_client import CollectorRegistry
        >>> path = Path(tempfile.mkdtemp()) / "policy.toml"
        >>> _ = path.write_text('[roles]\nEditor = ["write"]\n')
        >>> policy = PolicyFile(path, registry=CollectorRegistry())
        >>> _ = path.write_text('[roles]\nEditor = ["write"\n')
        >>> policy.reload().outcome, policy.matrix.allows({"Editor"}, "write")
        ('failed', True)
    """

    name = "matrix_file"

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        clock: Clock | None = None,
        registry: CollectorRegistry | None = None,
        check_every: float = 5.0,
        max_bytes: int = _MAX_BYTES,
        require_actor: bool = False,
    ) -> None:
        if not check_every >= 0:  # which NaN is not: it would put the next look off for ever
            raise ConfigurationError(f"check_every must be 0 or more seconds, not {check_every}")
        self.path = os.fspath(path)
        self._clock = clock or SystemClock()
        self._check_every = check_every
        self._max_bytes = max_bytes
        self._require_actor = require_actor
        # Re-entrant, so that a signal handler that calls `reload` in the middle of one cannot lock itself out.
        self._lock = threading.RLock()
        self._reloaded_at = gauge(
            registry,
            "policy_last_reload_timestamp_seconds",
            "When the policy file was last read without an error; over several processes, the oldest.",
            across_processes="livemin",
        )
        self._failures = counter(
            registry, "policy_reload_failures_total", "Attempts to read the policy file that failed."
        )
        self._seen, matrix = self._read()
        self._waiting: Signature | None = None
        self._asked = False
        self._last_error = ""
        self._engine = MatrixEngine(matrix, require_actor=require_actor)
        self._loaded("unchanged", ())
        self._next_look = self._clock.monotonic() + check_every

    @property
    def matrix(self) -> PolicyMatrix:
        """The matrix in force; this looks at no file."""
        return self._engine.matrix

    @property
    def content_hash(self) -> str:
        """The hash of the matrix in force."""
        return self._engine.matrix.content_hash

    def decide(self, ctx: SecurityContext, capability: str, resource: Any = None) -> Decision:
        """Return what the matrix in force says, after a look at the file when one is due."""
        return self.pinned().decide(ctx, capability, resource)

    def denial_name(self, capability: str) -> str:
        """Return the name of *capability* in the matrix in force."""
        return self._engine.denial_name(capability)

    def pinned(self) -> MatrixEngine:
        """Return the engine of the matrix in force, after a look at the file when one is due."""
        if self._clock.monotonic() >= self._next_look:
            self.maybe_reload()
        return self._engine

    def handle_signal(self, _signum: int = 0, _frame: object = None) -> None:
        """Ask for a reload at the next check: `signal.signal(signal.SIGHUP, policy.handle_signal)`."""
        # Nothing else: a handler runs between any two instructions of the main thread, also inside a logger's lock.
        self._asked = True
        self._next_look = float("-inf")

    def maybe_reload(self) -> ReloadResult | None:
        """Look at the file when a look is due; return what a reload came to, None when there was none.

        A thread that finds another one at it goes on with the matrix in force.
        """
        if self._clock.monotonic() < self._next_look or not self._lock.acquire(blocking=False):
            return None
        try:
            self._next_look = self._clock.monotonic() + self._check_every
            asked, self._asked = self._asked, False
            return self._attempt(quiet=True) if asked or self._changed() else None
        finally:
            self._lock.release()

    def reload(self) -> ReloadResult:
        """Read the file now. Raises nothing that a file can cause: a failure is logged, counted and returned."""
        with self._lock:
            return self._attempt(quiet=False)

    def _changed(self) -> bool:
        """Tell whether the file differs from the one that was read, and has been still since the last look."""
        try:
            signature = signature_of(Path(self.path).stat())
        except OSError:
            return True
        before, self._waiting = self._waiting, signature
        return signature != self._seen and signature == before

    def _attempt(self, *, quiet: bool) -> ReloadResult:
        before = self._engine.matrix
        try:
            seen, matrix = self._read()
        except Exception as error:  # noqa: BLE001 - the last good matrix stays, whatever the file did
            return self._failed(error, quiet=quiet)
        self._seen, self._last_error = seen, ""
        if matrix == before:
            return self._loaded("unchanged", ())
        self._engine = MatrixEngine(matrix, require_actor=self._require_actor)
        return self._loaded("loaded", tuple(PolicyMatrix.diff(before, matrix).lines()))

    def _loaded(self, outcome: Literal["loaded", "unchanged"], changed: tuple[str, ...]) -> ReloadResult:
        self._reloaded_at.set(self._clock.time_ns() / 1e9)
        facts = {"path": self.path, "content_hash": self.content_hash, "changes": len(changed)}
        _log.info("policy file read", extra={"action": "policy_reloaded", "outcome": outcome, **facts})
        return ReloadResult(outcome, self.content_hash, "", changed)

    def _failed(self, error: Exception, *, quiet: bool) -> ReloadResult:
        self._failures.inc()
        told = str(error)
        if not quiet or told != self._last_error:  # a look every few seconds would say the same for ever
            facts = {"path": self.path, "content_hash": self.content_hash, "failure": told}
            _log.error("policy file refused", extra={"action": "policy_reload_failed", **facts})
        self._last_error = told
        return ReloadResult("failed", self.content_hash, told)

    def _read(self) -> tuple[Signature, PolicyMatrix]:
        signature, text = read_snapshot(self.path, self._max_bytes)
        return signature, PolicyMatrix.from_toml_text(text, source=self.path)
