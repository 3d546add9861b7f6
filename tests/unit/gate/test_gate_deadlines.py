"""Nothing that a gate waits for is waited for without end, and what fails below it has the gate's shape."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tenaudit import ApiError, ConfigurationError, Gate
from tenaudit.gate import Identity, RequestView, RouteRule, declared, public, request_target
from tenaudit.ratelimit import InMemoryEngine, parse_rule
from tenaudit.security import ContextVerifier, SecuritySettings, SignatureKey, TraceContext

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"
TRACE = "0af7651916cd43dd8448eb211c80319c"
VIEW = RequestView(
    [("X-Tenant-ID", TENANT), ("X-Roles", "Cashier"), ("traceparent", f"00-{TRACE}-b7ad6b7169203331-00")]
)
PAY, ERASE = RouteRule("payment_process"), RouteRule("gdpr_manage")


class Far:
    """A limiter and an authenticator far away: *wrong* is what happens to each call that is named."""

    def __init__(self, **wrong: Any) -> None:
        self._wrong = wrong
        self._inner = InMemoryEngine()

    async def _reach(self, call: str) -> None:
        wrong = self._wrong.get(call)
        if wrong == "hangs":
            await asyncio.Event().wait()
        if wrong is not None:
            raise wrong

    async def authenticate(self, _headers: Any) -> None:
        await self._reach("authenticate")

    async def hit(self, key: str, *rules: Any, cost: int = 1) -> Any:
        await self._reach("hit")
        return await self._inner.hit(key, *rules, cost=cost)

    async def refund(self, key: str, *rules: Any, cost: int = 1, at: int | None = None) -> None:
        await self._reach("refund")
        await self._inner.refund(key, *rules, cost=cost, at=at)


def gate_of(far: Far, **options: Any) -> Gate:
    return Gate("shop", registry=CollectorRegistry(), **{"limiter": far, "deadline": 0.01, **options})


WRONG = ["hangs", ConnectionError("redis://:secret@host"), TimeoutError()]


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_a_deadline_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="deadline"):
        Gate("shop", registry=CollectorRegistry(), deadline=seconds)


@pytest.mark.parametrize("wrong", WRONG)
def test_an_authenticator_that_hangs_or_fails_leaves_nobody_and_a_503(wrong: Any) -> None:
    gate = gate_of(Far(), authenticators=[Far(authenticate=wrong)])
    identity = asyncio.run(asyncio.wait_for(gate.identify(VIEW), 10))
    assert identity.context is None
    assert identity.refusal is not None
    assert (identity.refusal.status, identity.refusal.retry_after) == (503, 1)
    assert [name for name, _ in identity.headers] == ["traceparent"]
    assert identity.trace.trace_id == TRACE


@pytest.mark.parametrize("wrong", WRONG)
def test_a_limiter_that_hangs_or_fails_is_a_503(wrong: Any, caplog: pytest.LogCaptureFixture) -> None:
    gate = gate_of(Far(hit=wrong), limits=["1/minute"])
    with pytest.raises(ApiError) as refusal:
        asyncio.run(asyncio.wait_for(gate.admit(gate.recognize(VIEW), PAY), 10))
    assert (refusal.value.status, refusal.value.code) == (503, "unavailable")
    assert "secret" not in refusal.value.message
    assert TRACE in [getattr(record, "trace_id", "") for record in caplog.records]


def test_what_a_limiter_refuses_by_itself_stays() -> None:
    gate = gate_of(Far(hit=ApiError(429, "quota_used_up", "No more today.")), limits=["1/minute"])
    with pytest.raises(ApiError, match="No more today"):
        asyncio.run(gate.admit(gate.recognize(VIEW), PAY))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_limiter_that_takes_no_slot_back_is_logged_and_changes_no_answer(
    wrong: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # Long enough for what is to be answered, on a machine that does much else.
    gate = gate_of(Far(refund=wrong), limits=["9 concurrent"], deadline=0.5)
    identity = gate.recognize(VIEW)

    async def main() -> None:
        await gate.release(await gate.admit(identity, PAY))
        with pytest.raises(ApiError) as denial:
            await gate.admit(identity, ERASE)
        assert denial.value.code == "missing_role"

    asyncio.run(asyncio.wait_for(main(), 10))
    told = [record for record in caplog.records if getattr(record, "action", "") == "slots_not_released"]
    assert [getattr(record, "trace_id", "") for record in told] == [TRACE, TRACE]


def test_nobody_strips_what_the_client_said_of_itself() -> None:
    gate = gate_of(Far(), authenticators=[Far()])
    identity: Identity = gate.nobody([*VIEW.headers, ("Accept", "*/*")], RuntimeError("down"))
    assert [name for name, _ in identity.headers] == ["traceparent", "Accept"]


@pytest.mark.parametrize("value", ["a\r\nb", "\u20ac", "a\x7fb", "\x00"])
def test_an_answer_leaves_out_headers_that_cannot_be_sent(value: str) -> None:
    error = ApiError.forbidden("No.")
    error.headers = (("X-More", value), ("X\nMore", "1"), ("X-Fine", "a\tb"))
    headers = dict(gate_of(Far()).reply(error, TraceContext(TRACE, None, False)).headers)
    assert headers["x-fine"] == "a\tb"
    assert not {"x-more", "x\nmore"} & headers.keys()


@pytest.mark.parametrize(
    ("host", "sent", "authority", "target"),
    [
        ("shop.test", "/a?b=%20", "shop.test", "/a?b=%20"),
        ("shop.test", "*", "shop.test", "*"),
        ("shop.test", "//bank.test/a", "shop.test", "//bank.test/a"),
        ("shop.test", "/http://bank.test/a", "shop.test", "/http://bank.test/a"),
        ("Shop.Test:81", "http://shop.test:81/a?b", "Shop.Test:81", "/a?b"),
        ("[::1]:81", "http://[::1]:81", "[::1]:81", ""),
        ("shop.test", "http://bank.test/a", "shop.test,bank.test", "/a"),
        ("shop.test", "http://shop.test:81/a", "shop.test,shop.test:81", "/a"),
        ("shop.test", "http://me@shop.test/a", "shop.test,me@shop.test", "/a"),
        ("", "http://shop.test?a", ",shop.test", "?a"),
    ],
)
def test_a_signature_is_for_one_authority(host: str, sent: str, authority: str, target: str) -> None:
    assert request_target("GET", host, sent) == ("GET", authority, target)


def test_an_edge_takes_no_signatures() -> None:
    security = SecuritySettings(trust="signed", verifier=ContextVerifier([SignatureKey.hmac_sha256("k1", b"s" * 32)]))
    with pytest.raises(ConfigurationError, match="an edge gate checks credentials"):
        gate_of(Far(), authenticators=[Far()], security=security)


def test_what_the_settings_call_themselves_is_called() -> None:
    told: list[Any] = []
    security = SecuritySettings(on_unknown_roles=told.append, on_untrusted=told.append)
    gate_of(Far(), security=security).recognize(RequestView([("X-Tenant-ID", TENANT), ("X-Roles", "Pirate")]))
    assert len(told) == 1


def test_wrappers_are_looked_through_but_not_without_end() -> None:
    def handler() -> None: ...

    layers: list[Any] = [public()(handler)]
    for _ in range(16):
        layers.append(SimpleNamespace(__wrapped__=layers[-1]))
    assert declared(layers[15]) == RouteRule(is_public=True)
    assert declared(layers[16]) is None


class Stepwise(Far):
    """A limiter that says when it is asked, and answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def hit(self, key: str, *rules: Any, cost: int = 1) -> Any:
        decision = await super().hit(key, *rules, cost=cost)
        await self._step()
        return decision

    async def refund(self, key: str, *rules: Any, cost: int = 1, at: int | None = None) -> None:
        await self._step()
        await super().refund(key, *rules, cost=cost, at=at)

    async def _step(self) -> None:
        self.asked.set()
        await self.may_answer.wait()


