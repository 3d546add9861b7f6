"""Addresses and numbers of the Kafka sink and source: what cannot work is refused at once, by its name."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.backends.kafka import KafkaSink, KafkaSource
from tenaudit.errors import ConfigurationError


def sink_of(servers="127.0.0.1:9092", topic="audit.events", **options):
    return KafkaSink(servers, topic, registry=CollectorRegistry(), **options)


def source_of(servers="127.0.0.1:9092", topic="audit.events", **options):
    return KafkaSource(servers, topic, **options)


@pytest.mark.parametrize("make", [sink_of, source_of])
@pytest.mark.parametrize(
    "servers",
    [
        "b1:99999",
        "b1:65536",
        "b1:0",
        "b1:http",
        "b1:",
        "b1",
        ":9092",
        "b1:9092,",
        "b1:9092,b2:0",
        "::1:9092",
        "[::1]",
        "[::1:9092",
        "[b1]:9092",
        "[:::::]:9092",
        "b1 :9092",
        "b1:9092\nb2:9092",
        "PLAINTEXT://b1:9092",
        ["b1:9092", "b2:0"],
        ["b1:9092", None],
        [b"b1:9092"],
        b"b1:9092",
        None,
        9092,
    ],
)
def test_an_address_that_no_broker_has_is_refused(make, servers):
    with pytest.raises(ConfigurationError, match=r"^bootstrap_servers must be HOST:PORT"):
        make(servers)


@pytest.mark.parametrize("make", [sink_of, source_of])
@pytest.mark.parametrize("servers", ["u:s3cr3t@b1:9092", "b1:9092,u:s3cr3t@b1:9092", ["u:s3cr3t@b1:9092"]])
def test_a_password_in_an_address_is_not_repeated(make, servers):
    with pytest.raises(ConfigurationError, match="without a user") as caught:
        make(servers)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("make", [sink_of, source_of])
@pytest.mark.parametrize(
    "servers",
    [
        "b1:1",
        "b-1.example_x:65535",
        " b1:9092 , b2:9093 ",
        "127.0.0.1:9092",
        "[::1]:9092",
        "[2001:db8::7]:09092",
        ["b1:9092", "[::1]:9093"],
        ("b1:9092",),
    ],
)
def test_an_address_of_every_kind_is_taken(make, servers):
    make(servers)


@pytest.mark.parametrize("make", [sink_of, source_of])
@pytest.mark.parametrize("topic", [None, 5, b"audit", "", ".", "a b", "a" * 250])
def test_a_name_that_no_topic_has_is_refused(make, topic):
    with pytest.raises(ConfigurationError, match="topic must be"):
        make(topic=topic)


NO_NUMBERS = [0, -1, math.nan, math.inf, -math.inf, 10**400, 1e300, 2**31, "5", b"5", None, True, [], 1j]
TIMES = [(sink_of, name) for name in ("delivery_timeout", "close_timeout")] + [
    (source_of, f"{name}_timeout") for name in ("start", "commit", "close", "session", "rebalance", "silence")
]
SIZES = [(sink_of, "batch_bytes"), (sink_of, "max_event_bytes"), (source_of, "fetch_bytes")]


@pytest.mark.parametrize(("make", "name"), [*TIMES, *SIZES])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: f"{value!r:.8}")
def test_a_number_that_bounds_nothing_is_refused_by_name(make, name, value):
    with pytest.raises(ConfigurationError, match=f"^{name} must be "):
        make(**{name: value})


@pytest.mark.parametrize(("make", "name"), SIZES)
def test_a_size_is_whole(make, name):
    with pytest.raises(ConfigurationError, match=f"^{name} must be a whole number above 0"):
        make(**{name: 4096.5})


@pytest.mark.parametrize("group", [None, 5, "", b"g"])
def test_a_group_without_a_name_is_refused(group):
    with pytest.raises(ConfigurationError, match="group must name"):
        source_of(group=group)
