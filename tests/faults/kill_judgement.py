"""What the writers of the pipeline were told, against what is in the store when all of it has drained."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from uuid import UUID

from tenaudit.backends.postgres import PostgresStore
from tenaudit.testing.ledger import Ledger
from tests.faults.kill_pipeline import announced


def settled(line):
    """Judge everything; return the verdict of the ledger, and how many events are missing before one that came out."""
    rows = line.ask("SELECT resource_id, producer_id, seq FROM tenaudit.events WHERE action LIKE 'kill.%'")
    verdict = ledger_of(line).settle(UUID(row["resource_id"]) for row in rows)
    assert verdict.holds, verdict
    check_transactions(line, rows)
    check_drops(line)
    asyncio.run(asyncio.wait_for(check_log(line.store), 300))
    return verdict, gaps_of(line, rows)


def ledger_of(line):
    ledger = Ledger()
    for writer in line.writers:
        for life in writer.lives:
            ledger.read(life.lines)
    return ledger


def check_transactions(line, rows):
    """Each order that was committed has its event, and nothing else has one."""
    seen = {row["resource_id"] for row in rows if row["producer_id"] is None}
    assert seen == {str(row["token"]) for row in line.ask("SELECT token FROM orders")}


def check_drops(line):
    """Who closed in good order has counted what it dropped."""
    for producer in line.producers:
        lines = producer.now.lines
        word, dropped = lines[-1].split()
        assert (word, int(dropped)) == ("closed", sum(said.startswith("fail ") for said in lines))


async def check_log(dsn):
    async with PostgresStore.connect(dsn, deadline=60) as store:
        report = await store.verify()
    assert report.verified, report.problems[:5]


def gaps_of(line, rows):
    """Check that each producer's numbers are those it announced, and its account what the oracle knows."""
    stored, accounts = defaultdict(dict), line.account()
    for row in rows:
        if row["producer_id"] is not None:
            stored[row["producer_id"]][row["seq"]] = row["resource_id"]
    gaps = 0
    for life in (life for producer in line.producers for life in producer.lives):
        name, told = announced(life.lines)
        seen = stored.pop(name, {})
        assert seen.items() <= told.items(), name
        closed = life.lines[-1:] != [] and life.lines[-1].startswith("closed ")
        gaps += check_account(accounts.pop(name, None), told, seen, closed=closed)
    assert not stored
    assert not accounts
    return gaps


def check_account(account, told, seen, *, closed):
    """Check one account against the oracle, and return how many events are missing below the highest number."""
    missing = max(seen, default=-1) + 1 - len(seen)
    assert missing == len([number for number in told if number < max(seen, default=-1) and number not in seen])
    if account is None:
        assert not seen
        return 0
    assert (account["closed"], account["stored"], account["missing"]) == (closed, len(seen), missing), account
    assert len(told) - len(seen) <= account["at_most"] or closed
    if closed:
        assert (account["emitted"], account["balanced"]) == (len(told), True), account
    return missing
