"""What a forked child must not share with its parent: locks that may be held, queues, ids, running tasks."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["restart_in_child"]


class _Restartable(Protocol):
    def after_fork(self) -> None:
        """Forget everything that belongs to the parent."""
        ...


_living: WeakSet[_Restartable] = WeakSet()


def restart_in_child(member: _Restartable) -> None:
    """Call `after_fork` of *member* in every child that is forked while it lives."""
    _living.add(member)


def _forked() -> None:
    for member in list(_living):
        member.after_fork()


# Not every system forks.
getattr(os, "register_at_fork", lambda **_hooks: None)(after_in_child=_forked)
