"""Which months need a partition: against the calendar, and within bounds whatever the ids."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tenaudit._kernel.ids import uuid7_int
from tenaudit.backends.postgres.partitions import KnownDays, month_after, months_ahead

MS_A_DAY = 86_400_000
LAST_MS = (1 << 48) - 1
ids = st.builds(lambda ms, tail: UUID(int=uuid7_int(ms, tail)), st.integers(0, LAST_MS), st.integers(0, 2**74 - 1))


@given(st.dates())
def test_the_month_after_is_the_next_one(day):
    following = month_after(day)
    assert following.day == 1
    if (day.year, day.month) == (9999, 12):
        assert following == date(9999, 12, 1)
    else:
        assert (following.year * 12 + following.month) - (day.year * 12 + day.month) == 1


@given(st.dates(max_value=date(9990, 1, 1)), st.integers(0, 24))
def test_months_ahead_begin_with_this_one(today, ahead):
    months = months_ahead(datetime.combine(today, time(23, 59), UTC), ahead)
    assert months[0] == today.replace(day=1)
    assert len(months) == ahead + 1
    assert months[1:] == [month_after(month) for month in months[:-1]]


@given(st.lists(st.lists(ids, min_size=1, max_size=5), max_size=5))
def test_a_month_is_missing_until_its_day_was_added(batches):
    days = KnownDays()
    added: set[int] = set()
    for batch in batches:
        unknown = {event_id.int >> 80 for event_id in batch}
        wanted = {
            (date(1970, 1, 1) + timedelta(days=min(ms // MS_A_DAY, 2_932_896))).replace(day=1)
            for ms in unknown
            if ms // MS_A_DAY not in added
        }
        assert days.missing(batch) == sorted(wanted)
        days.add(batch)
        added |= {ms // MS_A_DAY for ms in unknown}
        assert days.missing(batch) == []


def test_no_more_days_are_kept_than_a_hundred_years_have():
    days = KnownDays()
    old = [UUID(int=uuid7_int(n * MS_A_DAY, 0)) for n in range(36_525)]
    days.add(old)
    assert days.missing(old) == []
    new = [UUID(int=uuid7_int(40_000 * MS_A_DAY, 0))]
    days.add(new)
    assert days.missing(new) == []
    assert len(days.missing(old)) == 1200
