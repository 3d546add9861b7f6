"""Apache Kafka's jars: fetched once with Maven, then kept in the user's cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tenaudit.testing.services.process import Program, run
from tenaudit.testing.services.service import ServiceUnavailable

__all__ = ["KAFKA_VERSION", "cached_kafka_jars", "kafka_jars"]

KAFKA_VERSION = "4.4.0"
_LOG4J_VERSION = "2.25.5"
_FETCH_WITHIN = 300.0
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tenaudit.testing</groupId>
  <artifactId>kafka-jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{_LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def _cache_root() -> Path:
    if chosen := os.environ.get("TENAUDIT_CACHE_DIR"):
        return Path(chosen)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "tenaudit"


def _target() -> Path:
    return _cache_root() / f"kafka-{KAFKA_VERSION}"


def cached_kafka_jars() -> Path | None:
    """Folder of the jars when an earlier run has fetched them, else None."""
    return target if (target := _target()).is_dir() else None


def kafka_jars(*, within: float = _FETCH_WITHIN) -> Path:
    """Folder of Apache Kafka's jars, filled from Maven's central repository on first use.

    The cache is `$TENAUDIT_CACHE_DIR`, else `$XDG_CACHE_HOME/tenaudit`, else `~/.cache/tenaudit`. It is filled
    beside its final place and renamed, so runs that start together never see half a folder.

    Raises:
        ServiceUnavailable: Maven is missing, or could not fetch within *within* seconds.
    """
    if cached := cached_kafka_jars():
        return cached
    maven = shutil.which("mvn")
    if maven is None:
        raise ServiceUnavailable("Maven (mvn) is not installed, and Kafka's jars are not in the cache")
    target = _target()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-fetch-", dir=target.parent) as name:
        folder = Path(name)
        _fetch(maven, folder, within)
        _publish(folder / "jars", target)
    return target


def _fetch(maven: str, folder: Path, within: float) -> None:
    (folder / "pom.xml").write_text(_POM, encoding="utf-8")
    goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'jars'}")
    run(Program((maven, "-q", "-B", *goal), folder, folder / "mvn.log"), within=within)


def _publish(jars: Path, target: Path) -> None:
    try:
        jars.rename(target)
    except OSError:
        # A run that started at the same moment has filled it; its jars are the same.
        if not target.is_dir():
            raise
