"""Purges that die, and steps that do: what both stores are put through."""

from __future__ import annotations

from tenaudit._kernel.clock import SystemClock
from tenaudit.audit.retention.moments import wall_time
from tenaudit.audit.retention.purge import PurgeOptions, run_purge
from tenaudit.testing.conformance.retention_suite import aged

OLD = tuple(aged(n, 40 - n) for n in range(9))
YOUNG = tuple(aged(n, 1) for n in range(20, 24))
# Where a purge may be gone: what was called, and whether it was done by then.
DEATHS = [("old_events", False), ("old_events", True), ("remove", False), ("remove", True)]


class Died(BaseException):
    """As SIGKILL would: nothing between here and the test handles it."""


class DyingSteps:
    """The steps of a store, of which a call dies the n-th time.

    Args:
        steps: the store's.
        call: its name.
        done: whether it is done by then.
        number: which of them, from 0.
    """

    def __init__(self, steps, call, done, number=1):
        self._steps, self._call, self._done, self._left = steps, call, done, number

    def __getattr__(self, name):
        return getattr(self._steps, name)

    async def settings(self):
        return await self._steps.settings()

    async def old_events(self, *args, **kwargs):
        return await self._or_die("old_events", args, kwargs)

    async def remove(self, *args, **kwargs):
        return await self._or_die("remove", args, kwargs)

    async def drop(self, *args, **kwargs):
        return await self._or_die("drop", args, kwargs)

    async def _or_die(self, name, args, kwargs):
        self._left -= name == self._call
        dies = name == self._call and self._left < 0
        if dies and not self._done:
            raise Died
        result = await getattr(self._steps, name)(*args, **kwargs)
        if dies:
            raise Died
        return result


class ChangingSteps(DyingSteps):
    """The steps of a store, which a call of the store comes in between before the n-th removal.

    Args:
        steps: the store's.
        change: the call.
        number: before which removal, from 0.
    """

    def __init__(self, steps, change, number=1):
        super().__init__(steps, "remove", False, number)
        self._change = change

    async def _or_die(self, name, args, kwargs):
        self._left -= name == self._call
        if name == self._call and self._left == -1:
            await self._change()
        return await getattr(self._steps, name)(*args, **kwargs)


async def purge_while(store, change, **options):
    """Purge, and let a call come in between before the second removal; return the report."""
    clock = store._clock
    now = wall_time(clock)
    async with store._purge_steps("me", now, alone=True) as steps:
        return await run_purge(ChangingSteps(steps, change), PurgeOptions(**options), clock, now)


async def changed(store, what):
    """Hold the tenant, or give it or all another period."""
    tenant = OLD[0].tenant_id
    if what == "hold":
        await store.hold(tenant, reason="case", by="legal")
    else:
        await store.set_retention(365, tenant_id=tenant if what == "period" else None)


async def is_stopped_by(store, change, archive):
    """See that a purge stops where a call comes in between, and leaves what it did until then proved."""
    report = await purge_while(store, change, batch=3, archive=archive)
    (one,) = report.tenants
    assert (one.rows, report.complete) == (3, False)
    assert one.error == "its period or its hold was changed meanwhile; purge again"
    # The archive of what stays after all is taken back.
    assert len([*archive.rglob("*.ndjson.gz")]) == len(one.archives)
    assert len(await proved(store)) == len(OLD) + len(YOUNG) - 3


async def keeps_conflicts_of_the_held(store):
    """See that a hold that comes before the last step keeps second contents too."""
    now = wall_time(store._clock)
    await store.append([OLD[0]])
    await store.append([OLD[0].model_copy(update={"payload": {"other": 1}})])
    async with store._purge_steps("me", now, alone=True) as steps:
        await changed(store, "hold")
        assert await steps.remove_conflicts(OLD[0].tenant_id, now) == 0
        await store.release(OLD[0].tenant_id, reason="closed", by="legal")
        assert await steps.remove_conflicts(OLD[0].tenant_id, now) == 1


async def purge_and_die(store, call, done, number=1, **options):
    """Purge until that call, and die there."""
    clock = getattr(store, "_clock", SystemClock())
    now = wall_time(clock)
    async with store._purge_steps("me", now, alone=True) as steps:
        await run_purge(DyingSteps(steps, call, done, number), PurgeOptions(**options), clock, now)


async def proved(store):
    """Return what is stored of the two sets of events, and see that the log verifies."""
    await store.seal()
    report = await store.verify()
    assert report.verified, report.problems[:5]
    there = [await store.get(event.tenant_id, event.event_id) for event in (*OLD, *YOUNG)]
    return [event for event in there if event is not None]
