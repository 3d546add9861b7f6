"""The demo on a terminal: what was sent, what each layer decided, and what the trail shows to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table

from tenaudit.demo.traffic import NOISE

if TYPE_CHECKING:
    from rich.console import Console

    from tenaudit.demo.outcome import Outcome

__all__ = ["print_outcome"]


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print the whole story of a run."""
    console.print(_requests(outcome))
    console.print(f"… and a noisy tenant: {NOISE} requests at once, {outcome.rate_limited} of them refused with 429")
    console.print(_readers(outcome))
    console.print(_metrics(outcome))
    verdict = "[green]verified[/]" if outcome.report.verified else "[red]NOT verified[/]"
    console.print(
        f"audit: {outcome.emitted} emitted, {outcome.stored} stored, {outcome.dropped} dropped; "
        f"{outcome.report.events} events of {outcome.report.tenants} tenants {verdict}"
    )
    for problem in outcome.forged.problems[:1]:
        console.print(f"one amount changed in a copy: {problem.kind} event {problem.event_id} is found")
    for line in outcome.problems:
        console.print(f"[red]{line}[/]")
    console.print(f"{'every expectation held' if not outcome.problems else 'FAILED'}, {outcome.seconds:.1f} s")


def _requests(outcome: Outcome) -> Table:
    table = Table(title="requests", title_justify="left")
    for name in ("request", "to", "what", "status", "X-Error-Code", "decided by", "trace"):
        table.add_column(name, overflow="fold")
    for answer in outcome.answers[: len(outcome.answers) - NOISE]:
        step = answer.step
        colour = "green" if answer.status < 400 else "yellow" if answer.status < 500 else "red"
        table.add_row(
            f"{step.method} {step.path}",
            step.service,
            step.say,
            f"[{colour}]{answer.status}[/]",
            answer.code or "",
            answer.decided_by,
            answer.trace_id[:8],
        )
    return table


def _readers(outcome: Outcome) -> Table:
    table = Table(title="one event, two readers", title_justify="left")
    table.add_column("reader")
    table.add_column("payload", overflow="fold")
    for answer in outcome.answers:
        if answer.step.path.startswith("/audit/events?action") and answer.status == 200 and answer.body["events"]:
            who = "Admin" if "admin" in answer.step.say else "Support"
            table.add_row(who, json.dumps(answer.body["events"][0]["payload"]))
    return table


def _metrics(outcome: Outcome) -> Table:
    table = Table(title="metrics that moved", title_justify="left")
    table.add_column("metric")
    table.add_column("service")
    table.add_column("labels", overflow="fold")
    table.add_column("value", justify="right")
    for name, service, labels, value in outcome.metrics:
        table.add_row(name, service, labels, f"{value:g}")
    return table
