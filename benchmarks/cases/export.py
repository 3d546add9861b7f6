"""What an export of a tenant's events costs, as NDJSON and as CSV, and how much memory it takes.

Ours: the command `tenaudit audit export` against PostgreSQL, page by page, written as it is read.
naive: a script that fetches all rows, makes one text of them with `json.dumps` or `csv`, and writes that.

Every side is a process of its own, whose start is in its time, and writes into nothing; 100 000 events (2 500 in a
tiny run), a fifth of them for the figures that show whether memory grows with what is exported. `export/memory` is the
largest resident set of each process as NDJSON.
Not shown: the API's export, which redacts as well, a network, a slow reader.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.audit_database import audit_database
from benchmarks.audit_rows import ROWS_TENANT, filled
from benchmarks.result import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]

_EVENTS_A_SECOND = 5_000_000
# A round starts four processes.
_ROUNDS_FOR_ONE = 3
_WITHIN = 120.0
_TENANT = str(ROWS_TENANT)
_OURS = (
    "-c",
    "import sys; from tenaudit.cli import main; sys.exit(main())",
    "audit",
    "export",
    "--tenant",
    _TENANT,
    "--format",
)
_NAIVE = ("-m", "benchmarks.naive_export", "--tenant", _TENANT, "--format")


class _Run(NamedTuple):
    seconds: float
    mebibytes: float


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield a result for each format, and one for memory."""
    events = max(1_000, round(plan.seconds * _EVENTS_A_SECOND))
    rounds = max(1, plan.rounds // _ROUNDS_FOR_ONE)
    with ExitStack() as stack:
        database = stack.enter_context(audit_database())
        env = os.environ | {"TENAUDIT_STORE": database.user}
        asyncio.run(filled(database.owner, events // 5))
        small = [_timed(env, *_OURS, "ndjson").mebibytes for _ in range(rounds)]
        asyncio.run(filled(database.owner, events))
        taken: dict[str, dict[str, list[_Run]]] = {form: {"ours": [], "naive": []} for form in ("ndjson", "csv")}
        for _ in range(rounds):
            for form, sides in taken.items():
                sides["ours"].append(_timed(env, *_OURS, form))
                sides["naive"].append(_timed(env, *_NAIVE, form))
    for form, sides in taken.items():
        seconds = {side: [one.seconds for one in runs] for side, runs in sides.items()}
        yield compare(f"export/{form}", seconds, unit="us", scale=1e6 / events)
    memory = {side: [one.mebibytes for one in runs] for side, runs in taken["ndjson"].items()}
    yield compare("export/memory", memory | {"ours, a fifth": small}, unit="MiB")
    note(f"{events} events")


def _timed(env: dict[str, str], *arguments: str) -> _Run:
    """Run Python to its end.

    Raises:
        RuntimeError: it failed.
    """
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=env) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments} ended with {process.returncode}")
    # Linux tells kibibytes.
    return _Run(time.perf_counter() - began, used.ru_maxrss / 1024)
