"""What a header section means, written from the table in the reference and not from the code that it judges.

It knows three things: how lines become fields (RFC 9112 section 5), what a WSGI server makes of them, and the table.
"""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Any, NamedTuple

ROLES = ("SuperAdmin", "Admin", "Manager", "Inventory", "Cashier", "Support")
ONE_VALUE = ("x-tenant-id", "x-user-id", "x-actor-type", "x-session-id", "x-auth-method")
TWINNED = {*ONE_VALUE, "x-roles", "x-trace-id"}
NEW = "new"

_HEX = set("0123456789abcdef")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTENT = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_UUID = re.compile("-".join(f"[0-9A-Fa-f]{{{size}}}" for size in (8, 4, 4, 4, 12)))
_STATE = re.compile(r"([a-z0-9][a-z0-9_*/@-]{0,255})=([^,=]{0,255}[^,= ])")

Fields = list[tuple[str, str]]


class Judgement(NamedTuple):
    """What the table says of a request: the context, or the codes of all that is wrong with it."""

    context: dict[str, Any]
    codes: frozenset[str]


def fields_of(section: bytes) -> Fields:
    """Read a header section: a line end may lack its CR, and a line that starts with whitespace goes on."""
    lines: list[bytes] = []
    for line in re.split(rb"\r?\n", section):
        if not line:
            break
        if line[:1] in b" \t" and lines:
            lines[-1] += b" " + line.lstrip(b" \t")
        else:
            lines.append(line)
    pairs = [line.decode("latin-1").partition(":") for line in lines]
    return [(name.lower(), value.strip(" \t")) for name, _, value in pairs]


def well_formed(section: bytes) -> bool:
    """Tell whether every server must take this section.

    There is no folding and no control character in it, names are tokens, and what HTTP itself allows once comes once:
    aiohttp refuses a second `User-Agent`.
    """
    lines = section.split(b"\r\n") if section else []
    return sum(line.lower().startswith(b"user-agent:") for line in lines) < 2 and all(
        _TOKEN.fullmatch(name) and colon and _CONTENT.fullmatch(value) and len(line) < 8000
        for line in lines
        for name, colon, value in [line.partition(b":")]
    )


def behind_wsgi(fields: Fields) -> Fields:
    """Show the fields as gunicorn hands them on: names with an underscore are gone, the rest is joined by commas."""
    joined: dict[str, list[str]] = {}
    for name, value in fields:
        if "_" not in name:
            joined.setdefault(name, []).append(value)
    return [(name, ",".join(values)) for name, values in joined.items()]


def judge(fields: Fields) -> Judgement:
    """Apply the table to fields."""
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)

    def one(name: str) -> str:
        return values.get(name, [""])[0].strip(" \t")

    tenant, user = one("x-tenant-id"), one("x-user-id")
    wrong = {
        "ambiguous_header": any("_" in name and name.replace("_", "-") in TWINNED for name in values)
        or any(len(values.get(name, ())) > 1 for name in (*ONE_VALUE, "x-roles"))
        or any("," in value for name in ONE_VALUE for value in values.get(name, ())),
        "missing_tenant_id": not tenant,
        "invalid_tenant_id": bool(tenant) and not _UUID.fullmatch(tenant),
        "invalid_user_id": len(user.encode()) > 256 or any(unicodedata.category(letter) == "Cc" for letter in user),
    }
    roles = {name.strip(" \t").lower() for name in one("x-roles").split(",")}
    kind = one("x-actor-type")
    context = {
        "actor": [user, kind if kind in ("user", "service", "api_key", "system") else "user"]
        if user
        else [None, "anonymous"],
        "agent": _agent(values.get("user-agent", [])),
        "method": _token(one("x-auth-method")) or "header",
        "roles": sorted(role for role in ROLES if role.lower() in roles),
        "session": _token(one("x-session-id")),
        "tenant": tenant.lower(),
        "trace": _trace(values),
    }
    return Judgement(context, frozenset(code for code, is_wrong in wrong.items() if is_wrong))


def _token(text: str) -> str | None:
    visible = set(string.ascii_letters + string.digits + string.punctuation) - {","}
    return text if 0 < len(text) <= 128 and set(text) <= visible else None


def _agent(values: list[str]) -> str | None:
    if len(values) != 1:
        return None
    return "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in values[0][:512])


def _trace(values: dict[str, list[str]]) -> list[Any]:
    """Return trace id, parent id, whether it is sampled, and the state; `NEW` where an id must be made."""
    parents = values.get("traceparent", [])
    if len(parents) == 1 and (parent := _parent(parents[0])) is not None:
        return [*parent, _state(values.get("tracestate", []))]
    bare = values.get("x-trace-id", [])
    known = len(bare) == 1 and _is_id(bare[0], 32)
    return [bare[0] if known else NEW, None, False, ""]


def _parent(text: str) -> tuple[str, str, bool] | None:
    parts = text.split("-", 4)
    if len(parts) < 4:
        return None
    version, trace, parent, flags, *rest = parts
    if not (len(version) == len(flags) == 2 and set(version + flags) <= _HEX and version != "ff"):
        return None
    if not (_is_id(trace, 32) and _is_id(parent, 16)) or len(text) > 512:
        return None
    if rest and (version == "00" or not rest[0].isascii() or set(rest[0]) & set(map(chr, [*range(32), 127]))):
        return None
    return trace, parent, int(flags[1], 16) % 2 == 1


def _is_id(text: str, size: int) -> bool:
    return len(text) == size and set(text) <= _HEX and set(text) != {"0"}


def _state(values: list[str]) -> str:
    members = [member for part in ",".join(values).split(",") if (member := part.strip(" \t"))]
    found = [_STATE.fullmatch(member) for member in members if member.isascii() and member.isprintable()]
    keys = {match[1] for match in found if match}
    if not len(members) == len(keys) <= 32:
        return ""
    while len(",".join(members)) > 512:
        # Those over 128 characters go first, the last one before the others (section 3.3.1.5 of the standard).
        long = [at for at, member in enumerate(members) if len(member) > 128]
        del members[long[-1] if long else -1]
    return ",".join(members)
