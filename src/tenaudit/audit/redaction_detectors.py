"""Values that give themselves away wherever they stand: card numbers, IBANs, e-mail addresses, tokens and keys.

Rules of this file: pure, and linear in the text: every repetition that can fail has a bound. A detector would rather
miss an odd value than hide an honest one: what has check digits is checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import is_not
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from tenaudit.audit.redaction import MASK, MAX_WALK_DEPTH, masked
from tenaudit.audit.redaction_paths import key_place
from tenaudit.audit.redaction_plan import is_container

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

__all__ = ["DETECTORS", "Detector", "find_detected", "mask_detected"]

Detector: TypeAlias = Literal["card", "iban", "email", "jwt", "key"]
DETECTORS: tuple[Detector, ...] = get_args(Detector)

# ISO/IEC 7812-1: first digits of the issuers, and how long their numbers are.
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"
    r"|(?:5[1-5]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d+"
    r"|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11,16}"
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}"
    r"|62\d{14,17}"
)
_MASTERCARD = re.compile(r"(?:5[1-5]|2[2-7])\d{14}")
# The lengths of ISO 13616's registry, release 100.
_IBAN_LENGTHS: Mapping[str, int] = MappingProxyType(
    {
        country: length
        for length, countries in {
            15: "NO",
            16: "BE",
            18: "DK FI FO GL NL SD FK",
            19: "MK SI",
            20: "AT BA EE KZ LT LU MN XK",
            21: "CH HR LI LV",
            22: "BG BH CR DE GB GE IE ME RS VA",
            23: "AE GI IL IQ OM TL SO",
            24: "AD CZ ES MD PK RO SA SE SK TN VG",
            25: "LY PT ST",
            26: "IS TR",
            27: "BI DJ FR GR IT MC MR SM",
            28: "AL AZ BY CY DO GT HU LB NI PL SV",
            29: "BR EG PS QA UA",
            30: "JO KW MU YE",
            31: "MT SC",
            32: "LC",
            33: "RU",
        }.items()
        for country in countries.split()
    }
)


# In one, and as it is printed on a card; among other numbers too, so a place may begin several of them.
_CARDS = tuple(
    re.compile(rf"(?<![\dA-Za-z.-])(?=({shape})(?![\dA-Za-z]|[.-]\d))", re.ASCII)
    for shape in (
        r"\d{12,19}",
        r"\d{4}([ -])\d{4}\2\d{4}\2\d{4}",
        r"\d{4}([ -])\d{4}\2\d{4}\2\d{4}\2\d{3}",
        r"\d{4}([ -])\d{6}\2\d{4,5}",
    )
)
_IBAN = re.compile(r"(?<![A-Za-z\d])(?=([A-Z]{2}\d\d(?: ?[A-Z\d]){8,29}))", re.ASCII)
_EMAIL = re.compile(
    r"(?<![\w.%+-])[\w.%+-]{1,256}@[A-Za-z\d](?:[A-Za-z\d-]{0,62}\.){1,8}[A-Za-z]{2,63}(?![A-Za-z\d])", re.ASCII
)
# RFC 7519: the first two parts are JSON objects, whose base64url begins with `eyJ`.
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,8192}\.eyJ[\w-]{2,16384}\.[\w-]{0,8192}", re.ASCII)
_KEY = re.compile(
    r"(?<![A-Za-z\d])(?:A[KS]IA[A-Z2-7]{16}(?![A-Za-z\d])|gh[pousr]_[A-Za-z\d]{36,255}"
    r"|github_pat_\w{22,255}|[rs]k_live_[A-Za-z\d]{16,255}|xox[abeprs]-[A-Za-z\d-]{10,255}"
    r"|AIza[\w-]{35}(?![\w-]))"
    # To its end, and without one to that of the text.
    r"|-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z ]{0,24}PRIVATE KEY-----)?",
    re.ASCII,
)


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for shape in _CARDS:
        yield from (match.span(1) for match in shape.finditer(text) if _is_card(match[1]))


def _is_card(found: str) -> bool:
    digits = found.replace(" ", "").replace("-", "")
    if not _ISSUERS.fullmatch(digits) or (digits[0] in "25" and not _MASTERCARD.fullmatch(digits)):
        return False
    # The Luhn sum (ISO/IEC 7812-1, annex B): every second digit from the right is doubled.
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        signs = [place for place, sign in enumerate(match[1]) if sign != " "]
        length = _IBAN_LENGTHS.get(match[1][:2], len(signs) + 1)
        if length > len(signs):
            continue
        start, end = match.start(1), match.start(1) + signs[length - 1] + 1
        if not text[end : end + 1].isalnum() and _is_iban(text[start:end].replace(" ", "")):
            yield start, end


def _is_iban(text: str) -> bool:
    # ISO 7064 MOD 97-10, with letters as numbers from 10 on.
    return int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1


def _all(pattern: re.Pattern[str]) -> Callable[[str], Iterator[tuple[int, int]]]:
    return lambda text: (match.span() for match in pattern.finditer(text))


# What must be in a text at all, and what finds the values.
_KINDS: Mapping[Detector, tuple[re.Pattern[str], Callable[[str], Iterator[tuple[int, int]]]]] = MappingProxyType(
    {
        "card": (re.compile(r"\d{4}[ -]?\d{4}"), _cards),
        "iban": (re.compile(r"[A-Z]{2}\d\d"), _ibans),
        "email": (re.compile("@"), _all(_EMAIL)),
        "jwt": (re.compile("eyJ"), _all(_JWT)),
        "key": (re.compile(r"A[KS]IA|gh[pousr]_|github_pat_|[rs]k_live_|xox[abeprs]-|AIza|PRIVATE KEY-"), _all(_KEY)),
    }
)


def find_detected(text: str, detectors: Iterable[Detector]) -> list[tuple[int, int, Detector]]:
    """Return what the detectors find in a text: where it starts, where it ends, and what it is; in order, apart.

    >>> find_detected("card 4111 1111 1111 1111, order 4111111111111112", ["card"])
    [(5, 24, 'card')]
    """
    found: list[tuple[int, int, Detector]] = []
    for detector in detectors:
        hint, find = _KINDS[detector]
        if hint.search(text):
            found += [(*span, detector) for span in find(text)]
    found.sort()
    apart: list[tuple[int, int, Detector]] = []
    for one in found:
        if not apart or one[0] >= apart[-1][1]:
            apart.append(one)
        elif one[1] > apart[-1][1]:
            apart[-1] = (apart[-1][0], one[1], apart[-1][2])
    return apart


def mask_detected(value: Any, detectors: Collection[Detector], place: str) -> tuple[Any, set[str]]:
    """Return JSON values in which every detected value is masked, and the places of the texts that held one.

    Names of fields are left as they are; what lies deeper than `MAX_WALK_DEPTH` is masked as a whole.

    >>> mask_detected({"note": "write to bob@example.org"}, ["email"], "payload")
    ({'note': 'write to ****.org'}, {'payload.note'})
    """
    touched: set[str] = set()
    return _masked_in(value, detectors, place, MAX_WALK_DEPTH, touched), touched


def _masked_in(value: Any, detectors: Collection[Detector], place: str, room: int, touched: set[str]) -> Any:
    if isinstance(value, str):
        new: Any = _masked_text(value, detectors)
        if new is not value:
            touched.add(place)
        return new
    if not is_container(value):
        return value
    if room == 0:
        touched.add(place)
        return MASK
    if isinstance(value, Mapping):
        new = {
            key: _masked_in(item, detectors, key_place(place, key), room - 1, touched) for key, item in value.items()
        }
        return new if any(new[key] is not item for key, item in value.items()) else value
    new = [_masked_in(item, detectors, f"{place}[*]", room - 1, touched) for item in value]
    return new if any(map(is_not, new, value)) else value


def _masked_text(text: str, detectors: Collection[Detector]) -> str:
    found = find_detected(text, detectors)
    if not found:
        return text
    parts: list[str] = []
    done = 0
    for start, end, _ in found:
        parts += (text[done:start], masked(text[start:end]))
        done = end
    return "".join([*parts, text[done:]])
