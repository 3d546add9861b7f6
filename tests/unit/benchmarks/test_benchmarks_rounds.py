"""The harness on a clock of its own: order of the rounds, what is timed, and how the loops are sized."""

from __future__ import annotations

import gc

import pytest

from benchmarks.rounds import Contender, Plan, measure


class Machine:
    """A clock that only work moves, and the log of who worked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[tuple[str, int]] = []

    def timer(self) -> float:
        return self.now

    def side(self, name: str, cost: float, *, first: float = 0.0, settling: float = 0.0, most: int = 1_000_000):
        calls = 0

        def run(count: int) -> None:
            nonlocal calls
            self.now += count * cost + (first if calls == 0 else 0.0)
            calls += count
            self.log.append((name, count))

        def settle() -> None:
            self.now += settling
            self.log.append((f"{name} settled", 0))

        return Contender(name, run, settle, most)

    def plan(self, rounds: int = 4) -> Plan:
        return Plan(rounds=rounds, seconds=1.0, timer=self.timer)

    def stretches(self, rounds: int, sides: int) -> list[tuple[str, int]]:
        """The timed stretches at the end of the log, without the settling between them."""
        return [entry for entry in self.log if "settled" not in entry[0]][-rounds * sides :]


def test_every_side_runs_once_a_round_and_another_one_begins_each_time() -> None:
    machine = Machine()
    measure([machine.side(name, 0.1) for name in "abc"], machine.plan(rounds=4))
    order = "".join(name for name, _ in machine.stretches(4, 3))
    assert order == "abc" + "bca" + "cab" + "abc"


def test_a_sample_is_the_time_of_one_call_without_settling() -> None:
    machine = Machine()
    samples = measure([machine.side("ours", 0.01, settling=50.0), machine.side("peer", 0.04)], machine.plan(rounds=3))
    assert samples["ours"] == pytest.approx([0.01] * 3)
    assert samples["peer"] == pytest.approx([0.04] * 3)


def test_every_stretch_is_settled_before_the_next_begins() -> None:
    machine = Machine()
    measure([machine.side("a", 0.1), machine.side("b", 0.1)], machine.plan())
    ran, settled = ([name for name, _ in machine.log[start::2]] for start in (0, 1))
    assert settled == [f"{name} settled" for name in ran]


def test_loops_are_sized_to_fill_a_stretch_whatever_one_call_costs() -> None:
    machine = Machine()
    measure([machine.side("quick", 0.001), machine.side("slow", 0.1)], machine.plan(rounds=1))
    assert dict(machine.stretches(1, 2)) == {"quick": 1000, "slow": 10}


def test_a_slow_first_call_does_not_size_the_loop() -> None:
    machine = Machine()
    measure([machine.side("ours", 0.001, first=30.0)], machine.plan(rounds=1))
    assert machine.stretches(1, 1) == [("ours", 1000)]


def test_a_call_longer_than_a_stretch_is_made_once() -> None:
    machine = Machine()
    measure([machine.side("ours", 7.0)], machine.plan(rounds=2))
    assert machine.stretches(2, 1) == [("ours", 1), ("ours", 1)]


@pytest.mark.parametrize("cost", [0.0001, 0.001])
def test_a_queue_is_never_filled_beyond_its_bound(cost: float) -> None:
    machine = Machine()
    measure([machine.side("ours", cost, most=300)], machine.plan())
    assert max(count for _, count in machine.log) == 300


def test_the_collector_is_off_for_every_stretch_and_back_on_afterwards() -> None:
    seen: list[bool] = []
    assert gc.isenabled()
    machine = Machine()
    watching = Contender(
        "ours", lambda count: (seen.append(gc.isenabled()), setattr(machine, "now", machine.now + count))
    )
    measure([watching], machine.plan())
    assert set(seen) == {False}
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_the_collector_is_back_on_after_a_side_has_failed() -> None:
    def fails(_count: int) -> None:
        raise RuntimeError("broken side")

    with pytest.raises(RuntimeError, match="broken side"):
        measure([Contender("ours", fails)], Plan())
    assert gc.isenabled()
