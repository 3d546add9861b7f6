"""Numbers that bound something, and those that everything of ours refuses by name."""

from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tenaudit._kernel.bounds import check_counts, check_seconds
from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import AuditProducer
from tenaudit.audit.consumer import ConsumerOptions
from tenaudit.audit.outbox import OutboxRelay
from tenaudit.backends.memory import MemorySink
from tenaudit.backends.sqlite.outbox_relay import SqliteOutboxSource

NO_SECONDS = [-1, -0.001, math.nan, math.inf, -math.inf, 10**400, "5", b"5", None, True, [], 1j]


@pytest.mark.parametrize("value", [*NO_SECONDS, 0, 0.0])
def test_seconds_are_a_finite_number_above_0(value):
    with pytest.raises(ConfigurationError, match=r"^pause must be a finite number of seconds above 0"):
        check_seconds(pause=value)


@pytest.mark.parametrize("value", NO_SECONDS)
def test_seconds_that_may_be_0_are_no_less(value):
    check_seconds(may_be_zero=True, pause=0)
    with pytest.raises(ConfigurationError, match=r"^pause must be a finite number of seconds, 0 or more"):
        check_seconds(may_be_zero=True, pause=value)


@pytest.mark.parametrize("value", [*NO_SECONDS, 0, 1.5, 2.0])
def test_a_count_is_a_whole_number_above_0(value):
    with pytest.raises(ConfigurationError, match=r"^size must be a whole number above 0"):
        check_counts(size=value)


def test_the_last_of_a_range_is_in_it_and_the_message_tells_it():
    check_seconds(most=10, pause=10)
    check_counts(most=10, size=10)
    with pytest.raises(ConfigurationError, match=r"^pause must be a finite number of seconds above 0 and at most 10$"):
        check_seconds(most=10, other=1, pause=10.001)
    with pytest.raises(ConfigurationError, match=r"^size must be a whole number above 0 and at most 10$"):
        check_counts(most=10, size=11)


def producer(**options):
    return AuditProducer(MemorySink(), service="orders", registry=CollectorRegistry(), **options)


@pytest.fixture
def relay(tmp_path):
    source = SqliteOutboxSource(tmp_path / "app.db", create=True)
    return lambda **options: OutboxRelay(source, MemorySink(), registry=CollectorRegistry(), **options)


@pytest.mark.parametrize("value", [*NO_SECONDS, 0])
@pytest.mark.parametrize(
    "name", ["capacity", "max_bytes", "batch_size", "close_timeout", "write_timeout", "block_timeout", "spool_after"]
)
def test_a_producer_names_it(name, value):
    with pytest.raises(ConfigurationError, match=f"^{name} must be "):
        producer(**{name: value})


@pytest.mark.parametrize("value", NO_SECONDS)
def test_a_linger_may_be_0(value):
    producer(linger=0)
    with pytest.raises(ConfigurationError, match=r"^linger must be "):
        producer(linger=value)


@pytest.mark.parametrize("service", [None, 5, b"orders", "", "a" * 129, "a\0"])
def test_a_service_without_a_name_is_refused(service):
    with pytest.raises(ConfigurationError, match="service must name"):
        AuditProducer(MemorySink(), service=service, registry=CollectorRegistry())


@pytest.mark.parametrize("value", [*NO_SECONDS, 0])
@pytest.mark.parametrize(
    "name",
    ["batch_size", "batch_bytes", "poll", "try_timeout", "settle_timeout", "stop_timeout", "give_up_after"],
)
def test_a_consumer_names_it(name, value):
    with pytest.raises(ConfigurationError, match=f"^{name} must be "):
        ConsumerOptions(**{name: value})


@pytest.mark.parametrize("value", NO_SECONDS)
@pytest.mark.parametrize("name", ["first_pause", "longest_pause"])
def test_a_consumer_may_go_on_without_a_pause(name, value):
    ConsumerOptions(**{name: 0})
    with pytest.raises(ConfigurationError, match=f"^{name} must be "):
        ConsumerOptions(**{name: value})


@pytest.mark.parametrize("value", [*NO_SECONDS, 0])
@pytest.mark.parametrize(
    "name", ["batch_size", "max_bytes", "write_timeout", "stop_timeout", "min_poll", "max_poll", "max_back_off"]
)
def test_a_relay_names_it(relay, name, value):
    with pytest.raises(ConfigurationError, match=f"^{name} must be "):
        relay(**{name: value})


@given(
    value=st.one_of(st.floats(), st.integers(), st.text(), st.binary(), st.none(), st.booleans(), st.complex_numbers())
)
def test_whatever_is_given_is_taken_or_refused_by_name(value):
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
    for check, is_good in ((check_seconds, is_number), (check_counts, is_number and isinstance(value, int))):
        with nullcontext() if is_good else pytest.raises(ConfigurationError, match=r"^bound must be "):
            check(bound=value)
