"""Reading `Signature-Input` and `Signature`: dictionaries of structured fields (RFC 9651 section 3.2), strictly.

An own reader because every request pays for it: the general library takes about ten times the whole budget of a
check. It reads what RFC 9421 section 4 uses and nothing else. Its patterns never go back over what they took
(possessive quantifiers), so its time is linear in the input, which is bounded besides. What our own signer writes is
read by one shorter pattern first; whatever that does not fit goes the long way, with the same result.

Stricter than the RFC on purpose: a label or parameter that stands twice is refused instead of the last one winning,
and base64 has one spelling only.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_CHARS", "FieldError", "SignatureInput", "read_inputs", "read_signatures"]

# Characters of a field, all its lines together; ours have about 400.
MAX_CHARS = 4096
_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*+"'
_KEY = r"[a-z*][a-z0-9_\-.*]*+"
_VALUE = (
    rf"(?:{_STRING}|-?[0-9]{{1,12}}\.[0-9]{{1,3}}|@?-?[0-9]{{1,15}}|\?[01]|:[A-Za-z0-9+/]*+={{0,2}}:"
    r"|[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+)"
)
_PARAMETER = rf"; *+({_KEY})(?:=({_VALUE}))?+"
_PARAMETERS = rf"(?:; *+{_KEY}(?:={_VALUE})?+)*+"
_ITEM = rf"{_STRING}{_PARAMETERS}"
_END = r"[ \t]*+(?:,[ \t]*+|\Z)"
_INPUT = re.compile(rf"({_KEY})=\( *+((?:{_ITEM}(?: ++{_ITEM})*+)?+) *+\)({_PARAMETERS}){_END}")
# Whole groups, and zero in the bits that padding leaves over: one signature has one spelling.
_LETTER = "[A-Za-z0-9+/]"
_BASE64 = rf"(?:{_LETTER}{{4}})*+(?:{_LETTER}{{2}}[AEIMQUYcgkosw048]=|{_LETTER}[AQgw]==)?+"
_SIGNATURE = re.compile(rf"({_KEY})=:({_BASE64}):{_PARAMETERS}{_END}")
# What `ContextSigner` writes: serialized already, and with nothing in it that would have to be escaped.
_NAME = r'"[@a-z0-9\-]++"'
_TEXT = r'"[!#-\[\]-~]++"'
_OURS = re.compile(
    rf"({_KEY})=(\(({_NAME}(?: {_NAME})*+)\);created=([0-9]{{1,15}});expires=([0-9]{{1,15}});keyid=({_TEXT})"
    rf";alg=({_TEXT});nonce=({_TEXT});tag=({_TEXT}))"
)
_OUR_SIGNATURE = re.compile(rf"({_KEY})=:({_BASE64}):")
_EACH_PARAMETER = re.compile(_PARAMETER)
_EACH_ITEM = re.compile(_ITEM)


class FieldError(ValueError):
    """A field is no dictionary of the expected kind."""


class SignatureInput(NamedTuple):
    """One member of `Signature-Input`.

    Args:
        text: the inner list with its parameters, serialized (RFC 9651 section 4.1.1.1), as it was signed.
        components: the identifiers with their quotes, and their own parameters where they have some.
        parameters: values as they stand in the field, a string with its quotes; `?1` where there is none.

    Example:
        >>> read_inputs('a=( "@path"  "date" ); created=1;tag="x"')["a"].text
        '("@path" "date");created=1;tag="x"'
    """

    text: str
    components: list[str]
    parameters: dict[str, str]


def read_inputs(value: str) -> dict[str, SignatureInput]:
    """Read `Signature-Input`.

    Raises:
        FieldError: it is out of form, too long, or names a label or a parameter twice.
    """
    ours = _OURS.fullmatch(value) if len(value) <= MAX_CHARS else None
    if ours is not None:
        label, text, items, created, expires, keyid, alg, nonce, tag = ours.groups()
        values = {"created": created, "expires": expires, "keyid": keyid, "alg": alg, "nonce": nonce, "tag": tag}
        return {label: SignatureInput(text, items.split(" "), values)}
    found: dict[str, SignatureInput] = {}
    for match in _members(_INPUT, value):
        label, items, parameters = match.groups()
        if label in found:
            raise FieldError("a label stands twice")
        found[label] = _input(items, parameters)
    return found


def read_signatures(value: str) -> dict[str, bytes]:
    """Read `Signature`.

    Raises:
        FieldError: it is out of form, too long, or names a label twice.
    """
    ours = _OUR_SIGNATURE.fullmatch(value) if len(value) <= MAX_CHARS else None
    if ours is not None:
        return {ours[1]: a2b_base64(ours[2])}
    found: dict[str, bytes] = {}
    for match in _members(_SIGNATURE, value):
        label, encoded = match.groups()
        if label in found:
            raise FieldError("a label stands twice")
        found[label] = a2b_base64(encoded)
    return found


def _members(pattern: re.Pattern[str], value: str) -> Iterator[re.Match[str]]:
    if len(value) > MAX_CHARS:
        raise FieldError("the field is too long")
    value = value.strip(" \t")
    if value.endswith(","):
        raise FieldError("the field ends in a comma")
    place, end = 0, len(value)
    while place < end:
        match = pattern.match(value, place)
        if match is None:
            raise FieldError("the field is out of form")
        yield match
        place = match.end()


def _input(items: str, parameters: str) -> SignatureInput:
    components = items.split()
    # Splitting at spaces is right where they only stand between plain names, which is nearly always.
    if len(components) * 2 != items.count('"') or ";" in items or "\\" in items:
        components = _EACH_ITEM.findall(items)
    pairs = _EACH_PARAMETER.findall(parameters)
    values = dict(pairs)
    if len(values) != len(pairs):
        raise FieldError("a parameter stands twice")
    if " " in parameters or "?1" in parameters or "" in values.values():
        # The same, serialized: no space after a semicolon, and a true boolean is its bare name.
        parameters = "".join(f";{name}" if text in ("", "?1") else f";{name}={text}" for name, text in pairs)
        values = {name: text or "?1" for name, text in pairs}
    return SignatureInput(f"({' '.join(components)}){parameters}", components, values)
