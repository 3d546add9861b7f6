"""Events that nobody validated: a field has another type or value, or is not there."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone, tzinfo

from hypothesis import strategies as st

from tenaudit.audit import AuditEvent
from tenaudit.testing.conformance import an_event

FIELDS = sorted(AuditEvent.model_fields)
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=st.none() | st.just(UTC) | offsets) | st.sampled_from(
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**53, -(2**63), 2**80, 10**400])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\0", "\ud800", "x" * 3000])
    | st.binary(max_size=4)
    | st.uuids()
    | moments
    | st.dates()
    | st.times(timezones=st.none() | st.just(UTC))
    | st.builds(object)
)
odd_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)
_usual = dict(an_event(0))


class Boom(tzinfo):
    """A zone that knows nothing."""

    def utcoffset(self, _moment):
        raise KeyError("x")


def _without(gone):
    event = AuditEvent.model_construct(**{name: value for name, value in _usual.items() if name not in gone})
    # What has a default is made with it, and taken away again.
    for name in gone:
        vars(event).pop(name, None)
    return event


updated = st.dictionaries(st.sampled_from(FIELDS), odd_values, min_size=1, max_size=3).map(
    lambda update: an_event(0).model_copy(update=update)
)
zoneless = st.builds(lambda: an_event(0).model_copy(update={"occurred_at": datetime(2026, 1, 1, tzinfo=Boom())}))
incomplete = st.sets(st.sampled_from(FIELDS), min_size=1).map(_without)
odd_events = updated | incomplete | zoneless

HOPELESS = {
    "a year that UTC lacks": {"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))},
    "a time of no day": {"occurred_at": time(1, tzinfo=UTC)},
    "no time": {"occurred_at": None},
    "no zone": {"occurred_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is what is odd
    "no tenant": {"tenant_id": None},
    "a tenant that has no hash": {"tenant_id": []},
    "a number too long": {"seq": 2**80},
    "a list for a payload": {"payload": [1]},
    "no payload": {"payload": None},
    "no redactions": {"redactions": None},
}