async def _drained() -> None:
    while rest := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait_for(asyncio.gather(*rest, return_exceptions=True), 10)


@pytest.mark.parametrize("late", [False, True])
def test_who_leaves_while_the_limiter_answers_leaves_no_slot_behind(late: bool) -> None:
    async def main() -> None:
        far = Stepwise()
        gate = gate_of(far, limits=["1 concurrent"], deadline=0.2 if late else 10)
        identity = gate.recognize(VIEW)
        leaving = asyncio.create_task(gate.admit(identity, PAY))
        await far.asked.wait()
        if late:
            with pytest.raises(ApiError, match="cannot be checked"):
                await leaving
        else:
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
        far.may_answer.set()
        await _drained()
        assert (await gate.admit(identity, PAY)).rate is not None

    asyncio.run(main())


def test_a_release_that_is_cancelled_goes_on() -> None:
    async def main() -> None:
        far = Stepwise()
        far.may_answer.set()
        gate = gate_of(far, limits=["1 concurrent"], deadline=10)
        identity = gate.recognize(VIEW)
        admission = await gate.admit(identity, PAY)
        far.asked.clear()
        far.may_answer.clear()
        leaving = asyncio.create_task(gate.release(admission))
        await far.asked.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        far.may_answer.set()
        await _drained()
        assert (await gate.admit(identity, PAY)).rate is not None

    asyncio.run(main())


def test_who_leaves_before_a_limiter_refuses_has_nothing_to_give_back(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        far = Stepwise()
        far.may_answer.set()
        gate = gate_of(far, limits=["1 concurrent"], deadline=10)
        identity = gate.recognize(VIEW)
        await gate.admit(identity, PAY)
        far.asked.clear()
        far.may_answer.clear()
        leaving = asyncio.create_task(gate.admit(identity, PAY))
        await far.asked.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        far.may_answer.set()
        await _drained()
        with pytest.raises(ApiError, match="used up"):
            await gate.admit(identity, PAY)

    asyncio.run(main())
    assert not [record for record in caplog.records if getattr(record, "action", "") == "slots_not_released"]


def test_who_leaves_where_a_shadow_took_nothing_gives_nothing_back() -> None:
    async def main() -> None:
        far = Stepwise()
        far.may_answer.set()
        gate = gate_of(far, limits=[replace(parse_rule("1 concurrent"), shadow=True)], deadline=10)
        identity = gate.recognize(VIEW)
        first = await gate.admit(identity, PAY)
        far.asked.clear()
        far.may_answer.clear()
        leaving = asyncio.create_task(gate.admit(identity, PAY))
        await far.asked.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        far.may_answer.set()
        await _drained()
        second = await gate.admit(identity, PAY)
        assert [gate.holds_slots(admission) for admission in (first, second)] == [True, False]

    asyncio.run(main())
