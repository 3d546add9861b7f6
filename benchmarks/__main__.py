"""`python -m benchmarks [NAME...] [--json]`: run cases and print ratios.

Exit codes: 0 the cases ran, 1 a case could not run, 2 bad usage.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks import cases
from benchmarks.machine import describe
from benchmarks.report import json_line, table, verdicts
from benchmarks.rounds import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_QUICK = Plan(rounds=2, seconds=0.0005)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    known = cases.names()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        print(f"unknown case: {', '.join(unknown)}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    if options.list:
        for name in known:
            print(f"{name:<12}  {_title(name)}")
        return 0
    plan = _QUICK if options.quick else Plan()
    if options.rounds is not None:
        plan = Plan(options.rounds, plan.seconds)
    if not options.json:
        print("\n".join(describe()), flush=True)
    # Every case is tried, so no generator here: `all` would stop at the first that fails.
    ran = [_run(name, plan, as_json=options.json) for name in dict.fromkeys(options.names or known)]
    return 0 if all(ran) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure tenaudit beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases to run; all when none is named")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, notes to stderr")
    parser.add_argument("--list", action="store_true", help="print the cases and what each measures")
    parser.add_argument("--rounds", type=_above_zero, metavar="N", help=f"rounds of each case ({Plan().rounds})")
    parser.add_argument("--quick", action="store_true", help="two tiny rounds: shows that all runs, not how fast")
    return parser


def _above_zero(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def _title(name: str) -> str:
    return (cases.load(name).__doc__ or "").partition("\n")[0]


def _run(name: str, plan: Plan, *, as_json: bool) -> bool:
    """Run one case and print it; False when something it cannot do without is missing."""
    notes: list[str] = []
    results = []
    if not as_json:
        print(f"\n{name}: {_title(name)}", flush=True)
    try:
        for result in cases.load(name).run(plan, notes.append):
            results.append(result)
            if as_json:
                print(json_line(result), flush=True)
    except ImportError as error:
        print(f"case {name} cannot run: {error}", file=sys.stderr)
        return False
    finally:
        lines = (
            []
            if as_json or not results
            else [table(results), *(line for result in results for line in verdicts(result))]
        )
        print("\n".join(lines), end="\n" if lines else "", flush=True)
        for line in notes:
            print(f"note: {line}", file=sys.stderr if as_json else sys.stdout, flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
