"""The intake: numbers without gaps, ids that grow, a clock that misbehaves."""

from __future__ import annotations

import threading
import uuid

import pytest

from tenaudit.audit.intake import Intake
from tenaudit.audit.payload import PayloadRefused
from tenaudit.security import Actor, SecurityContext, TraceContext
from tenaudit.testing.clock import ManualClock

CTX = SecurityContext(uuid.UUID(int=1), Actor("u-1"), frozenset(), TraceContext("a" * 32, None, False))


def draft(intake, **fields):
    usual = {
        "action": "order.created", "resource_type": None, "resource_id": None, "payload": None, "outcome": "success",
        "severity": "info", "context": CTX,
    }  # fmt: skip
    return intake.draft(*(usual | fields).values())


def test_a_refusal_takes_no_number():
    intake = Intake(ManualClock())
    assert draft(intake).seq == 0
    with pytest.raises(PayloadRefused):
        draft(intake, action="Wrong")
    assert draft(intake).seq == 1


def test_the_time_is_the_clocks_in_microseconds():
    clock = ManualClock(start=1_764_000_000.5)
    assert draft(Intake(clock)).occurred_us == 1_764_000_000_500_000


def test_ids_grow_while_the_clock_steps_back():
    clock = ManualClock()
    intake = Intake(clock)
    first = draft(intake)
    clock.jump_wall(-3600)
    second = draft(intake)
    assert second.event_id > first.event_id
    assert second.occurred_us < first.occurred_us


def test_a_clock_outside_of_every_id_takes_no_number():
    clock = ManualClock(start=-10.0)
    intake = Intake(clock)
    with pytest.raises(ValueError, match="48 bits"):
        draft(intake)
    clock.advance(20)
    assert draft(intake).seq == 0


def test_severities_are_normalized_and_the_payload_is_never_shared():
    source = {"a": 1}
    made = draft(Intake(ManualClock()), severity=" Warning", payload=source)
    assert made.severity == "warn"
    assert made.payload == source
    assert made.payload is not source
    assert draft(Intake(ManualClock()), payload={}).payload == {}


def test_threads_share_one_row_of_numbers():
    intake = Intake(ManualClock())
    taken = []

    def work():
        taken.extend([draft(intake) for _ in range(500)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(one.seq for one in taken) == list(range(2000))
    assert len({one.event_id for one in taken}) == 2000
