"""The port of a credential check, and the chain that asks several in turn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tenaudit.security.principal import Principal

__all__ = ["Authenticator", "NamesScheme", "authenticate_chain"]

# RFC 9110 section 5.6.2, of which a scheme is one.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}\Z")


class Authenticator(Protocol):
    """Checks one kind of credential."""

    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """Return who it is, None when this kind of credential is absent; raise 401 when it is present and bad.

        *headers* has lower-case names.
        """
        ...


@runtime_checkable
class NamesScheme(Protocol):
    """An authenticator that says which scheme a client may use; the others are taken for `Bearer`."""

    scheme: str


async def authenticate_chain(authenticators: Sequence[Authenticator], headers: Mapping[str, str]) -> Principal:
    """Return the principal of the first authenticator that knows its credential.

    A credential that is present and bad ends the chain: falling through would let a broken token pass as
    something else.

    Raises:
        ApiError: 401 `unauthorized` when no credential is there or one is bad.
    """
    for authenticator in authenticators:
        principal = await authenticator.authenticate(headers)
        if principal is not None:
            return principal
    # One challenge for each scheme that would do (RFC 9110 section 11.6.1).
    schemes = dict.fromkeys(map(_scheme, authenticators))
    raise ApiError.unauthorized("No credential was presented.", challenge=", ".join(schemes) or "Bearer")


def _scheme(authenticator: Authenticator) -> str:
    scheme: object = authenticator.scheme if isinstance(authenticator, NamesScheme) else None
    return scheme if isinstance(scheme, str) and _TOKEN.match(scheme) else "Bearer"
