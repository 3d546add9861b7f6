"""Fault matrix, row 7 and the kill loop: `kill -9` of every part of the pipeline, and a broker that restarts."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest

from tenaudit.testing.services import restartable_kraft, restartable_postgres
from tests.faults.blows import planned
from tests.faults.kill_judgement import settled
from tests.faults.kill_pipeline import emitted, pipeline
from tests.faults.servers import or_skipped
from tests.faults.tier import DEEP, SEED, rounds

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.timeout(7200 if DEEP else 480)]
SCALE = rounds(1, 10)
ROUNDS = 20 * SCALE
BUDGET = {"producer": 40, "relay": 20, "consumer": 20, "broker": 5, "database": 15}
DRAINED_WITHIN = 30.0


@pytest.fixture(scope="module")
def database():
    with or_skipped(restartable_postgres()) as server:
        yield server


@pytest.fixture(scope="module")
def broker():
    with or_skipped(restartable_kraft()) as server:
        yield server


@pytest.fixture
def tell(capsys):
    def told(text):
        with capsys.disabled():
            print(f"\n{text}", flush=True)  # noqa: T201 - what the run is for

    return told


class Killer:
    """Kills what it is told to, members of the pipeline and its servers, and starts it again."""

    def __init__(self, line, database, broker):
        self.line, self.servers = line, (database, broker)
        self.places = {
            "producer": line.writers,
            "relay": [line.relay],
            "consumer": [line.consumer],
            "broker": [broker],
            "database": [database],
        }
        self.kills = Counter()
        self.chance = random.Random(SEED)

    def plan(self):
        """Return the victims of each round."""
        return planned(SEED, ROUNDS, {kind: (SCALE * times, self.places[kind]) for kind, times in BUDGET.items()})

    def strike(self, victims):
        """Kill one after the other, and start them all again."""
        for victim in victims:
            # No wait for anything: any moment will do.
            time.sleep(self.chance.uniform(0, 0.1))
            victim.kill()
            self.kills[next(kind for kind, places in self.places.items() if victim in places)] += 1
        # Writers start beside servers that are down; a relay or a consumer that finds no database ends.
        self.start(one for one in victims if one in self.line.writers)
        starting = [threading.Thread(target=server.start) for server in victims if server in self.servers]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join(120)
            assert not thread.is_alive()
        self.start(one for one in victims if one in (self.line.relay, self.line.consumer))

    def start(self, members):
        for member in members:
            member.start()

    def in_a_hurry(self, victims):
        """Return the victims in an order in which none ends by itself although none is waited for.

        A relay or a consumer whose database goes away while it starts would; each round has both among its victims.
        """
        return sorted(victims, key=self.servers.__contains__)


def test_nothing_is_lost_or_doubled_through_a_hundred_kills(database, broker, tmp_path, tell):
    began, slowest = time.monotonic(), 0.0
    with pipeline(database, broker, tmp_path) as line:
        killer = Killer(line, database, broker)
        hurried = False
        for victims in killer.plan():
            killer.strike(killer.in_a_hurry(victims) if hurried else victims)
            # Every fourth time the next blow falls on what is starting still, and on what it has just taken up.
            hurried = killer.chance.random() < 0.25
            if not hurried:
                line.until_up()
                slowest = max(slowest, line.until_fresh())
        line.until_up()
        line.until_fresh()
        line.drain()
        verdict, gaps = settled(line)
    took = time.monotonic() - began
    assert killer.kills == {kind: SCALE * times for kind, times in BUDGET.items()}
    tell(f"{killer.kills.total()} kills in {took:.0f} s: {dict(killer.kills)}")
    tell(f"{verdict}; {gaps} missing before what was stored; slowest to flow again after {slowest:.1f} s")


def test_a_broker_that_restarts_is_caught_up_with_in_time(database, broker, tmp_path, tell):
    with pipeline(database, broker, tmp_path) as line:
        began = time.monotonic()
        broker.kill()
        broker.start()
        down = time.monotonic() - began
        tokens = [token for producer in line.producers for token in emitted(producer.now.lines)]
        took = line.until_stored(tokens, DRAINED_WITHIN)
        line.until_fresh()
        line.drain()
        verdict, _ = settled(line)
    tell(f"broker down for {down:.1f} s: {len(tokens)} events were stored {took:.1f} s after it was back; {verdict}")
