"""The cache of Kafka's jars, filled by a stand-in for Maven."""

from __future__ import annotations

import shutil

import pytest

from tenaudit.testing.services import ServiceUnavailable
from tenaudit.testing.services.kafka_jars import KAFKA_VERSION, cached_kafka_jars, kafka_jars

FETCHES = """
for word; do case $word in -DoutputDirectory=*) out=${word#*=};; esac; done
grep -q "<version>$VERSION</version>" pom.xml || exit 2
mkdir "$out" && echo ours > "$out/kafka.jar"
"""
LOSES_THE_RACE = """
mkdir "$TENAUDIT_CACHE_DIR/kafka-$VERSION" && echo theirs > "$TENAUDIT_CACHE_DIR/kafka-$VERSION/kafka.jar"
"""
FAILS_HALF_WAY = """
echo "no such repository" >&2
exit 1
"""


@pytest.fixture
def cache(monkeypatch, tmp_path):
    folder = tmp_path / "cache"
    monkeypatch.setenv("TENAUDIT_CACHE_DIR", str(folder))
    monkeypatch.setenv("VERSION", KAFKA_VERSION)
    return folder


@pytest.fixture
def maven(monkeypatch, tmp_path):
    """Puts a shell script in Maven's place, before everything else on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def place(script: str) -> None:
        (folder / "mvn").write_text(f"#!/bin/sh\n{script}")
        (folder / "mvn").chmod(0o755)

    return place


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_first_call_fetches_and_the_second_does_not(cache, maven):
    maven(FETCHES)
    assert cached_kafka_jars() is None
    jars = kafka_jars(within=20)
    assert (jars / "kafka.jar").read_text() == "ours\n"
    maven(FAILS_HALF_WAY)
    assert kafka_jars(within=20) == cached_kafka_jars() == jars
    assert names(cache) == [f"kafka-{KAFKA_VERSION}"]


def test_a_run_that_was_faster_wins(cache, maven):
    maven(FETCHES + LOSES_THE_RACE)
    assert (kafka_jars(within=20) / "kafka.jar").read_text() == "theirs\n"
    assert names(cache) == [f"kafka-{KAFKA_VERSION}"]


def test_a_failed_fetch_leaves_nothing_and_says_why(cache, maven):
    maven(FETCHES + FAILS_HALF_WAY)
    with pytest.raises(ServiceUnavailable, match="no such repository"):
        kafka_jars(within=20)
    assert names(cache) == []


def test_a_fetch_has_a_deadline(cache, maven):
    maven("exec sleep 60")
    with pytest.raises(ServiceUnavailable, match=r"within 0\.2 s"):
        kafka_jars(within=0.2)
    assert names(cache) == []


def test_no_maven_is_said(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("mvn") is None
    with pytest.raises(ServiceUnavailable, match="Maven"):
        kafka_jars()
