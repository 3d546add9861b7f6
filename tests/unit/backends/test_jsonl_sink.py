"""The JSON lines sink: no torn line, whatever the disk, the other processes and the callers do."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from tenaudit.audit import AuditEvent, SinkRejected, SinkUnavailable
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.testing.conformance import an_event


def run(case):
    async def main():
        async with asyncio.timeout(30):
            await case()

    asyncio.run(main())


def numbers(path):
    text = path.read_bytes()
    assert text == b"" or text.endswith(b"\n")
    return [json.loads(line)["seq"] for line in text.splitlines()]


def test_each_event_is_one_line_of_its_wire_form(tmp_path):
    path = tmp_path / "audit.jsonl"
    events = [an_event(n, payload={"text": "line\nbreak \u2028 é"}) for n in range(3)]

    async def case():
        sink = JsonlSink(path)
        await sink.write(events)
        await sink.close()
        with pytest.raises(SinkUnavailable, match="closed"):
            await sink.write(events)

    run(case)
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == [event.record() for event in events]


@pytest.mark.parametrize("where", ["nowhere/audit.jsonl", "."])
def test_a_file_that_cannot_be_opened_is_a_sink_that_is_unavailable(tmp_path, where):
    async def case():
        sink = JsonlSink(tmp_path / where)
        with pytest.raises(SinkUnavailable, match=str(tmp_path)):
            await sink.write([an_event(0)])
        await sink.close()

    run(case)


def test_a_line_that_a_killed_process_left_half_is_cut_off(tmp_path):
    path = tmp_path / "audit.jsonl"
    whole = json.dumps(an_event(0).record(), separators=(",", ":")) + "\n"
    for torn in ('{"event_id":"0190', "{", whole[:-1]):
        path.write_text(whole + torn)

        async def case():
            sink = JsonlSink(path)
            await sink.write([an_event(1)])
            await sink.close()

        run(case)
        assert numbers(path) == [0, 1]


def test_a_file_of_somebody_else_is_left_as_it_was(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes\nwithout an end")

    async def case():
        sink = JsonlSink(path)
        with pytest.raises(SinkUnavailable, match="no audit event"):
            await sink.write([an_event(1)])
        await sink.close()

    run(case)
    assert path.read_text() == "my notes\nwithout an end"


FULL = """
import asyncio, resource, sys
from tenaudit.audit import AuditEvent, SinkRejected, SinkUnavailable
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.testing.conformance import an_event

async def main():
    sink = JsonlSink(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    taken = 0
    while True:
        try:
            await sink.write([an_event(taken + n) for n in range(7)])
        except SinkUnavailable as error:
            assert sys.argv[1] in str(error)
            break
        taken += 7
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    lines = open(sys.argv[1], "rb").read()
    assert lines.endswith(b"\\n") and lines.count(b"\\n") == taken > 7, (taken, lines.count(b"\\n"))
    await sink.write([an_event(taken)])
    await sink.close()
    print(taken + 1)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_leaves_whole_lines_and_later_writes_go_on(tmp_path):
    path = tmp_path / "audit.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert numbers(path) == list(range(int(done.stdout)))


WRITER = """
import asyncio, sys
from tenaudit.backends.jsonl import JsonlSink
from tenaudit.testing.conformance import an_event

async def main():
    sink = JsonlSink(sys.argv[1])
    for n in range(40):
        await sink.write([an_event(int(sys.argv[2]) + n, payload={"text": "x" * 5000})])
    await sink.close()

asyncio.run(main())
"""


def test_several_processes_share_a_file(tmp_path):
    path = tmp_path / "audit.jsonl"
    workers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(100 * k)]) for k in range(3)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    assert sorted(numbers(path)) == [100 * k + n for k in range(3) for n in range(40)]


def test_a_pipe_is_no_file_to_append_to(tmp_path):
    path = tmp_path / "audit.fifo"
    os.mkfifo(path)

    async def case():
        sink = JsonlSink(path)
        with pytest.raises(SinkUnavailable):
            await sink.write([an_event(0)])
        await sink.close()

    run(case)


def test_a_write_waits_for_another_process_that_has_the_file(tmp_path):
    path = tmp_path / "audit.jsonl"

    async def case():
        sink = JsonlSink(path)
        await sink.write([an_event(0)])
        with path.open("ab") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            writing = asyncio.ensure_future(sink.write([an_event(1)]))
            done, _ = await asyncio.wait({writing}, timeout=0.1)
            assert not done
            # Were it not for the lock, undoing a failed write could cut this off.
            other.write(json.dumps(an_event(7).record(), separators=(",", ":")).encode() + b"\n")
        await writing
        await sink.close()

    run(case)
    assert numbers(path) == [0, 7, 1]


def test_writes_that_were_given_up_leave_every_later_one_whole(tmp_path):
    path = tmp_path / "audit.jsonl"

    async def case():
        sink = JsonlSink(path)
        for n in range(50):
            writing = asyncio.ensure_future(sink.write([an_event(n, payload={"text": "x" * 20_000})]))
            for _ in range(n % 3):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        await sink.write([an_event(50)])
        await sink.close()

    run(case)
    seen = numbers(path)
    assert seen == sorted(set(seen))
    assert seen[-1] == 50


def test_what_nobody_validated_is_refused_and_named_where_it_can_be(tmp_path):
    far = an_event(0).model_copy(update={"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))})

    async def case():
        sink = JsonlSink(tmp_path / "audit.jsonl")
        nameless = AuditEvent.model_construct()
        for batch, named in (([far, nameless], {far.event_id}), ([nameless], set())):
            with pytest.raises(SinkRejected) as caught:
                await sink.write(batch)
            assert caught.value.event_ids == named
        await sink.close()

    run(case)
