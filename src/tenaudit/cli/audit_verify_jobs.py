"""`tenaudit audit verify --jobs`: the same command for each part of the tenants, at the same time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit import Problem, VerifyReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["MAX_JOBS", "verify_in_processes"]

MAX_JOBS = 64
_ANSWERED = frozenset({0, 1})


async def verify_in_processes(store_url: str, checkpoints: Path | None, keys: Sequence[str], jobs: int) -> VerifyReport:
    """Verify the parts of a store in processes of their own, and return what all of them found.

    Args:
        store_url: the store; the processes get it in the environment, where others do not read it.
        checkpoints: the file of signed checkpoints.
        keys: the verifier keys.
        jobs: how many processes.

    Raises:
        ConfigurationError: a process cannot use the store; the message is its own.
    """
    refused: BaseException | None = None
    words = [] if checkpoints is None else ["--checkpoints", str(checkpoints)]
    words += [word for key in keys for word in ("--key", key)]
    try:
        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(_part(f"{number}/{jobs}", words, store_url)) for number in range(1, jobs + 1)]
    except* ConfigurationError as errors:
        # All of them have the same store, and say the same.
        refused = errors.exceptions[0]
    if refused is not None:
        raise refused
    found = [part.result() for part in parts]
    # What is no tenant's, such as a file of checkpoints that was altered, every part tells.
    problems = dict.fromkeys(Problem(**problem) for report in found for problem in report["problems"])
    return VerifyReport(
        sum(report["events"] for report in found), sum(report["tenants"] for report in found), tuple(problems)
    )


async def _part(part: str, words: Sequence[str], store_url: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tenaudit.cli", "audit", "verify", "--json", "--part", part, *words),
        env={**os.environ, "TENAUDIT_STORE": store_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        answer, said = await process.communicate()
    finally:
        # Whoever goes away takes the others along.
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in _ANSWERED:
        raise ConfigurationError(said.decode(errors="replace").strip().removeprefix("error: "))
    report: dict[str, Any] = json.loads(answer)
    return report
