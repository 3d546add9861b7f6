"""Query parameters: each wrong one is named, and the right ones become the query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from tenaudit.audit import AuditQuery, InvalidQuery, query_from_parameters
from tenaudit.errors import ApiError

TENANT = UUID(int=1)


def refused(*parameters):
    with pytest.raises(ApiError) as caught:
        query_from_parameters(TENANT, parameters)
    assert (caught.value.status, caught.value.code) == (400, "invalid_parameter")
    caught.value.to_body("0" * 32)
    return [error["field"] for error in caught.value.errors]


def test_no_parameters_are_the_default_query():
    assert query_from_parameters(TENANT, []) == AuditQuery(TENANT)


def test_every_parameter_finds_its_filter():
    query = query_from_parameters(
        TENANT,
        [
            ("actor", "u-1"), ("action", "payment.*"), ("resource_type", "payment"), ("resource_id", "p/1"),
            ("severity", "WARNING"), ("min_severity", "err"), ("outcome", "denied"), ("trace_id", "a" * 32),
            ("service", "payments"), ("from", "2026-11-24T06:00:00Z"), ("to", "2026-11-24T08:30:00 01:30"),
            ("q", "Müller %"), ("limit", "500"), ("cursor", "abc"), ("order", "asc"), ("include_redacted", "True"),
        ],
    )  # fmt: skip
    assert query == AuditQuery(
        TENANT, actor="u-1", action="payment.*", resource_type="payment", resource_id="p/1", severity="warn",
        min_severity="error", outcome="denied", trace_id="a" * 32, service="payments",
        from_=datetime(2026, 11, 24, 6, tzinfo=UTC), to=datetime(2026, 11, 24, 7, tzinfo=UTC), q="Müller %",
        limit=500, cursor="abc", order="asc", include_redacted=True,
    )  # fmt: skip


def test_a_time_without_zone_is_utc():
    query = query_from_parameters(TENANT, [("from", "2026-11-24"), ("to", "2026-11-24T06:00:00.5")])
    assert query.from_ == datetime(2026, 11, 24, tzinfo=UTC)
    assert query.to == datetime(2026, 11, 24, 6, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "actor": ["", "a\x00", "a" * 1025, "\udc80"],
        "action": ["", "*", "payment.*.x", "Payment", "payment.voided\n", "payment.**", "pay*", "a" * 1025],
        "resource_type": [""],
        "resource_id": ["", "\x00"],
        "severity": ["", "loud", "warn\x00"],
        "min_severity": ["", "5"],
        "outcome": ["", "Success"],
        "trace_id": ["", "A" * 32, "a" * 31, "a" * 32 + "\n"],
        "service": [""],
        "from": ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+05:00", "1764000000", "2026-11-24T06:00:00+99:00"],
        "to": ["", "x", "9999-12-31T23:59:59-05:00"],
        "q": ["", "\x00", "x" * 1025, "\ud800"],
        "limit": ["", "0", "501", "-1", "1.0", "1e2", " 5", "\uff15", "1" * 5000],
        "cursor": [""],
        "order": ["", "DESC", "up"],
        "include_redacted": ["", "yes", "2"],
    }.items(),
)
def test_each_bad_value_names_its_field(name, values):
    for value in values:
        assert refused((name, value)) == [name], value


def test_unknown_and_repeated_parameters_are_named():
    assert refused(("tenant_id", str(TENANT))) == ["tenant_id"]
    assert refused(("from_", "2026-11-24")) == ["from_"]
    assert refused(("limit", "5"), ("limit", "5")) == ["limit"]
    assert refused(("\ud800x", "1"), ("", "")) == ["?x", ""]


def test_every_wrong_field_is_told_at_once_up_to_a_bound():
    assert refused(("limit", "0"), ("order", "x"), ("nope", "1")) == ["limit", "order", "nope"]
    assert len(refused(*((f"n{place}" * 100, "x") for place in range(1000)))) == 32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", 0), ("limit", 501), ("order", "up"), ("severity", "WARN"), ("min_severity", "loud"),
        ("outcome", "no"), ("from_", datetime(2026, 11, 24)),  # noqa: DTZ001
        ("to", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))),
        ("q", "\ud800"), ("actor", "\x00"), ("service", "x" * 1025),
    ],
)  # fmt: skip
def test_a_query_made_in_code_is_held_to_the_same_rules(field, value):
    with pytest.raises(InvalidQuery) as caught:
        AuditQuery(TENANT, **{field: value})
    assert caught.value.field == field.rstrip("_")
