"""What importing costs, in milliseconds over a Python that imports nothing.

Each side is a new interpreter, started in turn; the time of `python -c pass` in the same round is subtracted.

`import_time/tenaudit` is `import tenaudit`, which loads names on first use; `import_time/names` also touches every
public name of it, so it is what an application that uses all of them pays in the end.
starlette, pydantic, structlog: the first import of an application that uses each (`starlette.applications`,
    `pydantic.BaseModel`, `structlog`), as points of reference; they do other things.

Not shown: a first start without byte code, or from a cold disk: the calibration runs warm both.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.util import find_spec
from itertools import repeat
from typing import TYPE_CHECKING

from benchmarks.peer import Peer, installed
from benchmarks.result import AtMost, compare, over
from benchmarks.rounds import Contender, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.result import Result
    from benchmarks.rounds import Plan

__all__ = ["run"]

_START_SECONDS = 60.0
# Both of the first two load little until a name is asked for.
_PEERS = {
    "starlette": "import starlette.applications",
    "pydantic": "from pydantic import BaseModel",
    "structlog": "import structlog",
}
_EVERY_NAME = "import tenaudit; [getattr(tenaudit, name) for name in tenaudit.__all__]"


def run(plan: Plan, note: Callable[[str], None]) -> Iterator[Result]:
    """Yield `import_time/tenaudit` and `import_time/names`."""
    peers = installed([Peer(name, name, lambda name=name: _peer(name)) for name in _PEERS], note)  # type: ignore[misc]
    sides = [_start("python", "pass"), _start("ours", "import tenaudit"), _start("names", _EVERY_NAME), *peers]
    added = over(measure(sides, plan), "python")
    names = added.pop("names")
    yield compare("import_time/tenaudit", added, unit="ms", scale=1e3, targets=[AtMost(60)])
    yield compare("import_time/names", _with_ours(added, names), unit="ms", scale=1e3)


def _with_ours(samples: Mapping[str, Sequence[float]], ours: Sequence[float]) -> dict[str, Sequence[float]]:
    return {**samples, "ours": ours}


def _peer(module: str) -> Contender:
    if find_spec(module) is None:
        raise ModuleNotFoundError(module)
    return _start(module, _PEERS[module])


def _start(name: str, code: str) -> Contender:
    def run(count: int) -> None:
        for _ in repeat(None, count):
            _interpreter(code)

    return Contender(name, run, most=1)


def _interpreter(code: str) -> None:
    """Run *code* in a new interpreter; one that hangs is killed after the deadline, and fails.

    Not `wait(timeout=...)`: it polls with sleeps that grow to 50 ms, and the figures would be multiples of those.
    """
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL) as process:
        deadline = threading.Timer(_START_SECONDS, process.kill)
        deadline.start()
        try:
            status = process.wait()
        finally:
            deadline.cancel()
    if status:
        raise subprocess.CalledProcessError(status, code)
