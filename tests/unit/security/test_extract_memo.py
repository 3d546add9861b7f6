"""What extraction remembers must never answer for headers that mean something else."""

from __future__ import annotations

import pytest

from tenaudit import ApiError, SecuritySettings, extract_context

TENANT = "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"


def test_a_repeated_header_is_refused_after_its_lookalike_was_remembered() -> None:
    settings = SecuritySettings(on_unknown_roles=lambda _: None)
    for lookalike in ("_Header.REPEATED", "REPEATED", "(repeated)", "0"):
        extract_context({"X-Tenant-ID": TENANT, "X-Roles": lookalike}, settings=settings)
        with pytest.raises(ApiError, match="more than once"):
            extract_context([("X-Tenant-ID", TENANT), ("X-Roles", "a"), ("X-Roles", "b")], settings=settings)


def test_unknown_roles_are_counted_every_time() -> None:
    counted: list[int] = []
    settings = SecuritySettings(on_unknown_roles=counted.append)
    for _ in range(3):
        extract_context({"X-Tenant-ID": TENANT, "X-Roles": "Cashier,Wizard,Elf"}, settings=settings)
    assert counted == [2, 2, 2]


def test_settings_do_not_share_what_they_remember() -> None:
    headers = {"X-Tenant-ID": TENANT, "X-Roles": "Auditor"}
    assert extract_context(headers, settings=SecuritySettings(known_roles=["Auditor"])).roles == {"Auditor"}
    plain = SecuritySettings(on_unknown_roles=lambda _: None)
    assert extract_context(headers, settings=plain).roles == frozenset()


def test_the_memory_is_bounded_in_entries_and_in_text() -> None:
    settings = SecuritySettings(on_unknown_roles=lambda _: None)
    for place in range(5000):
        extract_context({"X-Tenant-ID": TENANT, "X-User-ID": f"u-{place}"}, settings=settings)
    assert len(settings.memo) <= 4096
    before = len(settings.memo)
    extract_context({"X-Tenant-ID": TENANT, "X-Roles": "r" * 5000}, settings=settings)
    assert len(settings.memo) == before
