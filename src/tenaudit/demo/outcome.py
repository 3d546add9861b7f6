"""Running the script and judging it: what was sent, what came back, and whether every expectation held."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tenaudit.backends.sqlite import SqliteStore
from tenaudit.demo.platform import Platform, running
from tenaudit.demo.traffic import Answer, drive, noise, script

if TYPE_CHECKING:
    from tenaudit.audit import VerifyReport

__all__ = ["Outcome", "run_demo"]

_SHOWN = (
    "http_requests_total",
    "http_errors_total",
    "capability_checks_total",
    "rate_limiter_decisions_total",
    "audit_events_emitted_total",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the report prints."""

    answers: tuple[Answer, ...]
    emitted: int
    stored: int
    dropped: int
    report: VerifyReport
    forged: VerifyReport
    metrics: tuple[tuple[str, str, str, float], ...]
    seconds: float

    @property
    def problems(self) -> list[str]:
        """What was not as it must be; empty when every expectation held."""
        wrong = [
            f"{answer.step.say}: expected {answer.step.status} {answer.step.code or ''}, "
            f"got {answer.status} {answer.code or ''}"
            for answer in self.answers
            if not answer.as_expected and answer.code != "rate_limited"
        ]
        checks = {
            "a noisy tenant was limited": self.rate_limited > 0,
            "every emitted event is stored": self.emitted == self.stored and self.dropped == 0,
            "the trail verifies": self.report.verified,
            "a forged event is found": not self.forged.verified,
            "support sees masked card numbers": _card(self.answers, "support reads").startswith("****"),
            "an admin sees them whole": _card(self.answers, "an admin reads") == "4242424242424242",
        }
        return wrong + [f"not so: {claim}" for claim, holds in checks.items() if not holds]

    @property
    def rate_limited(self) -> int:
        """Answers with status 429."""
        return sum(answer.status == 429 for answer in self.answers)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "requests": len(self.answers),
            "allowed": sum(answer.status < 400 for answer in self.answers),
            "denied": sum(answer.status in (401, 403) for answer in self.answers),
            "rate_limited": self.rate_limited,
            "errors": dict(Counter(answer.code for answer in self.answers if answer.code)),
            "audit": {"emitted": self.emitted, "stored": self.stored, "dropped": self.dropped},
            "verified": self.report.verified,
            "seconds": round(self.seconds, 3),
        }


def _card(answers: tuple[Answer, ...], who: str) -> str:
    for answer in answers:
        if answer.step.say.startswith(who) and answer.status == 200 and answer.body["events"]:
            return str(answer.body["events"][0]["payload"]["card"]["number"])
    return ""


async def run_demo(*, port: int = 0) -> Outcome:
    """Start the platform, send the traffic, seal and verify the trail, and stop everything."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tenaudit-demo-") as name:
        folder = Path(name)
        async with running(folder, port=port) as platform:
            async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
                answers = [answer for step in script(platform) for answer in await drive(platform, client, [step])]
                answers += await drive(platform, client, noise(platform))
            for producer in platform.producers.values():
                await producer.close()
            # Read after closing: the producers bring their counters up to date with each batch.
            metrics = _metrics(platform)
            await platform.store.seal()
            report = await platform.store.verify()
            stored = await platform.store.count()
            stats = [producer.stats() for producer in platform.producers.values()]
            forged = await _forge(folder)
        return Outcome(
            tuple(answers),
            sum(stat.emitted for stat in stats),
            stored,
            sum(stat.dropped for stat in stats),
            report,
            forged,
            metrics,
            time.perf_counter() - started,
        )


async def _forge(folder: Path) -> VerifyReport:
    """Change one amount in a copy of the trail, as someone with the database's password could, and verify it."""
    copy = folder / "forged.db"
    with closing(sqlite3.connect(folder / "audit.db")) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute(
            "UPDATE events SET payload = replace(payload, '1999', '9999') WHERE action = 'payment.processed'"
        )
        target.commit()
    async with SqliteStore.open(copy) as store:
        return await store.verify()


def _metrics(platform: Platform) -> tuple[tuple[str, str, str, float], ...]:
    moved = []
    for service, registry in platform.registries.items():
        for family in registry.collect():
            for sample in family.samples:
                if sample.name in _SHOWN and sample.value > 0:
                    labels = ", ".join(
                        f'{name}="{value}"' for name, value in sample.labels.items() if name != "service"
                    )
                    moved.append((sample.name, service, labels, sample.value))
    return tuple(sorted(moved))
