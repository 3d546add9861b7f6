"""Every check of the project, each in an environment of its own: `nox -l` lists them."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = sorted(PYPROJECT["project"]["optional-dependencies"].keys() - {"all"})

nox.options.sessions = ["lint", "types", "arch", "tests"]
nox.options.error_on_missing_interpreters = True
nox.needs_version = ">=2025.2"


def install(session: nox.Session, *groups: str, extras: str = "") -> None:
    """Install the project with *extras* and the dependency *groups*."""
    requirements = nox.project.dependency_groups(PYPROJECT, *groups) if groups else ()
    target = f".[{extras}]" if extras else "."
    session.install("-e", target, *requirements)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    install(session, "types", extras="all")
    session.run("mypy", *session.posargs)


@nox.session
def arch(session: nox.Session) -> None:
    """Check who imports whom."""
    install(session, "arch", extras="all")
    session.run("lint-imports")
    session.run("pytest", "-m", "arch", "-q", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the default suite with every extra, on real services where the machine has them."""
    install(session, "test", "platform", extras="all")
    # Fetched before the tests, so that no test's time limit pays for a first download.
    session.run("python", "-m", "tenaudit.testing.services", success_codes=[0, 1])
    # Two workers, each with services of its own: the suite is to fit into ten minutes on two cores.
    parallel = ("-n", "2", "--dist", "worksteal")
    session.run("pytest", "--cov", "--cov-report=", *parallel, "-m", "not faults and not arch", *session.posargs)
    session.run("coverage", "report", "--skip-covered", "--sort=cover")
    # What every request passes through: each branch is taken. The report shows it; the run fails a little below, since
    # some branches are taken by random examples.
    rooms = ",".join(f"*/tenaudit/{room}/*" for room in ("security", "policy", "errors", "gate", "adapters"))
    session.run("coverage", "report", "--include", rooms, "--skip-covered", "--show-missing", "--fail-under=99")


@nox.session
def tests_minimal(session: nox.Session) -> None:
    """Run what must work with no extra at all."""
    install(session, "test")
    session.run("pytest", "-m", "not faults and not arch", *session.posargs)


@nox.session
@nox.parametrize("extra", EXTRAS, ids=EXTRAS)
def each_extra(session: nox.Session, extra: str) -> None:
    """Import every public module with one extra alone: it loads, or names the pip line that it needs."""
    install(session, extras=extra)
    session.run("python", "tests/contracts/import_all.py", extra)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation with warnings as errors, and run its code blocks and the examples of the docstrings."""
    install(session, "docs", "platform", extras="all")
    shutil.rmtree(ROOT / "docs" / "_build", ignore_errors=True)
    session.run("sphinx-build", "-W", "-q", "-b", "html", "docs", "docs/_build/html")
    session.run("pytest", "tests/contracts", "-m", "not arch", "-q")
    session.run("pytest", "--doctest-modules", "src/tenaudit", "-q")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure ours and the peers in one process and print ratios."""
    install(session, "bench", extras="all")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Run the fault matrix: the short tier, under ten minutes; `-- --deep` runs the long one."""
    install(session, "test", "platform", extras="all")
    session.run("python", "-m", "tenaudit.testing.services", success_codes=[0, 1])
    deep = "--deep" in session.posargs
    words = [word for word in session.posargs if word != "--deep"]
    environment = {"TENAUDIT_FAULTS": "deep" if deep else "short"}
    session.run("pytest", "-m", "faults", *words, env=environment)


@nox.session
def package(session: nox.Session) -> None:
    """Build wheel and sdist, check them, and import every public module from the wheel in an empty environment."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "package"))
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist), str(ROOT))
    built = sorted(map(str, dist.iterdir()))
    session.run("twine", "check", "--strict", *built)
    wheel = next(path for path in built if path.endswith(".whl"))
    empty = Path(session.create_tmp()).resolve() / "empty"
    shutil.rmtree(empty, ignore_errors=True)
    session.run("python", "-m", "venv", str(empty))
    python = str(empty / "bin" / "python")
    session.run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel, external=True)
    # Copied away from the checkout, so that nothing but the wheel can be imported.
    script = shutil.copy(ROOT / "tests" / "contracts" / "import_all.py", empty / "import_all.py")
    with session.chdir(empty):
        session.run(python, str(script), external=True)
