"""Addresses and numbers of the Kafka sink and source: what cannot work is refused at once, by its name."""

from __future__ import annotations

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
