"""Where the figures come from: CPU, cores, load, Python, and the versions of both sides."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["describe"]

_PACKAGES = (
    "tenaudit",
    "casbin",
    "cedarpy",
    "opentelemetry-sdk",
    "prometheus-client",
    "pydantic",
    "pyjwt",
    "starlette",
    "structlog",
)


def describe() -> list[str]:
    """Return the lines that head a text report."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return [
        f"{_cpu()}, {_cores()} cores usable, load {load:.2f} at the start",
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.release()}",
        ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
    ]


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
