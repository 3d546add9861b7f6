"""The demo from end to end: four servers, real sockets, every expectation."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tenaudit.demo.outcome import run_demo
from tenaudit.demo.serving import listen


def test_every_expectation_of_the_demo_holds() -> None:
    outcome = asyncio.run(run_demo())
    assert outcome.problems == []
    told = outcome.to_json()
    assert told["verified"] is True
    assert told["audit"]["emitted"] == told["audit"]["stored"] > 0
    assert told["audit"]["dropped"] == 0
    assert min(told["allowed"], told["denied"], told["rate_limited"]) > 0
    assert len(told["errors"]) >= 5
    assert told["requests"] == len(outcome.answers)
    assert not outcome.forged.verified


def test_the_traces_of_gateway_and_service_are_one() -> None:
    outcome = asyncio.run(run_demo())
    answers = [answer for answer in outcome.answers if answer.code == "order_not_found"]
    assert answers
    assert all(answer.body["trace_id"] == answer.trace_id for answer in answers)


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tenaudit.cli", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_json_is_one_object_on_standard_output() -> None:
    done = demo("--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.keys() == {
        "requests",
        "allowed",
        "denied",
        "rate_limited",
        "errors",
        "audit",
        "verified",
        "seconds",
    }
    assert done.stderr == ""


def test_json_and_serve_do_not_go_together() -> None:
    done = demo("--json", "--serve")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_the_metrics_add_up_to_the_account() -> None:
    outcome = asyncio.run(run_demo())
    counted = [value for name, _, _, value in outcome.metrics if name == "audit_events_emitted_total"]
    assert sum(counted) == outcome.emitted


def test_the_report_shows_both_readers() -> None:
    done = demo()
    assert done.returncode == 0, done.stderr
    assert '"****4242"' in done.stdout
    assert '"4242424242424242"' in done.stdout
    assert "every expectation held" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_port_in_use_is_one_line_and_exit_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = demo("--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--port" in done.stderr


def test_listen_says_which_port_and_how_to_mend() -> None:
    from tenaudit import ConfigurationError

    with listen() as first:
        first.listen()
        with pytest.raises(ConfigurationError, match="choose another"):
            listen(first.getsockname()[1])


def test_serve_runs_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "tenaudit.cli", "demo", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            lines = []
            while not (lines and " audit verify --store " in lines[-1]):
                line = child.stdout.readline()
                assert line, "the demo ended before it was ready"
                lines.append(line)
            gateway = re.search(r"gateway +(http://\S+)", "".join(lines))
            assert gateway is not None
            assert httpx.get(f"{gateway[1]}/internal/health", timeout=5, trust_env=False).json()["ready"] is True
            child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=15) == 0
        finally:
            child.kill()
