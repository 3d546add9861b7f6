"""Whose request is whose, and what each of them saw: for the tests of isolation, in any framework."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

from tenaudit.security import NoContextError, current_context

REQUESTS = 10_000


def tenant_of(number: int) -> UUID | None:
    """Return whose request it is; each tenth is a stranger's, to a public route, and must see nobody."""
    return None if number % 10 == 0 else UUID(int=number)


def path_of(number: int) -> str:
    return f"/{'public' if tenant_of(number) is None else 'own'}/{number}"


def headers_of(number: int) -> list[tuple[str, str]]:
    tenant = tenant_of(number)
    return [] if tenant is None else [("x-tenant-id", str(tenant)), ("x-user-id", f"u-{number}"), ("x-roles", "Admin")]


def number_of(path: str) -> int:
    return int(path.rpartition("/")[2])


def check_bodies(bodies: list[bytes]) -> None:
    # The first stray is enough: a comparison of the lists would take minutes to print.
    assert next((pair for pair in enumerate(bodies) if pair[1] != str(pair[0]).encode()), None) is None
    assert len(bodies) == REQUESTS


class Record:
    """What each request saw, in the order in which all of them looked."""

    def __init__(self) -> None:
        self._seen: list[list[UUID | None]] = [[] for _ in range(REQUESTS)]
        self._order: list[int] = []

    def look(self, number: int) -> None:
        try:
            context = current_context()
        except NoContextError:
            self.note(number, None)
        else:
            assert context.actor.id == f"u-{context.tenant_id.int}"
            self.note(number, context.tenant_id)

    def note(self, number: int, tenant: UUID | None) -> None:
        self._seen[number].append(tenant)
        self._order.append(number)

    def check(self, looks: int) -> None:
        """Check that all saw themselves *looks* times, and that others looked in between."""
        strays = ((number, seen) for number, seen in enumerate(self._seen) if seen != [tenant_of(number)] * looks)
        assert next(strays, None) is None
        assert sum(one != other for one, other in pairwise(self._order)) > REQUESTS
