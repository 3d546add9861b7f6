"""One list of cases against every adapter, over sockets, by real servers: uvicorn, gunicorn and aiohttp's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.http import (
    cases_errors,
    cases_identity,
    cases_methods,
    cases_negotiation,
    cases_policy,
    cases_tokens,
    cases_trace,
    cases_trust,
)
from tests.conformance.http.case import IDENTITY, Case, seen, wanted
from tests.conformance.http.conftest import ADAPTERS
from tests.conformance.http.raw_http import exchange, request_bytes

if TYPE_CHECKING:
    from tests.conformance.http.conftest import Shops

CASES: list[Case] = [
    case
    for module in (
        cases_identity,
        cases_trace,
        cases_errors,
        cases_methods,
        cases_negotiation,
        cases_policy,
        cases_tokens,
        cases_trust,
    )
    for case in module.CASES
]


def test_the_list_is_long_and_each_case_has_a_name() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 150


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answer(case: Case, adapter: str, shops: Shops) -> None:
    answer = exchange(shops.port(adapter, case.variant), case.request())
    trace = answer.header("x-trace-id")
    assert trace is not None
    assert len(trace) == 32
    assert int(trace, 16)
    assert seen(answer) == wanted(case, case.expect(adapter))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_limit_is_announced_and_refuses_before_the_capability(adapter: str, shops: Shops) -> None:
    port = shops.port(adapter, "limited")
    request = request_bytes("GET", "/cap/gdpr_manage", IDENTITY)
    answers = [exchange(port, request) for _ in range(4)]
    assert [answer.status for answer in answers] == [403, 403, 403, 429]
    assert [answer.header("ratelimit") for answer in answers] == [
        '"3/minute";r=2;t=20',
        '"3/minute";r=1;t=20',
        '"3/minute";r=0;t=20',
        '"3/minute";r=0;t=20',
    ]
    assert {answer.header("ratelimit-policy") for answer in answers} == {'"3/minute";q=3;w=60'}
    assert answers[3].header("retry-after") == "20"
    assert (
        seen(answers[3])[2]
        == b'{"code":"rate_limited","message":"A rate limit is used up.","trace_id":"{trace}","retry_after":20}'
    )


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_no_limit_counts_strangers_and_paths_without_a_route(adapter: str, shops: Shops) -> None:
    port = shops.port(adapter, "limited")
    tenant = ("X-Tenant-ID", "22222222-2222-4222-8222-222222222222")
    for target, headers, status in [("/none", [tenant], 404), ("/whoami", [], 400)] * 4:
        assert exchange(port, request_bytes("GET", target, headers)).status == status
    assert exchange(port, request_bytes("GET", "/whoami", [tenant])).header("ratelimit") == '"3/minute";r=2;t=20'


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_adapters_agree_to_the_byte(case: Case, shops: Shops) -> None:
    answers = [seen(exchange(shops.port(adapter, case.variant), case.request())) for adapter in ADAPTERS]
    same = answers if case.wsgi is None else [answers[ADAPTERS.index(a)] for a in ADAPTERS if a != "flask"]
    assert all(answer == same[0] for answer in same)
