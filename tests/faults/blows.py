"""Who is killed when: the same seed gives the same plan."""

from __future__ import annotations

import random


def planned(seed, rounds, budget):
    """Return the victims of each round, each kill of a kind at a member and a round of its own.

    Args:
        seed: of the plan.
        rounds: how many there are.
        budget: by kind, how often it is struck in all, and the members of the kind.
    """
    chance = random.Random(seed)
    plan = [[] for _ in range(rounds)]
    for times, members in budget.values():
        places = [(number, member) for number in range(rounds) for member in members]
        for number, member in chance.sample(places, times):
            plan[number].append(member)
    for victims in plan:
        chance.shuffle(victims)
    return plan
