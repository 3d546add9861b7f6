"""The portal: one loop on one thread, for callers that have none."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from contextvars import ContextVar

import pytest

from tenaudit._kernel.portal import Portal, finish

NAME: ContextVar[str] = ContextVar("name", default="nobody")


def test_callers_of_several_threads_share_one_loop_and_keep_their_context() -> None:
    portal = Portal()
    seen: list[tuple[str, int]] = []

    async def who() -> None:
        await asyncio.sleep(0)
        seen.append((NAME.get(), threading.get_ident()))

    def call(name: str) -> None:
        NAME.set(name)
        portal.run(who())

    threads = [threading.Thread(target=call, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name for name, _ in seen) == ["a", "b", "c"]
    assert len({ident for _, ident in seen}) == 1
    portal.close()


def test_errors_come_back_and_a_late_answer_is_cancelled() -> None:
    portal = Portal()
    cancelled = threading.Event()

    async def fail() -> None:
        raise ValueError("wrong")

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(ValueError, match="wrong"):
        portal.run(fail())
    with pytest.raises(TimeoutError):
        portal.run(hang(), timeout=0.01)
    assert cancelled.wait(10)
    portal.close()


def test_closing_cancels_what_is_left_and_the_next_call_starts_anew() -> None:
    portal = Portal()
    cancelled = threading.Event()

    async def leave_behind() -> asyncio.Task[None]:
        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        task = asyncio.create_task(hang())
        await asyncio.sleep(0)
        return task

    task = portal.run(leave_behind())
    portal.close()
    portal.close()
    assert task.cancelled()
    assert cancelled.is_set()

    async def three() -> int:
        return 3

    assert portal.run(three()) == 3
    portal.close()


def test_a_forked_child_has_a_loop_of_its_own() -> None:
    portal = Portal()

    async def pid() -> int:
        return os.getpid()

    assert portal.run(pid()) == os.getpid()
    child = os.fork()
    if child == 0:
        portal.close()  # the parent's loop has no thread here
        os._exit(0 if portal.run(pid(), timeout=10) == os.getpid() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    portal.close()


def test_finish_runs_what_waits_for_nothing() -> None:
    async def three() -> int:
        return 3

    assert finish(three()) == 3
    with pytest.raises(RuntimeError, match="waits"):
        finish(asyncio.sleep(0))


def test_what_runs_on_the_portal_is_told_not_to_wait_for_it() -> None:
    portal = Portal()

    async def nested() -> None:
        portal.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="await instead"):
        portal.run(nested(), timeout=10)
    portal.close()


def test_a_portal_may_be_closed_by_what_runs_on_it() -> None:
    portal = Portal()

    async def close() -> None:
        portal.close()

    portal.run(close(), timeout=10)
    assert portal.run(asyncio.sleep(0, "anew"), timeout=10) == "anew"
    portal.close()


def test_callers_that_race_with_a_close_get_an_answer_or_are_cancelled() -> None:
    portal = Portal()
    seen: list[str] = []

    def call() -> None:
        for _ in range(200):
            try:
                seen.append(portal.run(asyncio.sleep(0, "answer"), timeout=10))
            except CancelledError:
                seen.append("cancelled")

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        portal.close()
    assert len(seen) == 800
    portal.close()
