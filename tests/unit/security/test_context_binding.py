"""The bound context: nesting, tasks, threads, and nothing that leaks."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

import tenaudit.security
from tenaudit.errors import TenauditError
from tenaudit.security import (
    Actor,
    NoContextError,
    SecurityContext,
    TraceContext,
    bind_context,
    context_or_none,
    current_context,
)


def context(name):
    return SecurityContext(UUID(int=1), Actor(name), frozenset(), TraceContext("0" * 31 + "1", None, False))


def bound():
    found = context_or_none()
    return None if found is None else found.actor.id


def test_without_a_context_there_is_an_error_and_no_default():
    with pytest.raises(NoContextError, match="middleware"):
        current_context()
    assert context_or_none() is None
    assert issubclass(NoContextError, TenauditError)
    assert issubclass(NoContextError, LookupError)


def test_binding_nests_and_unwinds():
    with bind_context(context("outer")) as outer:
        assert outer is current_context()
        with bind_context(context("inner")):
            assert bound() == "inner"
        assert bound() == "outer"
    assert bound() is None


def test_an_exception_unwinds_too():
    def fail():
        with bind_context(context("a")):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert bound() is None


def test_one_binding_may_be_used_again_but_not_inside_itself():
    binding = bind_context(context("a"))
    for _ in range(2):
        with binding:
            assert bound() == "a"
    with binding, pytest.raises(RuntimeError, match="already open"):
        binding.__enter__()
    assert bound() is None


def test_a_context_cannot_be_changed():
    ctx = context("a")
    for value, field in ((ctx, "tenant_id"), (ctx.actor, "id"), (ctx.trace, "trace_id")):
        with pytest.raises(AttributeError):
            setattr(value, field, "other")
    assert hash(ctx) == hash(context("a"))


def test_tasks_see_their_own_context():
    async def request(name, mine, other):
        with bind_context(context(name)):
            mine.set()
            await asyncio.wait_for(other.wait(), 5)
            return bound()

    async def main():
        first, second = asyncio.Event(), asyncio.Event()
        seen = await asyncio.gather(request("a", first, second), request("b", second, first))
        return seen, bound()

    assert asyncio.run(main()) == (["a", "b"], None)


def test_a_task_started_inside_keeps_the_context_after_the_block():
    async def main():
        go = asyncio.Event()

        async def later():
            await asyncio.wait_for(go.wait(), 5)
            return bound()

        with bind_context(context("a")):
            task = asyncio.create_task(later())
        go.set()
        return await task, bound()

    assert asyncio.run(main()) == ("a", None)


def test_to_thread_carries_the_context():
    async def main():
        with bind_context(context("a")):
            return await asyncio.to_thread(bound)

    assert asyncio.run(main()) == "a"


def test_a_plain_thread_starts_without_and_leaves_nothing():
    seen = []

    def work():
        seen.append(bound())
        with bind_context(context("thread")):
            seen.append(bound())
        seen.append(bound())

    with bind_context(context("main")):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(5)
        assert bound() == "main"
    assert seen == [None, "thread", None]


def test_a_pooled_thread_leaks_nothing_into_its_next_job():
    def job(name):
        before = bound()
        with bind_context(context(name)):
            return before, bound()

    with ThreadPoolExecutor(1) as pool:
        assert list(pool.map(job, "abc")) == [(None, "a"), (None, "b"), (None, "c")]


def test_leaving_what_was_never_entered_changes_nothing():
    with bind_context(context("outer")):
        bind_context(context("inner")).__exit__(None, None, None)
        assert bound() == "outer"


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tenaudit.security.nothing  # noqa: B018 - reading it is the test
