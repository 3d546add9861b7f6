"""`tenaudit consume`: how it ends, what it says on the way, and the one line when it cannot begin."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.audit.consumer import Consumer, ConsumerOptions, ConsumerStalled, SourceUnavailable
from tenaudit.cli import main
from tenaudit.cli.consume_notes import Notes
from tenaudit.cli.consume_until import consume_until, told_of
from tenaudit.testing.clock import ManualClock
from tenaudit.testing.conformance import an_event
from tests.unit.audit.consumer_parts import Log, MemoryDeadLetters, MemorySource, MemoryStore, record_of

# Nobody listens on this port, and it takes no privilege to ask.
NOBODY = "127.0.0.1:1"
WORDS = ["consume", "--kafka", NOBODY, "--store", "sqlite:///audit.db"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TENAUDIT_STORE", "TENAUDIT_DEAD_LETTERS", "TENAUDIT_KAFKA"):
        monkeypatch.delenv(name, raising=False)


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


def consumer_of(source, store, registry, **options):
    return Consumer(source, store, MemoryDeadLetters(), options=ConsumerOptions(**options), registry=registry)


def test_it_consumes_until_it_is_told_and_tells_what_became_of_the_records():
    log = Log([record_of(an_event(n), n) for n in range(3)] + [record_of(an_event(0), 3)])
    registry = CollectorRegistry()

    async def consumed():
        told = asyncio.Event()
        store = MemoryStore(after=lambda _: stop_when_done(told))
        return await consume_until(consumer_of(MemorySource(log), store, registry), told)

    async def stop_when_done(told):
        told.set()

    assert run(consumed())
    assert told_of(registry) == "stored 3, duplicates 1, conflicts 0, expired 0, dead letters 0"
    assert log.done


def test_one_that_fails_for_too_long_ends_without_being_told():
    async def broken(_):
        raise SourceUnavailable("away")

    source = MemorySource(Log([record_of(an_event(1), 0)]), before=broken)
    consumer = consumer_of(source, MemoryStore(), CollectorRegistry(), first_pause=0, give_up_after=1e-9)
    with pytest.raises(ConsumerStalled, match="source"):
        run(consume_until(consumer, asyncio.Event()))


def test_what_takes_too_long_is_given_up():
    async def consumed():
        told = asyncio.Event()

        async def hang(_):
            told.set()
            await asyncio.Event().wait()

        source = MemorySource(Log([record_of(an_event(1), 0)]))
        consumer = consumer_of(source, MemoryStore(before=hang), CollectorRegistry(), stop_timeout=0.05)
        return await consume_until(consumer, told)

    assert run(consumed()) is False


def warn(message, **about):
    logging.getLogger("tenaudit.audit").warning(message, extra={"action": "x", **about})


def test_much_of_the_same_trouble_is_few_lines(capsys):
    clock = ManualClock()
    with Notes(seconds=10, clock=clock):
        for _ in range(5):
            warn("it waits", what="store", error="StoreError")
        warn("something else\n")
        logging.getLogger("tenaudit.audit").info("all is well")
        clock.advance(10)
        warn("it waits", what="source")
        warn("it waits")
    warn("nobody listens")
    assert capsys.readouterr().err == (
        "note: it waits: store, StoreError\n"
        "note: something else\\n\n"
        "note: it waits: source, 4 more like it\n"
        "note: 1 more notes like these were left out\n"
    )


def test_kinds_of_trouble_have_a_bound(capsys):
    with Notes(clock=ManualClock()):
        for number in range(150):
            warn(f"trouble {number}")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 102
    assert lines[-2:] == ["note: other trouble", "note: 49 more notes like these were left out"]


class Killer(logging.Handler):
    """Sends this process a signal at its first warning."""

    def __init__(self, number):
        super().__init__(logging.WARNING)
        self.number = number

    def emit(self, _record):
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_while_the_broker_is_away(number, capsys):
    killer = Killer(number)
    logging.getLogger("tenaudit.audit").addHandler(killer)
    try:
        assert main(WORDS) == 0
    finally:
        logging.getLogger("tenaudit.audit").removeHandler(killer)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "consuming audit.events as tenaudit; stop with Ctrl-C or SIGTERM",
        "note: the audit consumer waits for what fails: source, SourceUnavailable, no broker listens there",
        "stopped: stored 0, duplicates 0, conflicts 0, expired 0, dead letters 0",
    ]


def test_a_process_of_its_own_says_nothing_else():
    with subprocess.Popen(
        [sys.executable, "-m", "tenaudit.cli", *WORDS, "--dead-letters", "sqlite:///dead.db"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            assert process.stderr.readline().startswith("consuming ")
            assert process.stderr.readline().startswith("note: ")
            process.terminate()
            out, err = process.communicate(timeout=30)
        finally:
            watchdog.cancel()
            process.kill()
    assert (process.returncode, out) == (0, "")
    assert err == "stopped: stored 0, duplicates 0, conflicts 0, expired 0, dead letters 0\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--kafka", "broker", "--store", "sqlite:///audit.db"], "--kafka must be HOST:PORT"),
        (["--kafka", "b:9092,", "--store", "sqlite:///audit.db"], "--kafka must be HOST:PORT"),
        *(
            (
                ["--kafka", server, "--store", "sqlite:///audit.db"],
                f"--kafka must be HOST:PORT, several by commas, not '{server}'",
            )
            for server in ("b:99999", "b:0", "b:http", "[::::]:9092")
        ),
        (["--kafka", f"u:s3cr3t@{NOBODY}", "--store", "sqlite:///audit.db"], "several by commas, without a user"),
        (["--kafka", NOBODY, "--store", "sqlite:///a.db", "--session-timeout", "nan"], "nan is no number of seconds"),
        (["--kafka", NOBODY, "--store", "audit.db"], "--store is no URL"),
        (["--kafka", NOBODY, "--store", "sqlite:///no/audit.db"], "folder no does not exist"),
        (["--kafka", NOBODY, "--store", "postgresql://u:s3cr3t@127.0.0.1:1/d"], "PostgreSQL failed: ConnectionRefused"),
        (["--kafka", NOBODY, "--store", "sqlite:///a.db", "--max-dead-letters", "0"], "--max-dead-letters"),
        (["--kafka", NOBODY, "--store", "sqlite:///a.db", "--max-dead-letter-mib", "1"], "--max-dead-letter-mib"),
        (["--kafka", NOBODY, "--store", "sqlite:///a.db", "--topic", "a b"], "topic must be"),
        (["--kafka", NOBODY, "--store", "sqlite:///a.db", "--group", ""], "group must name"),
        (
            ["--kafka", NOBODY, "--store", "sqlite:///a.db", "--dead-letters", "sqlite:///no/d.db"],
            "folder does not exist",
        ),
        (["--kafka", NOBODY], "Missing option '--store'"),
        (["--store", "sqlite:///audit.db"], "Missing option '--kafka'"),
    ],
)
def test_what_cannot_be_consumed_is_one_line(words, says, capsys):
    assert main(["consume", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert says in said.err
    assert "s3cr3t" not in said.err


def test_without_aiokafka_it_says_what_to_install():
    code = "import sys; sys.modules['aiokafka'] = None; from tenaudit.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *WORDS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'error: aiokafka is not installed: pip install "tenaudit[kafka]"\n'
