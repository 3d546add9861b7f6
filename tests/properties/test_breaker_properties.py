"""The circuit breaker against a model that keeps the whole history."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tenaudit.audit import BreakerPolicy
from tenaudit.audit.fan_out.breaker import TRANSITIONS, BreakerState, Phase, Signal, admitted, settled


class Breaker(RuleBasedStateMachine):
    """Writers ask, are let through or not, and report in any order, while time passes."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.state = BreakerState()
        self.pending = 0
        # The model: failures in a row, until when it is open (None: it is not), whether a trial is on its way.
        self.row = 0
        self.open_until = None
        self.trial = False

    @initialize(failures=st.integers(1, 4), rest=st.sampled_from([0.5, 5.0, 60.0]))
    def configure(self, failures, rest):
        self.policy = BreakerPolicy(failures, rest)

    @rule(seconds=st.sampled_from([0.0, 0.25, 0.5, 4.9, 5.0, 60.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def ask(self):
        self.state, may = admitted(self.state, self.now)
        is_trial = self.open_until is not None and not self.trial and self.now >= self.open_until
        assert may == (self.open_until is None or is_trial)
        self.trial |= is_trial
        self.pending += may

    @precondition(lambda self: self.pending)
    @rule(signal=st.sampled_from([Signal.SUCCEEDED, Signal.FAILED, Signal.ABANDONED]))
    def report(self, signal):
        self.pending -= 1
        self.state = settled(self.state, signal, self.now, self.policy)
        if self.open_until is not None and not self.trial:
            return
        if signal is Signal.SUCCEEDED:
            self.row, self.open_until = 0, None
        elif signal is Signal.FAILED:
            self.row += 1
            if self.trial or self.row >= self.policy.failures:
                self.open_until = self.now + self.policy.rest
        elif self.trial:
            self.open_until = self.now
        self.trial = False

    @invariant()
    def it_stands_where_the_model_does(self):
        wanted = Phase.HALF_OPEN if self.trial else Phase.CLOSED if self.open_until is None else Phase.OPEN
        assert self.state.phase is wanted
        if wanted is Phase.OPEN:
            assert self.state.rests_until == self.open_until

    @invariant()
    def it_always_comes_back(self):
        if self.state.phase is Phase.OPEN:
            trial, may = admitted(self.state, self.state.rests_until)
            assert may
            assert settled(trial, Signal.SUCCEEDED, self.now, self.policy).phase is Phase.CLOSED


TestBreaker = Breaker.TestCase


def test_only_one_trial_is_let_through_and_every_phase_has_a_way_out():
    policy = BreakerPolicy(1, 5.0)
    state = settled(BreakerState(), Signal.FAILED, 0.0, policy)
    assert state.phase is Phase.OPEN
    state, may = admitted(state, 5.0)
    assert may
    assert state.phase is Phase.HALF_OPEN
    assert admitted(state, 1e9) == (state, False)
    assert settled(state, Signal.SUCCEEDED, 5.0, policy) == BreakerState(Phase.CLOSED, 0, 5.0)
    assert settled(state, Signal.FAILED, 5.0, policy).rests_until == 10.0
    assert settled(state, Signal.ABANDONED, 5.0, policy).rests_until == 5.0
    assert {phase for phase, _ in TRANSITIONS} == set(Phase)


def test_successes_in_between_keep_it_closed():
    policy, state = BreakerPolicy(2, 5.0), BreakerState()
    for _ in range(10):
        state = settled(state, Signal.FAILED, 0.0, policy)
        state = settled(state, Signal.SUCCEEDED, 0.0, policy)
    assert state.phase is Phase.CLOSED
